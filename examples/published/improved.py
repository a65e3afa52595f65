import numpy as np
import tensorflow as tf
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense, BatchNormalization, ReLU

# Generate random data
X = np.random.rand(1000, 20)
y = np.random.randint(2, size=(1000, 1))

# The same depth with ReLU and batch normalisation
model = Sequential()
model.add(Dense(64, input_shape=(20,)))
model.add(ReLU())
model.add(BatchNormalization())
for _ in range(10):
    model.add(Dense(64))
    model.add(ReLU())
    model.add(BatchNormalization())
model.add(Dense(1, activation='sigmoid'))

model.compile(optimizer='adam', loss='binary_crossentropy', metrics=['accuracy'])
model.fit(X, y, epochs=5, batch_size=32, validation_split=0.2)
