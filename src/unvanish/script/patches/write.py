"""Write all planned changes of one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import libcst as cst

from unvanish.script.patches.by_call import Call
from unvanish.script.patches.carriers import Carrier, applied, carrier
from unvanish.script.patches.definitions import headed, local_classes, missing
from unvanish.script.patches.layer_call import LayerCall
from unvanish.script.patches.optimizer import OptimizerPlan, changed
from unvanish.script.patches.source_file import SourceFile

Swap = Callable[[cst.Call], cst.BaseExpression]
"""From a call, what is inside it changed already, to what takes its place."""


def written(source: SourceFile, calls: Sequence[Call], optimizer: OptimizerPlan | None = None) -> bytes:
    """Return the file with these calls, and the one that makes the optimizer, changed.

    Nothing but the changes differs, to the byte. Raise UnsupportedError where something cannot be written.
    """
    swaps: dict[cst.CSTNode, Swap] = {}
    carried: dict[cst.CSTNode, list[Carrier]] = {}
    text = ""
    for call in calls:
        layer = LayerCall(source, call)
        node, extra = layer.rewritten(layer.node)
        text += source.module.code_for_node(node) + "\n"
        swaps[layer.node] = layer.swap
        if extra:
            found = (
                applied(layer.node, extra) if layer.applies else carrier(layer.node, extra, source.parents, layer.where)
            )
            carried.setdefault(found.node, []).append(found)
    if optimizer is not None:
        node, told = source.call_at(optimizer.site), optimizer
        changed(source, node, told)  # refuses before anything is written
        swaps[node] = lambda now: source.fitted(told.site, now, changed(source, now, told))
    parts = missing(source, local_classes(text))
    new = source.module.visit(_Rewriter(swaps, carried, source.names.extended))
    return source.encoded(headed(new, _first(source, swaps), source.names.imports, parts))


def _first(source: SourceFile, nodes: Mapping[cst.CSTNode, Any]) -> int:
    """Return the place in the module of the first statement that changes."""
    tops = []
    for node in nodes:
        while source.parents[node] is not source.module:
            node = source.parents[node]
        tops.append(next(at for at, one in enumerate(source.module.body) if one is node))
    return min(tops)


class _Rewriter(cst.CSTTransformer):
    """Put the new nodes in the place of the old ones."""

    def __init__(
        self,
        swaps: Mapping[cst.CSTNode, Swap],
        carried: Mapping[cst.CSTNode, Sequence[Carrier]],
        imports: Mapping[cst.ImportFrom, Sequence[str]],
    ) -> None:
        super().__init__()
        self._swaps, self._carried, self._imports = swaps, carried, imports

    def on_leave(self, original_node: cst.CSTNode, updated_node: Any) -> Any:
        """Return what takes the place of a node."""
        now: Any = super().on_leave(original_node, updated_node)
        if original_node in self._swaps:
            now = self._swaps[original_node](now)
        for found in sorted(self._carried.get(original_node, ()), key=lambda found: -found.place):
            now = found.change(now)
        if isinstance(original_node, cst.ImportFrom) and original_node in self._imports:
            now = _extended(now, self._imports[original_node])
        return now


def _extended(node: cst.ImportFrom, names: Sequence[str]) -> cst.ImportFrom:
    """Return the import with further names, the lines broken as they are."""
    assert not isinstance(node.names, cst.ImportStar)
    *rest, last = node.names
    opening = node.lpar.whitespace_after if node.lpar is not None else cst.SimpleWhitespace(" ")
    broken = isinstance(opening, cst.ParenthesizedWhitespace)
    between = cst.Comma(whitespace_after=opening if broken else cst.SimpleWhitespace(" "))
    added = [cst.ImportAlias(cst.Name(name), comma=between) for name in names]
    added[-1] = added[-1].with_changes(comma=last.comma)
    return node.with_changes(names=[*rest, last.with_changes(comma=between), *added])
