import keras
import numpy as np
from keras import layers


class Hidden(layers.Dense):
    def __init__(self, units, activation="sigmoid", **options):
        super().__init__(units, activation=activation, **options)


x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)
model = keras.Sequential([keras.Input((6,)), *[Hidden(8) for _ in range(4)], layers.Dense(1, activation="sigmoid")])
model.compile(optimizer="adam", loss="binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
