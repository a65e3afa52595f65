"""What a patch leaves without an effect: parameters and names whose value it wrote over where they were used."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator

from unvanish.core.patch import FileChange, Patch

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | Function


def unused(patch: Patch) -> tuple[str, ...]:
    """Return, in words, the parameters and assigned names that were read before the patch, and are not after it.

    Within one file and one function each: what another file reads of it is not known. Nothing is changed.
    """
    return tuple(words for file in patch.files for words in _of_file(file))


def _of_file(file: FileChange) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on escapes in the user's strings: Python has told him when it ran them
        before, new = ast.parse(file.before), ast.parse(file.after)
    after = dict(_scopes(new))
    for key, scope in _scopes(before):
        if key not in after:
            continue
        gone = _read(scope) - _read(after[key])
        for name, line in _bound(scope).items():
            if name in gone:
                where = f"of {scope.name}() " if isinstance(scope, Function) else ""
                yield f"with the patch {name!r} {where}({file.name}, line {line}) has no effect any more"


def _scopes(tree: ast.Module) -> Iterator[tuple[tuple[str, int], Scope]]:
    """Yield the module and its functions, each under its name and how many of that name were before it."""
    seen: Counter[str] = Counter()
    yield ("", 0), tree
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield (node.name, seen[node.name]), node
            seen[node.name] += 1


def _read(scope: Scope) -> set[str]:
    return {node.id for node in ast.walk(scope) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _bound(scope: Scope) -> dict[str, int]:
    """Return name -> line of the parameters, and of what the scope's own statements assign."""
    found: dict[str, int] = {}
    if isinstance(scope, Function):
        given = scope.args
        several = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
        found = {one.arg: one.lineno for one in several if one is not None}
    for statement in scope.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = [one for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
            found |= {one.id: one.lineno for one in names if isinstance(one.ctx, ast.Store) and one.id not in found}
    return found
