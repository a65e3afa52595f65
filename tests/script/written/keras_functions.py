import keras
import numpy as np
from keras import activations, layers, ops

x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)

inputs = keras.Input((6,))
h = layers.Dense(8, activation=keras.activations.sigmoid)(inputs)
h = activations.sigmoid(layers.Dense(8)(h))
h = layers.Dense(8)(h)
h = ops.sigmoid(h)
h = layers.Dense(8, activation=ops.sigmoid)(h)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(h))
model.compile(optimizer="sgd", loss="binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
