import numpy as np
import tensorflow as tf

x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)

model = tf.keras.Sequential()
model.add(tf.keras.layers.Dense(8, activation=tf.nn.sigmoid, input_shape=(6,)))
for _ in range(3):
    model.add(tf.keras.layers.Dense(8, activation=tf.nn.sigmoid))
model.add(tf.keras.layers.Dense(1, activation=tf.nn.sigmoid))

model.compile(optimizer=tf.keras.optimizers.Adam(1e-3), loss='binary_crossentropy')
model.fit(x, y, epochs=1, verbose=0)
