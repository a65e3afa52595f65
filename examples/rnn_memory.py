"""A long memory that a recurrent network cannot learn: what matters is the first of a hundred steps."""

import keras
import numpy as np

keras.utils.set_random_seed(1)

x = np.random.normal(size=(2000, 100, 4)).astype("float32")
y = (x[:, 0, 0] > 0).astype("int32")

model = keras.Sequential(
    [
        keras.Input((100, 4)),
        keras.layers.SimpleRNN(32, recurrent_initializer=keras.initializers.RandomNormal(stddev=0.05)),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=3, validation_split=0.2)
