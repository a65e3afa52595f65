"""Put the small classes that Keras does not ship, and missing imports, into the head of a script."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.helpers import get_full_name_for_node

from unvanish.errors import UnsupportedError
from unvanish.script.patches.source_file import SourceFile

_MATH = "import math"
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
_IMPORTS = m.Import() | m.ImportFrom()


def local_classes(text: str) -> dict[str, str]:
    """Return name -> source of what the text uses and Keras does not ship.

    The adapter keeps it, and imports Keras: to be called where the script has done so already.
    """
    from unvanish.keras.local_classes import definitions

    return definitions(text)


def missing(source: SourceFile, wanted: Mapping[str, str]) -> list[str]:
    """Return the definitions that the file does not have yet, and note the modules that they use.

    Raise UnsupportedError where a name stands for something else in it.
    """
    parts = []
    for name, part in wanted.items():
        if not source.names.is_bound(name):
            parts.append(part)
        elif part.splitlines()[-1] not in source.module.code.splitlines():
            raise UnsupportedError(
                f"{source.name} would need a definition {name!r}",
                found="the name stands for something else in it",
                hint=f"rename your own {name}",
            )
    for module in ("keras", "math"):
        if any(f"{module}." in part for part in parts):
            source.names.need(module)
    return parts


def headed(module: cst.Module, before: int, imports: Sequence[str], parts: Sequence[str]) -> cst.Module:
    """Return the module with imports and definitions behind its last import, in front of the statement `before`."""
    body = list(module.body)
    places = [at for at, one in enumerate(body[:before]) if _imports(one)]
    documented = bool(body) and m.matches(body[0], m.SimpleStatementLine([m.Expr(m.SimpleString())]))
    at = places[-1] + 1 if places else int(documented)
    lines = [_statement(text) for text in imports if text != _MATH]
    made = [_statement(part).with_changes(leading_lines=[cst.EmptyLine(indent=False)] * 2) for part in parts]
    rest = body[at:]
    if made and rest:
        rest = [_apart(rest[0]), *rest[1:]]
    head = body[:at]
    if _MATH in imports:
        head = _with_math(head, next((place for place in places if not _is_future(body[place])), at))
    return module.with_changes(body=[*head, *lines, *made, *rest])


def _with_math(head: list[Any], at: int) -> list[Any]:
    """Return the statements with `import math` in front of the first import, apart from what is not Python's own."""
    new = _statement(_MATH)
    if at == len(head):
        return [*head, new]
    next_one = head[at]
    module = next(iter(m.findall(next_one, m.Import() | m.ImportFrom())))
    own = _root(module) in sys.stdlib_module_names
    new = new.with_changes(leading_lines=next_one.leading_lines)
    return [
        *head[:at],
        new,
        next_one.with_changes(leading_lines=[] if own else [cst.EmptyLine(indent=False)]),
        *head[at + 1 :],
    ]


def _root(node: cst.CSTNode) -> str:
    """Return the first part of the name of an imported module."""
    module = node.names[0].name if isinstance(node, cst.Import) else getattr(node, "module", None)
    return (get_full_name_for_node(module) or "").partition(".")[0] if module is not None else ""


def _is_future(node: cst.CSTNode) -> bool:
    return any(_root(one) == "__future__" for one in m.findall(node, m.ImportFrom()))


def _imports(node: cst.CSTNode) -> bool:
    """Say whether a statement at the top of a module is an import, perhaps one that is tried."""
    return not isinstance(node, cst.FunctionDef | cst.ClassDef) and bool(m.findall(node, _IMPORTS))


def _statement(text: str) -> Statement:
    (node,) = cst.parse_module(text).body
    return node


def _apart(node: cst.SimpleStatementLine | cst.BaseCompoundStatement) -> Statement:
    """Return the statement with two empty lines in front of it, its comments kept."""
    lines = list(node.leading_lines)
    while lines and lines[0].comment is None:
        del lines[0]
    return node.with_changes(leading_lines=[cst.EmptyLine(indent=False)] * 2 + lines)
