"""A recurrent network whose gradient explodes through time: recurrent weights that are a little too large, 60 steps."""

import keras
import numpy as np

keras.utils.set_random_seed(1)

x = np.random.normal(size=(1000, 60, 4)).astype("float32")
y = x[:, -5:].mean(axis=(1, 2))[:, None]
y = y / y.std()

model = keras.Sequential(
    [
        keras.Input((60, 4)),
        keras.layers.SimpleRNN(
            32,
            activation="relu",
            recurrent_initializer=keras.initializers.Orthogonal(gain=1.5),  # behind a ReLU, 1.4 keeps a gradient
        ),
        keras.layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.1), loss="mse")
model.fit(x, y, epochs=5, validation_split=0.2)
