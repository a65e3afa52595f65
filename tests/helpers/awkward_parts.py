"""What the awkward PyTorch models are made of: the task that all of them learn, and a module made of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

SAMPLES, FEATURES = 256, 8
Built = tuple[nn.Module, Any, torch.Tensor, Callable[..., torch.Tensor]]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(SAMPLES, FEATURES, generator=torch.Generator().manual_seed(0))
    return x, (x[:, :1] > 0).float()


def bce(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(output, target)


def plain(model: nn.Module) -> Built:
    x, y = data()
    return model, x, y, bce


def mlp(width: int = 16, depth: int = 2) -> nn.Sequential:
    inner = [part for _ in range(depth - 1) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), *inner, nn.Linear(width, 1))


class Module(nn.Module):
    """A model whose forward is given as a function of (self, x)."""

    def __init__(self, run: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = run

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self, *args, **kwargs)
