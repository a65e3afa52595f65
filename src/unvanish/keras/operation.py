"""What is to be done at one layer of a model that is rebuilt."""

from __future__ import annotations

import math
from typing import Any

import keras

from unvanish.core.edit import AddNorm, Redraw
from unvanish.errors import UnsupportedError
from unvanish.keras.kinds import DEPTHWISE, SEPARABLE, fans_of, kernel_of, kind_of, wrapped
from unvanish.keras.local_classes import BranchGain
from unvanish.keras.remade import Reseed, remade

_PARAMETERS = {"leaky_relu": ("negative_slope", 0.2), "elu": ("alpha", 1.0)}
_LAYERS = {"leaky_relu": keras.layers.LeakyReLU, "elu": keras.layers.ELU}
_NORMS = {"batch_norm": keras.layers.BatchNormalization, "layer_norm": keras.layers.LayerNormalization}


class Operation:
    """Collect the edits at one layer, and make the layers that take its place."""

    def __init__(self) -> None:
        """Plan nothing yet."""
        self.activation: tuple[str, float | None] | None = None
        self.redraw: Redraw | None = None
        self.norm: AddNorm | None = None
        self.residual = False
        self.follower: Any = None
        """The activation operation behind the layer, where it is one of its own."""

    @property
    def wanted(self) -> bool:
        """Say whether there is anything to do."""
        return bool(self.activation or self.redraw or self.norm or self.residual)

    def layers(self, original: Any, reseed: Reseed | None = None) -> list[Any]:
        """Return the new layers, one behind the other, in the place of the original and before its follower."""
        changes: dict[str, Any] = {} if self.redraw is None else initializers(original, self.redraw)
        if kind_of(original) == "activation" and self.activation is not None:
            name, parameter = self.activation
            return [activation_layer(name, parameter, {"name": original.name, "dtype": _dtype(original)})]
        if self.activation is not None:
            changes["activation"] = activation_of(*self.activation)
        split = self.norm is not None and self.norm.before and self.follower is None and not _is_linear(original)
        if not split:
            return [remade(original, changes, reseed), *self._norm(original, before=True)]
        function = changes.pop("activation", original.activation)
        behind = keras.layers.Activation(function, name=f"{original.name}_activation", dtype=_dtype(original))
        return [
            remade(original, {**changes, "activation": "linear"}, reseed),
            *self._norm(original, before=True),
            behind,
        ]

    def behind(self, original: Any) -> list[Any]:
        """Return the new layers behind the activation of the original."""
        return self._norm(original, before=False)

    def joint(self, original: Any) -> list[Any]:
        """Return the gain through which the branch goes, and what adds the input to it; nothing without a branch."""
        if not self.residual:
            return []
        names = f"{original.name}_gain", f"{original.name}_residual"
        return [BranchGain(name=names[0], dtype=_dtype(original)), keras.layers.Add(name=names[1])]

    def _norm(self, original: Any, *, before: bool) -> list[Any]:
        if self.norm is None or self.norm.before != before:
            return []
        axis = _channels(original)
        extra = {} if axis is None else {"axis": axis}
        return [_NORMS[self.norm.kind](name=f"{original.name}_norm", dtype=_dtype(original), **extra)]


def activation_of(name: str, parameter: float | None = None) -> Any:
    """Return what Keras takes for an activation: its name, or a layer where it has a parameter of its own."""
    if name in _PARAMETERS and parameter is not None and parameter != _PARAMETERS[name][1]:
        return _LAYERS[name](**{_PARAMETERS[name][0]: parameter})
    if name not in KNOWN:
        raise UnsupportedError(
            f"Keras has no activation {name!r}", found=f"known: {', '.join(sorted(KNOWN))}", hint="name one of them"
        )
    return name


KNOWN = frozenset(
    {"elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "linear", "mish", "relu"}
    | {"relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "tanh"}
)
"""Canonical names (core.activations) under which Keras ships the same function."""


def activation_layer(name: str, parameter: float | None, options: dict[str, Any]) -> Any:
    """Return a layer that applies the activation."""
    if name in _PARAMETERS and parameter is not None:
        return _LAYERS[name](**{_PARAMETERS[name][0]: parameter}, **options)
    return keras.layers.Activation(activation_of(name), **options)


def initializers(original: Any, redraw: Redraw) -> dict[str, Any]:
    """Return the entries of a layer's configuration that declare the redrawn weights, where Keras ships such."""
    inner = wrapped(original)
    if inner is not original:
        return {"layer": keras.saving.serialize_keras_object(remade(inner, initializers(inner, redraw)))}
    config, kernel = original.get_config(), _kernel_entry(original)
    found: dict[str, Any] = {}
    if kernel in config and redraw.scheme in ("normal", "orthogonal"):
        found[kernel] = shipped(original, redraw)
    if "bias_initializer" in config and redraw.scheme != "centred_orthogonal" and kind_of(original) != "recurrent":
        found["bias_initializer"] = "zeros"
    return found


def shipped(original: Any, redraw: Redraw) -> Any:
    """Return Keras' own initializer for the schemes `normal` and `orthogonal`, which counts fans by the shape alone."""
    if redraw.scheme == "orthogonal":
        return keras.initializers.Orthogonal(gain=redraw.gain)
    kernel, fans = kernel_of(original), fans_of(original)
    counted = 1.0 if kernel is None or fans is None else math.prod(kernel.shape[:-1]) / fans.fan_in
    if redraw.word and counted == 1.0:
        return redraw.word
    return keras.initializers.VarianceScaling(redraw.gain**2 * counted, "fan_in", "truncated_normal")


def _kernel_entry(original: Any) -> str:
    """Return the entry of a layer's configuration that declares what `kernel_of` gives."""
    if isinstance(original, SEPARABLE):
        return "pointwise_initializer"
    return "depthwise_initializer" if isinstance(original, DEPTHWISE) else "kernel_initializer"


def _is_linear(original: Any) -> bool:
    return getattr(original, "activation", keras.activations.linear) is keras.activations.linear


def _dtype(original: Any) -> Any:
    """Return the name of a layer's dtype policy; None, which is the global one, for an operation that has none."""
    policy = getattr(original, "dtype_policy", None)
    return None if policy is None else policy.name


def _channels(original: Any) -> int | None:
    """Return the axis of the features where it is not the last one."""
    return 1 if getattr(original, "data_format", None) == "channels_first" else None
