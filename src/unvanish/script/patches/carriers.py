"""Where layers that go behind another one are written: the next statement, the next item of a list, around a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import libcst as cst

from unvanish.errors import UnsupportedError
from unvanish.script.patches.commas import followed

Extra = Sequence[cst.BaseExpression]
Change = Callable[[cst.CSTNode], cst.CSTNode | cst.FlattenSentinel[cst.CSTNode]]
"""From a node of the file, its parts changed already, to what takes its place."""
_ADDING = ("add", "append")


class Carrier(NamedTuple):
    """Say which node of the file carries a layer, and how it carries further ones too."""

    node: cst.CSTNode
    change: Change
    place: int = 0
    """Of the layer in the node: changes of one node are made from the last place to the first."""


def carrier(node: cst.Call, extra: Extra, parents: Mapping[cst.CSTNode, cst.CSTNode], where: str) -> Carrier:
    """Return what carries a layer, and the extra ones behind it.

    node: the call that makes the layer. Raise UnsupportedError where the layer is not put into a model right there.
    """
    above = parents[node]
    if isinstance(above, cst.Element) and isinstance(parents[above], cst.List | cst.Tuple):
        at = _index(parents[above], above)
        return Carrier(parents[above], lambda now: _longer(now, at, extra), at)
    if isinstance(above, cst.ListComp | cst.GeneratorExp) and above.elt is node:
        return Carrier(above, lambda now: _nested(now, extra))
    if isinstance(above, cst.Call) and above.func is node:
        small = parents[above]
        if isinstance(small, cst.Assign) and [type(t.target) for t in small.targets] == [cst.Name]:
            return _behind(small, [_called_again(small, one) for one in extra], parents)
        return Carrier(above, lambda now: _around(now, extra))
    outer = parents[above]
    if isinstance(above, cst.Arg) and isinstance(outer, cst.Call) and len(outer.args) == 1:
        small, func = parents[outer], outer.func
        if isinstance(small, cst.Expr) and isinstance(func, cst.Attribute) and func.attr.value in _ADDING:
            more = [cst.Expr(outer.with_changes(args=[cst.Arg(one)])) for one in extra]
            return _behind(small, more, parents)
    raise UnsupportedError(
        f"nothing can be put behind the layer at {where}",
        found="it is not added to a model there, nor called, nor an item of a list",
        hint="write model.add(layer), layer(x) or [layer, ...]",
    )


def applied(node: cst.Call, extra: Extra) -> Carrier:
    """Return the same for a call that gives a tensor, not a layer."""
    return Carrier(node, lambda now: _around(now, extra))


def _index(sequence: cst.CSTNode, element: cst.CSTNode) -> int:
    assert isinstance(sequence, cst.List | cst.Tuple)
    return next(at for at, one in enumerate(sequence.elements) if one is element)


def _longer(now: cst.CSTNode, at: int, extra: Extra) -> cst.CSTNode:
    assert isinstance(now, cst.List | cst.Tuple)
    bracket = now.lbracket if isinstance(now, cst.List) else now.lpar[0] if now.lpar else None
    opening = bracket.whitespace_after if bracket is not None else cst.SimpleWhitespace("")
    return now.with_changes(elements=followed(now.elements, at, [cst.Element(one) for one in extra], opening))


def _nested(now: cst.CSTNode, extra: Extra) -> cst.CSTNode:
    """Return `[layer for _ in range(n) for layer in (a, b)]` for `[a for _ in range(n)]`."""
    assert isinstance(now, cst.ListComp | cst.GeneratorExp)
    items = cst.Tuple([cst.Element(one) for one in (now.elt, *extra)])
    inner = cst.CompFor(target=cst.Name("layer"), iter=items)
    return now.with_changes(elt=cst.Name("layer"), for_in=_deepened(now.for_in, inner))


def _deepened(outer: cst.CompFor, inner: cst.CompFor) -> cst.CompFor:
    deeper = inner if outer.inner_for_in is None else _deepened(outer.inner_for_in, inner)
    return outer.with_changes(inner_for_in=deeper)


def _around(now: cst.CSTNode, extra: Extra) -> cst.CSTNode:
    assert isinstance(now, cst.BaseExpression)
    for one in extra:
        now = cst.Call(one, [cst.Arg(now)])
    return now


def _called_again(small: cst.Assign, layer: cst.BaseExpression) -> cst.Assign:
    """Return `x = layer(x)`."""
    target = small.targets[0].target
    assert isinstance(target, cst.Name)
    return small.with_changes(
        value=cst.Call(layer, [cst.Arg(cst.Name(target.value))]), semicolon=cst.MaybeSentinel.DEFAULT
    )


def _behind(
    small: cst.BaseSmallStatement, more: Sequence[cst.BaseSmallStatement], parents: Mapping[cst.CSTNode, cst.CSTNode]
) -> Carrier:
    """Return the line of a statement, with further statements behind it: lines of their own, or behind semicolons."""
    line = parents[small]
    if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
        lines = [cst.SimpleStatementLine([one]) for one in more]
        return Carrier(line, lambda now: cst.FlattenSentinel([now, *lines]))
    assert isinstance(line, cst.SimpleStatementLine | cst.SimpleStatementSuite)
    at = next(place for place, one in enumerate(line.body) if one is small)

    def longer(now: cst.CSTNode) -> cst.CSTNode:
        assert isinstance(now, cst.SimpleStatementLine | cst.SimpleStatementSuite)
        old, tail = now.body[at], now.body[at + 1 :]
        separate = cst.Semicolon(whitespace_after=cst.SimpleWhitespace(" "))
        inner = [one.with_changes(semicolon=separate) for one in (old, *more[:-1])]
        return now.with_changes(body=[*now.body[:at], *inner, more[-1].with_changes(semicolon=old.semicolon), *tail])

    return Carrier(line, longer, at)
