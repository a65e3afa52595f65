import numpy as np
from tensorflow import keras

x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)

stack = []
for width in (8, 8, 8, 8):
    stack.append(
        # one more
        keras.layers.Dense(width, activation="sigmoid")
    )
stack += [keras.layers.Dense(1, activation="sigmoid")]

h = inputs = keras.Input((6,))
for layer in stack:
    h = layer(h)
model = keras.Model(inputs, h)
model.compile(optimizer={"class_name": "Adam", "config": {}}, loss="binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
