"""The network as a graph: what reads what, and which weights a path from the loss reaches.

Shared by GF501, GF502, GF603 and the rules that ask what a layer feeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from unvanish.core.network import Layer, Network, Parameter
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile


class Paths(NamedTuple):
    """Hold the layers with weights that training should move, in forward order, by what was seen of them."""

    reached: tuple[str, ...]
    """A gradient arrived at some moment, or a path was seen."""
    unreached: tuple[str, ...]
    """Looked at, and without a path at every moment."""
    unknown: tuple[str, ...]


def paths(seen: Observation) -> Paths:
    """Sort the layers whose weights training should move by whether the loss reaches them.

    A gradient other than zero proves a path, at any probe or watched step. Frozen layers, second calls of a shared
    layer and layers that no optimizer holds are left out.
    """
    left_out = not_optimised_layers(seen.network)
    known: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for layer in seen.network.layers:
        if _has_weights(layer) and layer.trainable and layer.shares is None and layer.name not in left_out:
            known[_reached(seen, layer.name)].append(layer.name)
    return Paths(tuple(known[True]), tuple(known[False]), tuple(known[None]))


def behind(network: Network, names: frozenset[str]) -> frozenset[str]:
    """Return the layers that read what the named ones give out, directly or not (by their order, without edges)."""
    if not network.edges:
        order = [layer.name for layer in network.layers]
        first = min((order.index(name) for name in names), default=len(order))
        return frozenset(order[first:]) - names
    found: set[str] = set()
    front = set(names)
    while front:
        front = {edge.target for edge in network.edges if edge.source in front} - found
        found |= front
    return frozenset(found)


def readers(network: Network, name: str, stop: Callable[[Layer], bool] | None = None) -> tuple[Layer, ...]:
    """Return the nearest layers that read a layer's output and at which `stop` says so, in forward order.

    stop: if None, at kernels and at what is not modelled; activation, normalisation, dropout and shortcut are passed.
    """
    ends = stop or (lambda layer: layer.kernel is not None or not layer.modelled)
    found: set[str] = set()
    passed: set[str] = set()
    front = [name]
    while front:
        for target in [edge.target for edge in network.edges if edge.source == front[0]]:
            if ends(network.layer(target)):
                found.add(target)
            elif target not in passed:
                passed.add(target)
                front.append(target)
        front.pop(0)
    return tuple(layer for layer in network.layers if layer.name in found)


def between(network: Network, name: str) -> tuple[Layer, ...]:
    """Return the layers that `readers` passes through, in forward order."""
    nearest = {layer.name for layer in readers(network, name)}
    beyond = behind(network, frozenset({name}))
    further = frozenset().union(*(behind(network, frozenset({reader})) for reader in nearest))
    return tuple(layer for layer in network.layers if layer.name in beyond - nearest - further)


def meant_to_move(network: Network) -> tuple[Parameter, ...]:
    """Return the arrays that training should move, each memory once; those that no optimizer holds are left out."""
    return tuple(p for p in network.parameters if p.trainable and p.tied_to is None and p.optimised is not False)


def not_optimised(network: Network) -> tuple[Parameter, ...]:
    """Return the arrays that training should move and that no optimizer holds, each memory once."""
    held = {p.tied_to for p in network.parameters if p.optimised and p.tied_to is not None}
    missing = (p for p in network.parameters if p.trainable and p.optimised is False and p.tied_to is None)
    return tuple(p for p in missing if p.name not in held)


def not_optimised_layers(network: Network) -> frozenset[str]:
    """Return the layers all of whose trainable arrays no optimizer holds."""
    missing = {p.layer for p in not_optimised(network)}
    return frozenset(missing - {p.layer for p in meant_to_move(network)})


def _has_weights(layer: Layer) -> bool:
    return layer.kernel is not None or layer.parameters > 0


def _reached(seen: Observation, name: str) -> bool | None:
    probes = [layer for profile in seen.profiles for layer in profile.layers if layer.name == name]
    if any(_arrived(layer) for layer in probes) or _watched(seen, name):
        return True
    looked = [layer.reached for layer in probes if layer.reached is not None]
    return any(looked) if looked else None


def _arrived(layer: LayerProfile) -> bool:
    return layer.gradient_norm is not None and layer.gradient_norm != 0  # not a number is a gradient too


def _watched(seen: Observation, name: str) -> bool:
    recording = seen.recording
    if name not in recording.layers:
        return False
    column = recording.layers.index(name)
    return any(row[column] != 0 for row in recording.rows.get("gradient_norm", ()))
