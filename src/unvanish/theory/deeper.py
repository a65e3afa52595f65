"""The same recipe at another depth: a network with its last repeated block repeated more, or less, often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from unvanish.core.network import Edge, Layer, Network


class _Block(NamedTuple):
    """Layers that only the last one of is read from outside, and the edges that enter or lie within them."""

    layers: tuple[Layer, ...]
    edges: tuple[Edge, ...]


def deeper(network: Network, kernels: int) -> Network | None:
    """Return the network with copies of its last repeated block put behind it, until it has about so many kernels.

    The copies have the weights' moments of the original. None where nothing is repeated. The network is not changed.
    """
    blocks = _blocks(network)
    found = _repeated(blocks)
    if found is None:
        return None
    start, end = found
    pattern = blocks[start:end]
    each = sum(layer.kernel is not None for block in pattern for layer in block.layers)
    times = max(0, -(-(kernels - len(network.kernels)) // each))
    last = before = pattern[-1].layers[-1].name
    entry = blocks[start - 1].layers[-1].name
    copies: list[_Block] = []
    for number in range(times):
        names = {entry: last} | {x.name: f"{x.name}+{number + 1}" for block in pattern for x in block.layers}
        copies += [_renamed(block, names) for block in pattern]
        last = names[before]
    behind = [_renamed(block, {before: last}, keep=True) for block in blocks[end:]]
    longer = [*blocks[:end], *copies, *behind]
    return replace(
        network,
        layers=tuple(layer for block in longer for layer in block.layers),
        edges=tuple(edge for block in longer for edge in block.edges),
        outputs=tuple(last if name == before else name for name in network.outputs),
    )


def at_depth(network: Network, kernels: int) -> Network | None:
    """Return the network with its last repeated block repeated as often as makes about so many kernels, once at least.

    Rounded up where the block has several. None where nothing is repeated. The network is not changed.
    """
    blocks = _blocks(network)
    found = _repeated(blocks)
    if found is None or kernels >= len(network.kernels):
        return deeper(network, kernels)
    start, end = found
    length, shapes = end - start, [_shape(block) for block in blocks]
    first = start
    while first >= length and shapes[first - length : first] == shapes[start:end]:
        first -= length
    each = sum(layer.kernel is not None for block in blocks[start:end] for layer in block.layers)
    fewer = min((len(network.kernels) - kernels) // each, (start - first) // length)
    if not fewer:
        return network
    last, kept = blocks[end - 1].layers[-1].name, blocks[: end - fewer * length]
    names = {last: kept[-1].layers[-1].name}
    shorter = [*kept, *(_renamed(block, names, keep=True) for block in blocks[end:])]
    return replace(
        network,
        layers=tuple(layer for block in shorter for layer in block.layers),
        edges=tuple(edge for block in shorter for edge in block.edges),
        outputs=tuple(names.get(name, name) for name in network.outputs),
    )


def repeated_block(network: Network) -> tuple[Layer, ...] | None:
    """Return the layers of the last repeated block, of its last copy; None where nothing is repeated."""
    blocks = _blocks(network)
    found = _repeated(blocks)
    return None if found is None else tuple(layer for block in blocks[slice(*found)] for layer in block.layers)


def _blocks(network: Network) -> list[_Block]:
    """Cut the network wherever all that follows reads one layer only."""
    place = {layer.name: i for i, layer in enumerate(network.layers)}
    furthest = list(range(len(place)))
    entering: dict[str, list[Edge]] = {name: [] for name in place}
    for edge in network.edges:
        furthest[place[edge.source]] = max(furthest[place[edge.source]], place[edge.target])
        entering[edge.target].append(edge)
    blocks, start, open_until = [], 0, 0
    for i in range(len(place)):
        if open_until <= i:
            layers = network.layers[start : i + 1]
            blocks.append(_Block(layers, tuple(edge for layer in layers for edge in entering[layer.name])))
            start = i + 1
        open_until = max(open_until, furthest[i])
    return blocks


def _repeated(blocks: Sequence[_Block]) -> tuple[int, int] | None:
    """Return (start, end) of the last run of blocks, with a kernel in it, that comes right before itself once more."""
    numbers: dict[tuple[object, ...], int] = {}
    shapes = [numbers.setdefault(_shape(block), len(numbers)) for block in blocks]
    earlier: list[list[int]] = [[] for _ in numbers]  # where each shape is: a run ends like what comes before it
    for place, shape in enumerate(shapes):
        earlier[shape].append(place)
    for end in range(len(blocks), 1, -1):
        same = earlier[shapes[end - 1]]
        same.pop()
        for place in reversed(same):
            length = end - 1 - place
            start = end - length
            if length > end // 2:
                break
            if shapes[start:end] != shapes[start - length : start]:
                continue
            if any(x.kernel is not None for block in blocks[start:end] for x in block.layers):
                return start, end
    return None


def _shape(block: _Block) -> tuple[object, ...]:
    """Return what makes two blocks alike: everything but names and the weights drawn."""
    place = {layer.name: i for i, layer in enumerate(block.layers)}
    layers = tuple((x.kind, x.activation, x.activation_parameter, x.units, x.fan_in, x.keep) for x in block.layers)
    return layers, tuple((place.get(edge.source, -1), place[edge.target]) for edge in block.edges)


def _renamed(block: _Block, names: dict[str, str], *, keep: bool = False) -> _Block:
    """Return the block with layers renamed; keep: only the sources of its edges."""
    layers = block.layers if keep else tuple(replace(x, name=names[x.name]) for x in block.layers)
    edges = (Edge(names.get(e.source, e.source), e.target if keep else names[e.target]) for e in block.edges)
    return _Block(layers, tuple(edges))
