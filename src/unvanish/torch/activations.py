"""Find the activation that a call applies or completes."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import NamedTuple

import torch

from unvanish.torch.call import Call, distinct
from unvanish.torch.compat import version_of
from unvanish.torch.expressions import DEEPEST, POINTS, Expression, Recogniser, Root, applied, same_root
from unvanish.torch.invocation import Before, Invocation
from unvanish.torch.origins import Origin
from unvanish.torch.taps import edges_of


class Found(NamedTuple):
    """Say which activation a call completes."""

    expression: Expression
    name: str
    parameter: float | None
    entering: torch.Tensor
    """What it is applied to, as it was."""


def starting_at(tensor: torch.Tensor, origin: Origin | None, writes: bool) -> list[Expression]:
    """Return a tensor as a function of itself, and of what it was computed from.

    writes: whether the call that is about to run may write over it.
    """
    if origin is None or not (tensor.is_floating_point() or origin.expressions):
        return []
    edges = edges_of(tensor, may_write=writes)
    root = Root(weakref.ref(tensor), version_of(tensor), origin.sources, edges, origin.channels_first)
    return [Expression(root, POINTS, ()), *origin.expressions][:DEEPEST]


def results(run: Invocation, before: Before) -> tuple[Expression, ...]:
    """Return the output as an elementwise function of each root that all arguments share, nearest first."""
    if not before.expressions:
        return ()
    found = []
    for nearest in before.expressions[id(before.data[0])]:
        values: dict[int, torch.Tensor] = {}
        calls: list[Call] = []
        for tensor in before.data:
            shared = [e for e in before.expressions[id(tensor)] if same_root(e.root, nearest.root)]
            if shared:
                values[id(tensor)] = shared[0].values
                calls.extend(shared[0].calls)
        complete = len(values) == len({id(tensor) for tensor in before.data})
        result = applied(run.function, run.args, run.kwargs, values) if complete else None
        if result is not None:
            found.append(Expression(nearest.root, result, distinct(calls)))
    return tuple(found)


def is_identity(expressions: Sequence[Expression], recognise: Recogniser) -> bool:
    """Say whether a call gives its one argument back: `x + 1e-6`, `x * 1.0`."""
    return bool(expressions) and not expressions[0].calls and recognise(expressions[0].values)[0] == "linear"


def completed(expressions: Sequence[Expression], before: Before, recognise: Recogniser) -> Found | None:
    """Return the activation that a call completes; None when it is none of known name.

    What the call alone does to its argument is looked at first, then what it is the last part of.
    """
    for expression in expressions:
        name, parameter = recognise(expression.values)
        root = _root(expression, before)
        if name in ("other", "linear") or root is None:
            continue
        if all(part.may_be_merged for part in expression.calls):
            return Found(expression, name, parameter, root)
    return None


def _root(expression: Expression, before: Before) -> torch.Tensor | None:
    """Return what the expression is a function of, as it was; None once it is gone."""
    if before.copy is not None and expression.root.tensor() is before.data[0]:
        return before.copy
    return expression.root.value
