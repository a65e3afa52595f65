import keras
import numpy as np
from keras import layers

x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)
HIDDEN = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 8, "activation": "sigmoid"}}

model = keras.Sequential([keras.Input((6,))])
for _ in range(4):
    model.add(layers.deserialize(HIDDEN))
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(optimizer="adam", loss="binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
