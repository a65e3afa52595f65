"""Which layers of a network are to give, and are to read, mirrored pairs of units: f(u) beside f(-u)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from unvanish.core.edit import Redraw
from unvanish.core.patch import Mirrored
from unvanish.errors import UnsupportedError
from unvanish.keras.graph import Leaf
from unvanish.keras.kinds import activation_of, kernel_of, kind_of, reduction_of

_PARAMETERS = {"gelu": 0.0, "gelu_tanh": 0.0, "hard_silu": 0.0, "linear": 1.0, "relu": 0.0, "silu": 0.0}
_SLOPES = {**_PARAMETERS, "softplus": 0.0}
"""Activation -> a, where f(u) - f(-u) = (1 + a) u; of leaky_relu it is its slope."""


class Mirror(NamedTuple):
    """Say how the kernel of one layer is to be laid out."""

    channels: int | None
    """Channels of its mirrored input; None for an input that is not mirrored."""
    slope: float
    """f(u) - f(-u) = (1 + slope) u for the activation that it reads."""
    mirrored: bool
    """Whether its units are to be mirrored pairs; those of an output layer are not."""


def mirrors(found: Sequence[Leaf], outputs: Sequence[str], names: Sequence[str]) -> dict[str, Mirror]:
    """Return the layout of each of the named layers.

    Raise UnsupportedError where the network would not be linear: another activation, a normalisation, a dropout, a
    branch or a maximum between two of them, an odd number of units, or a layer that reads pairs and is not named.
    """
    leaves = {leaf.name: leaf for leaf in found}
    ends = {name for output in outputs if (name := _back(leaves, output, set(names))[0]) is not None}
    for leaf in found:
        if leaf.name not in names and kind_of(leaf.operation) not in _PASSED and not _is_end(leaf, outputs):
            _require_no_pairs(leaves, leaf, names)
    return {name: _mirror(leaves, name, set(names), mirrored=name not in ends) for name in names}


def layouts(found: Sequence[Leaf], outputs: Sequence[str], edit: Redraw) -> dict[str, Mirrored]:
    """Return what declares the looks-linear kernels of an edit; raise as `mirrors` does."""
    return {
        name: Mirrored(
            gain=edit.gain if mirror.channels is None else edit.gain / (1.0 + mirror.slope),
            channels=mirror.channels,
            pairs=mirror.mirrored,
        )
        for name, mirror in mirrors(found, outputs, edit.layers).items()
    }


_PASSED = ("activation", "flatten", "pool")


def _is_end(leaf: Leaf, outputs: Sequence[str]) -> bool:
    return leaf.name in outputs and kernel_of(leaf.operation) is None


def _require_no_pairs(leaves: dict[str, Leaf], leaf: Leaf, names: Sequence[str]) -> None:
    """Raise UnsupportedError for a layer that reads a named one directly and is not named itself."""
    for source in leaf.sources:
        name, _ = _back(leaves, source, set(names))
        if name is not None:
            raise UnsupportedError(
                f"{leaf.name!r} lies behind {name!r} and would not read its mirrored pairs as one",
                found=f"a layer of the kind {kind_of(leaf.operation)}",
                hint="a looks-linear initialisation needs plain layers up to the output, all of them redrawn",
            )


def _mirror(leaves: dict[str, Leaf], name: str, names: set[str], *, mirrored: bool) -> Mirror:
    leaf = leaves[name]
    if kind_of(leaf.operation) not in ("dense", "conv"):
        raise UnsupportedError(
            f"{name!r} has no kernel that could be mirrored", found=f"a layer of the kind {kind_of(leaf.operation)}"
        )
    units = _units(leaf)
    if mirrored and units % 2:
        raise UnsupportedError(
            f"the units of {name!r} cannot be mirrored",
            found="an odd number of units",
            numbers={"units": units},
            hint=f"{units + 1} units",
        )
    source, activations = _back(leaves, leaf.sources[0], names)
    if source is None:
        return Mirror(None, 0.0, mirrored)
    own = activation_of(leaves[source].operation, {})
    applied = [own, *activations] if own[0] != "linear" else activations
    if len(applied) > 1 or any(activation not in _SLOPES and activation != "leaky_relu" for activation, _ in applied):
        raise UnsupportedError(
            f"no pair of units behind {source!r} can add up to a linear one",
            found=f"activation {' and '.join(activation for activation, _ in applied)}",
            hint=f"an activation with f(u) - f(-u) = u: {', '.join(sorted(_SLOPES))}, leaky_relu",
        )
    activation, parameter = applied[0] if applied else ("linear", None)
    slope = _SLOPES.get(activation, 0.2 if parameter is None else parameter)
    return Mirror(_units(leaves[source]), slope, mirrored)


def _units(leaf: Leaf) -> int:
    return int(kernel_of(leaf.operation).shape[-1])  # type: ignore[union-attr]  # of a dense or conv layer


def _back(leaves: dict[str, Leaf], name: str, names: set[str]) -> tuple[str | None, list[tuple[str, float | None]]]:
    """Return (the named layer whose units arrive at `name`, or None; the activations that lie behind it)."""
    activations: list[tuple[str, float | None]] = []
    while name not in names:
        leaf = leaves[name]
        kind = kind_of(leaf.operation)
        if kind not in _PASSED or len(leaf.sources) != 1 or (kind == "pool" and reduction_of(leaf.operation) == "max"):
            return None, activations
        if kind == "activation":
            activations.append(activation_of(leaf.operation, {}))
        name = leaf.sources[0]
    return name, activations
