"""A described network is forecast as the network itself is, and as torch's own backpropagation measures it."""

from __future__ import annotations

import numpy as np
import pytest

import unvanish
from unvanish.api import forecast_spec

pytestmark = pytest.mark.torch


def built(norm: str, seed: int):
    import torch

    torch.manual_seed(seed)
    layers = []
    for _ in range(10):
        middle = {"batch_norm": [torch.nn.BatchNorm1d(64)], "layer_norm": [torch.nn.LayerNorm(64)]}.get(norm, [])
        layers += [torch.nn.Linear(64, 64), *middle, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(64, 1)).double()


def backpropagated(model) -> float:
    import torch

    labels = torch.randint(0, 2, (32, 1)).double()
    outputs = model(torch.rand(32, 64, dtype=torch.float64))
    torch.nn.functional.binary_cross_entropy_with_logits(outputs, labels).backward()
    norms = [p.grad.norm().item() for p in model.parameters() if p.ndim == 2]
    return float(np.log10(norms[0] / norms[-1]))


@pytest.mark.parametrize("norm", ["", "batch_norm", "layer_norm"])
def test_described_and_built(norm: str) -> None:
    import torch

    middle = f", {norm}" if norm else ""
    found = forecast_spec(f"(dense(64){middle}, relu)*10, dense(1)", initialiser="torch").forecast
    models = [built(norm, seed) for seed in range(12)]
    example = torch.rand(32, 64, dtype=torch.float64)
    described = [10 ** unvanish.forecast(model, input=example).log10_first_over_last for model in models[:4]]
    assert 10**found.log10_first_over_last == pytest.approx(np.mean(described), rel=0.03, abs=0)
    measured = np.mean([backpropagated(model) for model in models])
    assert abs(measured - found.log10_first_over_last) < 3 * found.log10_sd / np.sqrt(len(models))
