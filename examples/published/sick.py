import numpy as np
import tensorflow as tf
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense

# Generate random data
X = np.random.rand(1000, 20)
y = np.random.randint(2, size=(1000, 1))

# A deep network of sigmoid layers
model = Sequential()
model.add(Dense(64, activation='sigmoid', input_shape=(20,)))
for _ in range(10):
    model.add(Dense(64, activation='sigmoid'))
model.add(Dense(1, activation='sigmoid'))

model.compile(optimizer='adam', loss='binary_crossentropy', metrics=['accuracy'])
model.fit(X, y, epochs=5, batch_size=32, validation_split=0.2)
