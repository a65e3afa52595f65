import keras
import numpy as np
from keras.layers import Dense, Input

x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)

inputs = Input((6,))
h = Dense(8, activation="sigmoid")(inputs)
for depth in range(2):
    h = Dense(8, activation="sigmoid")(h)

outputs = Dense(1, activation="sigmoid")(Dense(8, "sigmoid")(h))
model = keras.Model(inputs=inputs, outputs=outputs)
opt = keras.optimizers.RMSprop(
    learning_rate=0.001,
    global_clipnorm=3.0,  # from the old days
)
model.compile(opt, "binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
