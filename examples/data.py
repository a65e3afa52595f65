"""The tutorial's inputs with its random labels, or with labels that can be learnt (a fixed teacher)."""

import sys

import keras
import numpy as np

keras.utils.set_random_seed(1)  # the networks that differ in the optimizer alone start alike and see the same batches


def load():
    """Return x of shape (1000, 20) and y of shape (1000, 1); `random` as the first argument: labels without signal."""
    r = np.random.default_rng(0)
    x = r.random((1000, 20))
    if "random" in sys.argv[1:]:
        return x, r.integers(2, size=(1000, 1))
    w1, w2 = r.normal(size=(20, 16)), r.normal(size=16)
    score = np.tanh((x - 0.5) @ w1 * 2) @ w2
    return x, (score > np.median(score)).astype(int)[:, None]
