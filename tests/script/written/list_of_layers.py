import numpy as np
import keras
from keras import layers

x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)

hidden = [layers.Dense(8, activation="sigmoid") for _ in range(2)]
model = keras.Sequential(
    [
        keras.Input((6,)),
        layers.Dense(8, activation="sigmoid"),  # the first one
        *hidden,
        layers.Dense(
            8,  # as wide as the others
            activation="sigmoid",
            name="last",
        ),
        layers.Dense(1, activation="sigmoid")
    ]
)
model.compile(optimizer=keras.optimizers.SGD(0.1, clipvalue=0.5), loss="binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
