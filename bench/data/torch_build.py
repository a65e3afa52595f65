"""Build a labelled case of cases.json as a native PyTorch module with given weights, and train it by a plain loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FLOOR = 1e-7
"""Keras clips probabilities here before it takes their logarithm."""


class Exponential(nn.Module):
    def forward(self, x):
        return torch.exp(x)


ACTIVATIONS = {
    "elu": nn.ELU,
    "exponential": Exponential,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(dim=-1),
    "tanh": nn.Tanh,
}


def torch_module(case: dict[str, Any], weights: list[np.ndarray], width: int) -> nn.Sequential:
    """Return the network with the weights of the Keras model, in the order of its `get_weights`."""
    left, modules = iter(weights), []
    for spec in case["layers"]:
        if "dense" in spec:
            linear = nn.Linear(width, spec["dense"])
            linear.weight.data = torch.tensor(next(left)).T.contiguous()
            linear.bias.data = torch.tensor(next(left))
            width = spec["dense"]
            modules.append(linear)
        elif "activation" in spec:
            if spec["activation"] is not None:
                modules.append(ACTIVATIONS[spec["activation"]]())
        elif "dropout" in spec:
            modules.append(nn.Dropout(spec["dropout"]))
        else:
            modules.append(nn.BatchNorm1d(width, eps=1e-3, momentum=0.01))
            for _ in range(4):
                next(left)
    return nn.Sequential(*modules)


def loss_of(case: dict[str, Any], output, target):
    """Return the loss that Keras computes of these outputs (probabilities, for the cross-entropies)."""
    if case["loss"] == "mean_squared_error":
        return functional.mse_loss(output, target)
    if case["loss"] == "mean_absolute_error":
        return functional.l1_loss(output, target)
    if case["loss"] == "binary_crossentropy":
        if not torch.isfinite(output).all():  # PyTorch refuses; Keras gives a loss that is not a number either
            return output.sum() * math.nan
        return functional.binary_cross_entropy(output.clamp(FLOOR, 1 - FLOOR), target)
    shares = (output / output.sum(-1, keepdim=True)).clamp(FLOOR, 1 - FLOOR)
    return functional.nll_loss(torch.log(shares), target.argmax(-1))


def optimizer_of(case: dict[str, Any], module: nn.Module):
    """Return the same optimizer, with the constants of Keras."""
    options = dict(case["optimizer"])
    name, rate = options.pop("name"), options.pop("learning_rate", 0.01 if case["optimizer"]["name"] == "SGD" else 1e-3)
    if name == "SGD":
        return torch.optim.SGD(module.parameters(), lr=rate, **options)
    if name == "Adagrad":
        return torch.optim.Adagrad(module.parameters(), lr=rate, initial_accumulator_value=0.1, eps=1e-7)
    if name == "RMSprop":
        return torch.optim.RMSprop(module.parameters(), lr=rate, alpha=0.9, eps=1e-7)
    betas = options.get("beta_1", 0.9), options.get("beta_2", 0.999)
    return torch.optim.Adam(module.parameters(), lr=rate, betas=betas, eps=1e-7)


def train(case: dict[str, Any], module: nn.Module, x: np.ndarray, y: np.ndarray) -> None:
    """Train as people write it: epochs of batches in the order of the data, zero_grad, backward, step."""
    inputs, targets = torch.tensor(x), torch.tensor(y)
    optimizer, size = optimizer_of(case, module), case["batch_size"]
    module.train()
    for _ in range(case["epochs"]):
        for some, wanted in zip(inputs.split(size), targets.split(size), strict=True):
            optimizer.zero_grad()
            loss_of(case, module(some), wanted).backward()
            optimizer.step()
