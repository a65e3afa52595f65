"""How far each parameter is from the loss: the weight operations on the way, read off autograd's graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from unvanish.torch.arrays import tensors_in
from unvanish.torch.call import Call

Range = tuple[int, int]
"""(fewest, most)."""


def depths(output: Any, made: Mapping[Any, Call], model: torch.nn.Module) -> dict[str, Range]:
    """Return, for each parameter with a path from the output, the weight operations on the (shortest, longest) one.

    The parameter's own operation counts; a loss after the output would add none. made: node -> the layer that it
    belongs to. A parameter that is missing is cut off from the output.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    starts = [tensor.grad_fn for tensor in tensors_in(output) if tensor.grad_fn is not None]
    ways: dict[Any, Range] = dict.fromkeys(starts, (0, 0))
    found: dict[str, Range] = {}
    for node in _from_the_end(starts):
        call = made.get(node)
        own = 1 if call is not None and any(w.ndim > 1 for w in call.parameters) else 0
        fewest, most = ways[node]
        here = fewest + own, most + own
        name = names.get(id(getattr(node, "variable", None)))
        if name is not None:
            found[name] = here
        for following, _ in node.next_functions:
            if following is not None:
                before = ways.get(following, here)
                ways[following] = min(before[0], here[0]), max(before[1], here[1])
    return {name: found[name] for name in names.values() if name in found}


def _from_the_end(starts: list[Any]) -> Iterator[Any]:
    """Yield every node of the graph once, each after all nodes that lead to it."""
    order: list[Any] = []
    visited: set[Any] = set()
    waiting: list[tuple[Any, bool]] = [(node, False) for node in starts]
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif node not in visited:
            visited.add(node)
            waiting.append((node, True))
            waiting.extend((following, False) for following, _ in node.next_functions if following is not None)
    yield from reversed(order)
