import keras
import numpy as np
from keras.layers import (
    Activation,
    Dense,
)

x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)

model = keras.Sequential([keras.Input((6,))])
for number in range(4):
    model.add(Dense(8))
    model.add(Activation("sigmoid", name=f"act{number}"))
model.add(Dense(1, activation="sigmoid"))
model.compile("adam", "binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
