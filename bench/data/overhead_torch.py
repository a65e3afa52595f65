"""The trainings of PyTorch whose watching `bench/overhead.py` measures, and the ways in which they are watched."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

import unvanish


class Loop:
    """One training: `step` takes one step on a batch that stays the same."""

    def __init__(self, model: nn.Module, x: torch.Tensor, classes: int = 10, *, compiled: bool = False) -> None:
        self.model, self.x = model, x
        self.y = torch.randint(0, classes, (len(x),))
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        self._call = torch.compile(model) if compiled else model
        self.after: Callable[[], Any] = lambda: None
        """Called when the gradients are there."""

    def step(self) -> None:
        self.optimizer.zero_grad()
        functional.cross_entropy(self._call(self.x), self.y).backward()
        self.after()
        self.optimizer.step()


def mlp(width: int, batch: int, compiled: bool) -> Loop:
    layers = [part for _ in range(11) for part in (nn.Linear(width, width), nn.ReLU())]
    return Loop(nn.Sequential(*layers, nn.Linear(width, 10)), torch.randn(batch, width), compiled=compiled)


class Block(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.two = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)])
        self.skip = nn.Identity() if stride == 1 else nn.Conv2d(inside, outside, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.norms[1](self.two(functional.relu(self.norms[0](self.one(x)))))
        return functional.relu(inner + self.skip(x))


def resnet(compiled: bool) -> Loop:
    """Fourteen layers of 16, 32 and 64 channels, on 32x32 pixels."""
    widths = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
    blocks = [Block(*width) for width in widths]
    model = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return Loop(model, torch.randn(32, 3, 32, 32), compiled=compiled)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(1000, 256)
        layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.embed(x)).mean(dim=1))


def transformer(compiled: bool) -> Loop:
    return Loop(Encoder(), torch.randint(0, 1000, (8, 64)), compiled=compiled)


MAKERS: dict[str, Callable[[bool], Loop]] = {
    "12x64 batch 32": lambda compiled: mlp(64, 32, compiled),
    "12x1024 batch 128": lambda compiled: mlp(1024, 128, compiled),
    "ResNet-14 32x32 batch 32": resnet,
    "transformer 6x256 batch 8x64": transformer,
}
MODES = ("eager", "compiled")
CASES = [f"{name}, {mode}" for name in MAKERS for mode in MODES]


WARM_UP = 12
"""Steps before anything is timed."""
VERSIONS = f"PyTorch {torch.__version__}"


def train(case: str, way: str, turns: Any) -> None:
    """Train in one way, as long as there are turns."""
    loop = make(case)
    turns.begins()
    with WAYS[way](loop) as watch:
        for _ in range(WARM_UP):
            loop.step()
        while turns.wait(watch):
            for _ in range(turns.steps):
                loop.step()


def make(case: str) -> Loop:
    """Return the training of that name, the same one in every process."""
    name, mode = case.rsplit(", ", 1)
    torch.manual_seed(0)
    return MAKERS[name](mode == "compiled")


@contextlib.contextmanager
def watched(loop: Loop, every: Any) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder, unvanish.watch(loop.model, every=every, folder=folder) as watch:
        yield watch


@contextlib.contextmanager
def norms(loop: Loop) -> Iterator[None]:
    """What people paste: one norm after the other, each of which waits for the device."""
    kernels = [p for p in loop.model.parameters() if p.ndim > 1]
    loop.after = lambda: [p.grad.norm().item() for p in kernels if p.grad is not None]
    yield None


@contextlib.contextmanager
def wandb(loop: Loop, every: int) -> Iterator[None]:
    import wandb as weights_and_biases

    with tempfile.TemporaryDirectory() as folder:
        run = weights_and_biases.init(mode="offline", dir=folder)
        run.watch(loop.model, log="gradients", log_freq=every)
        loop.after = lambda: run.log({})
        yield None
        run.finish()


WAYS: dict[str, Callable[[Loop], contextlib.AbstractContextManager[Any]]] = {
    "plain": lambda _: contextlib.nullcontext(),
    "plain again": lambda _: contextlib.nullcontext(),
    "idle": lambda loop: watched(loop, 10**9),
    "auto": lambda loop: watched(loop, "auto"),
    "every 100": lambda loop: watched(loop, 100),
    "every 10": lambda loop: watched(loop, 10),
    "every 1": lambda loop: watched(loop, 1),
    ".norm().item()": norms,
    "wandb.watch every 100": lambda loop: wandb(loop, 100),
    "wandb.watch every 1": lambda loop: wandb(loop, 1),
}
NEEDS = {"wandb.watch every 100": "wandb", "wandb.watch every 1": "wandb"}
"""Way -> the package that it is left out without."""
