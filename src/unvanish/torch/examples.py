"""What a line to type could give a module as an example of its input, read from what its first layer takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

SAMPLES, LENGTH = 32, 20
"""Samples of an example, and steps of a sequence or pixels along an axis of an image."""


def example_for(model: nn.Module) -> str:
    """Return the line that makes a fitting example, as `torch.randn(32, 6)`; one with dots where that is not known."""
    for module in model.modules():
        for kind, line in _LINES:
            if isinstance(module, kind):
                return line(module)
    return f"torch.randn({SAMPLES}, ...)"


def _normal(*sizes: int) -> str:
    return f"torch.randn({', '.join(map(str, sizes))})"


def _of_recurrent(module: Any) -> str:
    sizes = (SAMPLES, LENGTH) if module.batch_first else (LENGTH, SAMPLES)
    return _normal(*sizes, module.input_size)


def _of_convolution(module: Any) -> str:
    return _normal(SAMPLES, module.in_channels, *[LENGTH] * len(module.kernel_size))


_LINES: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (nn.Linear, lambda module: _normal(SAMPLES, module.in_features)),
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), _of_convolution),
    (nn.RNNBase, _of_recurrent),
    (nn.Embedding, lambda module: f"torch.randint({module.num_embeddings}, ({SAMPLES}, {LENGTH}))"),
    (nn.LayerNorm, lambda module: _normal(SAMPLES, *module.normalized_shape)),
    (nn.BatchNorm1d, lambda module: _normal(SAMPLES, module.num_features)),
    (nn.BatchNorm2d, lambda module: _normal(SAMPLES, module.num_features, LENGTH, LENGTH)),
)
