"""Read one call of a function of PyTorch: its kind, which arguments are data, and what its weights are for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from unvanish.torch.arrays import tensors_in
from unvanish.torch.functions import KINDS
from unvanish.torch.through_time import Recurrence, recurrence

_STATES = {"rnn_relu": "relu", "rnn_tanh": "tanh"}
"""Name of the function -> activation of the state."""

Weighted = Callable[[torch.Tensor], bool]
"""Says whether a tensor comes from parameters alone."""

_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_PARAMETERS: dict[Any, tuple[str, ...]] = {
    "addmm": ("bias", "input", "weight"),
    "batch_norm": _NORM,
    torch.batch_norm: ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
    "conv1d": ("input", "weight", "bias"),
    "conv2d": ("input", "weight", "bias"),
    "conv3d": ("input", "weight", "bias"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
    "instance_norm": _NORM,
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "linear": ("input", "weight", "bias"),
    "matmul": ("input", "weight"),
    "mm": ("input", "weight"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
}
"""Names of the first arguments, where the kind of an argument matters."""


@dataclass(slots=True)
class Reading:
    """Hold what one call is, before it runs. Lives as long as the call."""

    kind: str
    name: str
    data: list[torch.Tensor]
    """Tensors that do not come from parameters alone, in order."""
    weights: list[torch.Tensor]
    fields: dict[str, Any] = field(default_factory=dict)
    """More fields of the Call."""
    recurrence: Recurrence | str | None = None
    """Of a recurrent layer: the call, or why it cannot be looked at over time."""
    reduced: frozenset[int] = frozenset()
    """Axes that a mean or a maximum runs over."""
    reads_channels: bool = False
    """Whether axis 1 is the channels."""
    adds_a_multiple: bool = False
    """Whether the second summand is multiplied first (`alpha`)."""
    factor: torch.Tensor | None = None
    """What a product multiplies its data by: a number, or weights."""

    def is_pool(self, channels_first: bool) -> bool:
        """Say whether a reduction runs over places: over all axes but the samples and the features."""
        ndim = self.data[0].ndim if self.data else 0
        places = set(range(1, ndim)) - {1 if channels_first else ndim - 1}
        return bool(places) and self.reduced == places

    @property
    def is_layer_of_weights(self) -> bool:
        """Say whether it is a layer even where nothing that was seen enters it: a position's embedding."""
        return self.kind == "embedding"


def read(name: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], weighted: Weighted) -> Reading:
    """Return what the call is. Nothing is changed."""
    found = list(tensors_in((args, kwargs)))
    data, weights = [t for t in found if not weighted(t)], [t for t in found if weighted(t)]
    reading = Reading(KINDS.get(name, "other"), name, data, weights)
    bound = _bound(name, function, args, kwargs)
    if reading.kind in ("dense", "conv"):
        _kernel(reading, bound)
        reading.reads_channels = reading.kind == "conv"
    elif reading.kind in ("batch_norm", "layer_norm", "group_norm", "rms_norm"):
        _norm(reading, bound)
    elif reading.kind == "recurrent":
        _recurrent(reading, args)
    elif name == "embedding":
        reading.fields["table"] = _table(reading, kwargs.get("max_norm", args[3] if len(args) > 3 else None))
    elif reading.kind == "dropout":
        rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
        reading.fields["keep"] = 1.0 - float(rate)
    elif reading.kind == "pool":
        reading.fields["reduction"] = "max" if "max" in name else "average"
        reading.reads_channels = True
    elif name in ("softmax", "log_softmax", "softmin"):
        axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
        over_features = data and axis in (-1, data[0].ndim - 1)
        reading.kind = "activation"
        reading.fields["activation"] = "softmax" if name == "softmax" and over_features else "other"
    elif name in ("mul", "multiply") and len(data) == 1:
        reading.factor = _factor(weights, (*args, *kwargs.values()))
    elif name == "add" and kwargs.get("alpha", 1) != 1:
        reading.adds_a_multiple = True
    elif name in ("mean", "amax") and data:
        reading.reduced = _axes(data[0], args, kwargs)
    return reading


def _bound(name: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    names = _PARAMETERS.get(function) or _PARAMETERS.get(name, ())
    bound = {**dict(zip(names, args, strict=False)), **kwargs}
    for given, meant in (("mat1", "input"), ("mat2", "weight"), ("other", "weight")):
        if given in bound:
            bound[meant] = bound.pop(given)
    return bound


def _kernel(reading: Reading, bound: dict[str, Any]) -> None:
    """Find the kernel and the bias; a product of two activations is `multiply`."""
    kernel, bias = bound.get("weight"), bound.get("bias")
    is_weight = kernel is not None and any(kernel is w for w in reading.weights)
    if kernel is None or not is_weight or (reading.kind == "dense" and kernel.ndim != 2):
        reading.kind = "multiply" if reading.kind == "dense" and not reading.weights else "other"
        return
    reading.data = [t for t in reading.data if t is not kernel and t is not bias]
    reading.weights.sort(key=lambda w: w is not kernel)
    reading.fields.update(kernel=kernel, bias=bias, units_last=reading.name != "linear" and reading.kind == "dense")


def _recurrent(reading: Reading, args: tuple[Any, ...]) -> None:
    """Find what the input and what the state is multiplied by, in the first layer of a stack."""
    given = [weight for weight in tensors_in(args[2:]) if any(weight is w for w in reading.weights)]
    if len(given) >= 2 and given[0].ndim == given[1].ndim == 2:
        bias = given[2] if len(given) > 2 and given[2].ndim == 1 else None
        reading.fields.update(kernel=given[0], recurrent_kernel=given[1], bias=bias)
    reading.recurrence = recurrence(reading.name, args)
    called = reading.recurrence
    if isinstance(called, Recurrence) and called.layers * called.directions == 1:
        reading.fields["state"] = _STATES.get(reading.name)
        if reading.name in _STATES and called.biased:  # a bias of the input and one of the state, which are added
            reading.fields["bias"] = given[2].detach() + given[3].detach()


def _table(reading: Reading, max_norm: float | None) -> torch.Tensor | None:
    """Return the rows of an embedding that hands them on as they are."""
    tables = [weight for weight in reading.weights if weight.ndim == 2]
    return tables[0] if len(tables) == 1 and max_norm is None else None


def _norm(reading: Reading, bound: dict[str, Any]) -> None:
    """Find scale and shift; running statistics are not data."""
    reading.data = [bound["input"]]
    reading.reads_channels = reading.kind in ("batch_norm", "group_norm")
    reading.fields.update(scale=bound.get("weight"), shift=bound.get("bias"))
    default = torch.finfo(bound["input"].dtype).eps if reading.kind == "rms_norm" else 1e-5
    epsilon = bound.get("eps", default)
    reading.fields["epsilon"] = float(default if epsilon is None else epsilon)
    if reading.kind == "group_norm":
        reading.fields["groups"] = int(bound.get("num_groups", bound["input"].shape[1]))
    if reading.kind == "batch_norm":  # PyTorch's momentum is the share that is new
        reading.fields["momentum"] = 1.0 - float(bound.get("momentum", 0.1))


def _factor(weights: Sequence[torch.Tensor], given: Sequence[Any]) -> torch.Tensor | None:
    """Return the one number that is given, as float64, or the one array of real weights; None for anything else."""
    numbers = [x for x in given if isinstance(x, int | float) and not isinstance(x, bool)]
    if len(numbers) + len(weights) != 1 or any(not weight.is_floating_point() for weight in weights):
        return None
    return weights[0] if weights else torch.tensor([float(numbers[0])], dtype=torch.float64, device="cpu")


def _axes(data: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> frozenset[int]:
    """Return the axes that a reduction runs over; none where it runs over all."""
    dims = kwargs.get("dim", args[1] if len(args) > 1 else None)
    given = dims if isinstance(dims, tuple | list) else (dims,)
    return frozenset(d % data.ndim for d in given if isinstance(d, int))
