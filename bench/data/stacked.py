"""A described network as a PyTorch module that holds several of them, one a seed, and trains them side by side.

Every array has the seeds as its first axis, so that one batched product does what each network would do by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from unvanish.spec.grammar import Group, Word, parse

EPSILON = {"torch": 1e-5}
SLOPE = {"torch": 0.01}
"""Where torch's defaults are not those of Keras, 1e-3 and 0.2."""


class Dense(nn.Module):
    """Multiply by a kernel (seeds, inputs, outputs), add a bias."""

    def __init__(self, inputs: int, outputs: int, initialiser: str, seeds: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.stack([drawn(initialiser, inputs, outputs, seed) for seed in seeds]))
        bias = torch.zeros(len(seeds), 1, outputs)
        if initialiser == "torch":
            bias = torch.stack([_uniform((1, outputs), inputs**-0.5, seed) for seed in seeds])
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.kernel)


class Norm(nn.Module):
    """Normalise over the batch (axis 1) or over the units (axis 2); in evaluation too, over what is evaluated."""

    def __init__(self, units: int, axis: int, epsilon: float, seeds: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(seeds, 1, units))
        self.shift = nn.Parameter(torch.zeros(seeds, 1, units))
        self.axis, self.epsilon = axis, epsilon

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, self.axis, correction=0, keepdim=True)
        return torch.addcmul(self.shift, (x - mean) * torch.rsqrt(variance + self.epsilon), self.scale)


class Residual(nn.Sequential):
    """Add what enters to what leaves."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Elementwise(nn.Module):
    """Apply an activation."""

    def __init__(self, name: str, slope: float) -> None:
        super().__init__()
        self.name, self.slope = name, slope

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(x, self.slope) if self.name == "leaky_relu" else FUNCTIONS[self.name](x)


FUNCTIONS = {
    "elu": functional.elu,
    "erf": torch.erf,
    "gelu": functional.gelu,
    "hard_sigmoid": functional.hardsigmoid,
    "hard_tanh": functional.hardtanh,
    "mish": functional.mish,
    "relu": functional.relu,
    "selu": functional.selu,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "tanh": torch.tanh,
}


def stacked(spec: str, initialiser: str, features: int, seeds: Sequence[int]) -> nn.Sequential:
    """Return the networks of the description, one a seed: (seeds, batch, features) -> (seeds, batch, outputs)."""
    drawing = [torch.Generator().manual_seed(seed) for seed in seeds]
    modules, _ = _modules(parse(spec), features, initialiser, drawing)
    return nn.Sequential(*modules)


def looks_linear(depth: int, width: int, features: int, outputs: int, seeds: Sequence[int]) -> nn.Sequential:
    """Return the cured twins: GELU layers that begin as an orthogonal linear map (Balduzzi et al. 2017)."""
    twins = stacked(f"dense({width}, gelu)*{depth}, dense({outputs})", "orthogonal", features, seeds)
    kernels = [module.kernel for module in twins if isinstance(module, Dense)]
    half = width // 2
    with torch.no_grad():
        for number, kernel in enumerate(kernels):
            for kept, seed in zip(kernel, seeds, strict=True):
                one = torch.Generator().manual_seed(1000 * seed + number)
                rows = features if number == 0 else half
                columns = outputs if kernel is kernels[-1] else half
                block = drawn("orthogonal", rows, columns, one)
                block = torch.cat([block, -block]) if number else block
                kept.copy_(torch.cat([block, -block], 1) if kernel is not kernels[-1] else block)
    return twins


def drawn(initialiser: str, inputs: int, outputs: int, seed: torch.Generator) -> Tensor:
    """Return a kernel (inputs, outputs) as the initialiser of that name draws it."""
    shape = inputs, outputs
    match initialiser:
        case "orthogonal":
            return nn.init.orthogonal_(torch.empty(shape), generator=seed)
        case "glorot_uniform":
            return _uniform(shape, math.sqrt(6 / (inputs + outputs)), seed)
        case "torch":
            return _uniform(shape, inputs**-0.5, seed)
        case "he_normal" | "lecun_normal":
            return torch.randn(shape, generator=seed) * math.sqrt((2 if initialiser == "he_normal" else 1) / inputs)
    raise KeyError(initialiser)


def _uniform(shape: tuple[int, int], bound: float, seed: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=seed) - 1) * bound


def _modules(
    items: Sequence[Word | Group], units: int, initialiser: str, seeds: Sequence[torch.Generator]
) -> tuple[list[nn.Module], int]:
    """Return the modules of the items, and the units of the last one."""
    modules: list[nn.Module] = []
    for item in items:
        for _ in range(item.times):
            if isinstance(item, Group):
                inner, units = _modules(item.items, units, initialiser, seeds)
                modules += [Residual(*inner)] if item.residual else inner
                continue
            if item.name == "dense":
                modules.append(Dense(units, int(item.arguments[0]), initialiser, seeds))
                units = int(item.arguments[0])
            if item.name in ("batch_norm", "layer_norm"):
                axis = 1 if item.name == "batch_norm" else 2
                modules.append(Norm(units, axis, EPSILON.get(initialiser, 1e-3), len(seeds)))
            activation = item.arguments[1] if len(item.arguments) > 1 else item.name
            if activation in FUNCTIONS or activation == "leaky_relu":
                modules.append(Elementwise(activation, SLOPE.get(initialiser, 0.2)))
    return modules, units
