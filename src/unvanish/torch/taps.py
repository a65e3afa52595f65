"""Read gradients in the user's own backward pass, by hooks on the nodes of autograd's graph.

A node of the graph is not a tensor: no alias is put between the user's operations, so that in-place operations,
accumulation order and every bit stay what they are. `dL/d output` enters the node that made the output; `dL/d input`
through one operation alone leaves its nodes along the edges that lead to what made the input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
from torch.autograd.graph import get_gradient_edge

from unvanish.torch.compat import base_of

Edge = tuple[Any, int]
"""(node, number of its output)."""
Node = Any
Crossing = tuple[Node, int, int]
"""(node, position among its inputs, number of the tensor that is there)."""
FARTHEST = 50_000
"""Nodes that the search inside one operation looks at; a recurrent layer has tens per time step."""


def edges_of(tensor: torch.Tensor, *, may_write: bool) -> tuple[Edge, ...]:
    """Return where the gradient with respect to the tensor, as it is now, will go; () where none will.

    may_write: the tensor may be about to change in place. A view's own node then leaves the graph, and its base's
    stays.
    """
    if not (torch.is_grad_enabled() and tensor.requires_grad):
        return ()
    found = [_edge(tensor)]
    base = whole_base(tensor)
    if may_write and base is not None:
        found.append(_edge(base))
    return tuple(found)


def _edge(tensor: torch.Tensor) -> Edge:
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def whole_base(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return the tensor that this one shows all of in another shape; None where there is none."""
    base = base_of(tensor)
    return base if base is not None and base.requires_grad and base.numel() == tensor.numel() else None


def node_of(output: torch.Tensor, before: Collection[Node]) -> Edge | None:
    """Return the node that an operation's output comes from, and which of its outputs it is.

    Where the output is a view of what the operation computed (a linear layer on three axes), the node of that: it
    stays in the graph when the output is changed in place later. before: nodes that were there before the operation.
    """
    if output.grad_fn is None:
        return None
    base = whole_base(output)
    if base is not None and base.grad_fn is not None and base.grad_fn not in before:
        return base.grad_fn, base.output_nr
    return output.grad_fn, output.output_nr


def edges_before(tensor: torch.Tensor, made: Collection[Node]) -> tuple[list[Edge], list[torch.Tensor]]:
    """Return the edges into nodes that are known, nearest to a tensor, and the parameters and other leaves on the way.

    For a tensor that no function of PyTorch was seen to make: of a custom autograd function, of a scripted module.
    """
    found: dict[Edge, None] = {}
    leaves: dict[int, torch.Tensor] = {}
    waiting: list[Node] = [tensor.grad_fn]
    visited: set[Node] = set(waiting)
    while waiting and len(visited) < FARTHEST:
        node = waiting.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            leaves[id(leaf)] = leaf
        for following, number in node.next_functions:
            if following in made:
                found[following, number] = None
            elif following is not None and following not in visited:
                visited.add(following)
                waiting.append(following)
    return list(found), list(leaves.values())


def crossings(starts: Sequence[Node], inputs: Sequence[tuple[Edge, ...]], before: Collection[Node]) -> list[Crossing]:
    """Return where the gradient leaves an operation towards each of its inputs.

    starts: nodes of its outputs. inputs: `edges_of` each input, taken before it ran.
    """
    targets: dict[Edge, list[int]] = {}
    for number, edges in enumerate(inputs):
        for edge in edges:
            targets.setdefault(edge, []).append(number)
    ends = {node for node, _ in targets}
    found: list[tuple[Node, int, list[int]]] = []
    waiting, visited = [node for node in starts if node not in ends and node not in before], set(starts)
    while waiting and len(visited) < FARTHEST:
        node = waiting.pop()
        for position, (following, number) in enumerate(node.next_functions):
            if (following, number) in targets:
                found.append((node, position, targets[following, number]))
            elif following is None or following in ends or following in before or following in visited:
                continue
            else:
                visited.add(following)
                waiting.append(following)
    return list(_assigned(found))


def _assigned(found: Sequence[tuple[Node, int, list[int]]]) -> Iterator[Crossing]:
    """Tell one tensor that was given twice (`x + x`) apart: the k-th place is the k-th argument's."""
    used: dict[tuple[int, ...], int] = {}
    for node, position, numbers in found:
        turn = used.get(tuple(numbers), 0)
        used[tuple(numbers)] = turn + 1
        yield node, position, numbers[turn % len(numbers)]


def on_output(edge: Edge, then: Callable[[torch.Tensor], None]) -> Any:
    """Call `then` with dL/d output in each backward pass. Return the hook's handle."""
    node, number = edge

    def hook(grads: tuple[torch.Tensor | None, ...]) -> None:
        gradient = grads[number]
        if gradient is not None:
            then(gradient)

    return node.register_prehook(hook)


def on_inputs(places: Sequence[Crossing], then: Callable[[dict[int, torch.Tensor]], None]) -> list[Any]:
    """Call `then` with dL/d input of each input by its number, once all are there. Return the hooks' handles."""
    arrived: dict[int, torch.Tensor] = {}
    by_node: dict[Node, list[tuple[int, int]]] = {}
    for node, position, number in places:
        by_node.setdefault(node, []).append((position, number))
    count, missing = len(by_node), [len(by_node)]

    def hook(pairs: list[tuple[int, int]]) -> Callable[..., None]:
        def read(gradients: tuple[torch.Tensor | None, ...], _: Any) -> None:
            for position, number in pairs:
                gradient = gradients[position]
                if gradient is not None:
                    arrived[number] = arrived[number] + gradient if number in arrived else gradient
            missing[0] -= 1
            if missing[0] == 0:
                missing[0] = count
                complete = dict(arrived)
                arrived.clear()
                then(complete)

        return read

    return [node.register_hook(hook(pairs)) for node, pairs in by_node.items()]
