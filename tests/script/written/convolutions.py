import keras
import numpy as np
from keras import layers

x = np.random.default_rng(0).random((32, 8, 8, 1))
y = (x.mean(axis=(1, 2)) > 0.5).astype(int)

inputs = keras.Input((8, 8, 1))
h = layers.Conv2D(4, 3, padding="same", activation="sigmoid")(inputs)
h = layers.Conv2D(4, (3, 3), (1, 1), "same", None, (1, 1), 1, "sigmoid")(h)
h = layers.Conv2D(4, 3, padding="same", activation="sigmoid", kernel_initializer="he_uniform")(h)
h = layers.Flatten()(h)
h = layers.Dense(8, activation="sigmoid", bias_initializer="ones", kernel_regularizer="l2")(h)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(h))
model.compile(optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 100)), loss="binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
