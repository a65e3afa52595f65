"""The network as data: its layers in forward order, and which output feeds which layer."""

from __future__ import annotations

import math
from typing import Literal

import msgspec


class WeightStats(msgspec.Struct, frozen=True, kw_only=True):
    """Describe the entries of one weight array by their moments; dimensionless."""

    mean: float
    variance: float
    size: int
    orthogonal: bool = False
    """Whether the rows or the columns of a kernel are orthogonal and of one length."""

    @property
    def second_moment(self) -> float:
        """Return the mean square of the entries."""
        return self.variance + self.mean * self.mean


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one leaf layer. A kernel layer may carry its own activation (`Dense(64, "tanh")`)."""

    name: str
    """Unique in the network; the path (`block/dense_1`) inside nested models."""
    kind: str
    """One of KINDS; `other` for what is not recognised."""
    type: str
    """The class name that the user wrote, for display only: nothing is decided by it."""
    activation: str = "linear"
    """Canonical name (see theory.activations), `softmax`, or `other`."""
    activation_parameter: float | None = None
    """Slope of leaky_relu, alpha of elu; None for the default."""
    units: int | None = None
    """Number of output features (channels)."""
    fan_in: int | None = None
    fan_out: int | None = None
    kernel: WeightStats | None = None
    recurrent_kernel: WeightStats | None = None
    """What a recurrent layer multiplies its own state by; `kernel` is then what it multiplies its input by."""
    distinct_units: int | None = None
    """Number of different units: two whose incoming weights and bias are equal count once. None without a kernel."""
    bias: WeightStats | None = None
    scale: WeightStats | None = None
    """Gamma of a normalisation; what a layer of kind `scale` multiplies by, one number or one for each unit."""
    shift: WeightStats | None = None
    """Beta of a normalisation."""
    table: WeightStats | None = None
    """Entries of an embedding."""
    state: str | None = None
    """Activation of a simple recurrent layer's state: s_t = f(W x_t + R s_(t-1) + b); None for any other cell."""
    groups: int | None = None
    """Groups of a group normalisation; as many as units for an instance normalisation."""
    keep: float = 1.0
    """Share of units that a dropout keeps."""
    reduction: str | None = None
    """`max` or `average` of a pool; None when it is not known."""
    epsilon: float | None = None
    momentum: float | None = None
    """Momentum of a batch normalisation's moving averages."""
    parameters: int = 0
    trainable: bool = True
    shape: tuple[int | None, ...] = ()
    """Output shape without the batch axis."""
    shares: str | None = None
    """Name of the layer whose weights this call of it uses again; None for the first call."""
    initializer: str | None = None
    """Declared kernel initializer, for display only: the theory uses the weights themselves."""

    @property
    def modelled(self) -> bool:
        """Say whether the theory knows what such a layer does to signal and gradient."""
        if self.kind == "recurrent":
            return self.state is not None and self.kernel is not None and self.recurrent_kernel is not None
        return self.kind in MODELLED and (self.kind != "embedding" or self.table is not None)


MODELLED = frozenset(
    {
        "activation",
        "add",
        "batch_norm",
        "conv",
        "dense",
        "dropout",
        "embedding",
        "flatten",
        "group_norm",
        "input",
        "layer_norm",
        "pool",
        "recurrent",
        "rms_norm",
        "scale",
    }
)
"""Kinds that the theory has a recursion for; of recurrent ones the simple cell only."""

KINDS = (
    *sorted(MODELLED),
    "attention",
    "concatenate",
    "multiply",
    "other",
)
"""All kinds. What is not among MODELLED is passed over by the theory, and named."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one weight array of the network, whatever layer it belongs to: every one of them is accounted for."""

    name: str
    """Path of the array in the model, for example `block/dense_1/kernel` or `encoder.0.weight`."""
    layer: str = ""
    """Name of the layer that owns it; empty where none that was seen does."""
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    trainable: bool = True
    """Whether training is meant to move it."""
    optimised: bool | None = None
    """Whether an optimizer holds it; None when that is not known."""
    tied_to: str | None = None
    """Name of the parameter whose memory it shares; None for the first of them."""

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return math.prod(self.shape)


class Edge(msgspec.Struct, frozen=True):
    """Say that the output of `source` is an input of `target` (both layer names)."""

    source: str
    target: str


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a network's layers in forward (topological) order, and its edges."""

    name: str
    framework: str
    """For display, for example `Keras 3.15.1 (tensorflow)`."""
    library: Literal["keras", "torch"] = "keras"
    """Whose words a change is told in: what the user's source is written with, not what computes it."""
    layers: tuple[Layer, ...]
    edges: tuple[Edge, ...] = ()
    outputs: tuple[str, ...] = ()
    """Names of the layers whose outputs are the network's outputs."""
    parameters: tuple[Parameter, ...] = ()
    """Every weight array of the model, in the model's own order."""
    traced: bool = False
    """Whether layers and edges are those of one forward pass, for want of a static graph."""

    def layer(self, name: str) -> Layer:
        """Return the layer of that name; raise KeyError if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def targets(self) -> dict[str, list[str]]:
        """Return, for each layer that another one reads, the names of those that do."""
        found: dict[str, list[str]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, []).append(edge.target)
        return found

    def sources(self, name: str) -> tuple[str, ...]:
        """Return the names of the layers that feed `name`, in the order of its inputs."""
        return tuple(edge.source for edge in self.edges if edge.target == name)

    @property
    def kernels(self) -> tuple[Layer, ...]:
        """Return the layers that own a kernel (dense and convolution), in forward order."""
        return tuple(layer for layer in self.layers if layer.kernel is not None)

    @property
    def not_modelled(self) -> tuple[str, ...]:
        """Return the names of the layers that the theory passes over."""
        return tuple(layer.name for layer in self.layers if not layer.modelled)
