#!/usr/bin/env python3
# The layers come from a function of their own.
from __future__ import annotations

import keras
import numpy as np
from keras import layers


def data():
    x = np.random.default_rng(0).random((64, 6))
    return x, (x.sum(axis=1, keepdims=True) > 3).astype(int)


def hidden(units: int = 8) -> layers.Layer:
    # sigmoid, as in the paper
    return layers.Dense(units, activation='sigmoid')


def build(depth: int = 4) -> keras.Model:
    model = keras.Sequential()
    model.add(keras.Input((6,)))
    for _ in range(depth):
        model.add(hidden())
    model.add(layers.Dense(1, activation='sigmoid'))
    model.compile(loss='binary_crossentropy', optimizer=keras.optimizers.Adam(learning_rate=1e-3))
    return model


def main() -> None:
    x, y = data()
    build().fit(x, y, epochs=1, verbose=0)


if __name__ == '__main__':
    main()
