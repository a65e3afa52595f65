"""The tutorial's data as tensors, and Keras' initialisation: so that both frameworks train the same network."""

import sys

import numpy as np
import torch
from torch import nn

torch.manual_seed(1)


def load():
    """Return x of shape (1000, 20) and y of shape (1000, 1); `random` as the first argument: labels without signal."""
    r = np.random.default_rng(0)
    x = r.random((1000, 20))
    if "random" in sys.argv[1:]:
        y = r.integers(2, size=(1000, 1))
    else:
        w1, w2 = r.normal(size=(20, 16)), r.normal(size=16)
        score = np.tanh((x - 0.5) @ w1 * 2) @ w2
        y = (score > np.median(score))[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


def glorot(model):
    """Draw the weights as Keras does: Glorot uniform, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return model
