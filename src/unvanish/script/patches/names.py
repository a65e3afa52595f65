"""What the names of a script stand for, and how the script would spell a name of Keras."""

from __future__ import annotations

import re

import libcst as cst
from libcst.helpers import get_full_name_for_node

from unvanish.errors import UnsupportedError

SOMETHING = "?"
"""What a name stands for that is bound in any other way than by an import or an alias."""


class Names(cst.CSTVisitor):
    """Read which names a module binds, at its top and elsewhere, and to what."""

    def __init__(self, module: cst.Module) -> None:
        """Read the module; it is not changed."""
        super().__init__()
        self._bound: dict[str, set[str]] = {}
        self._top: dict[str, str] = {}
        self._stars: set[str] = set()
        self._from: dict[str, cst.ImportFrom] = {}
        self._depth = 0
        self.imports: list[str] = []
        """Lines that have to be added to the imports."""
        self.extended: dict[cst.ImportFrom, list[str]] = {}
        """Import -> the names that have to be added to it."""
        module.visit(self)

    def meanings(self, node: cst.CSTNode) -> set[str]:
        """Return the dotted names that `a.b.c` may stand for; `tensorflow.keras` is told as `keras`."""
        full = get_full_name_for_node(node)
        if not full or not isinstance(node, cst.Name | cst.Attribute):
            return set()
        first, _, rest = full.partition(".")
        found = self._bound.get(first, set())
        found = found or {f"{module}.{first}" for module in self._stars}
        return {_public(f"{one}.{rest}" if rest else one) for one in found}

    def is_bound(self, name: str) -> bool:
        """Say whether the module binds the name anywhere."""
        return name in self._bound

    def spelled(self, expression: str) -> str:
        """Return the expression with every `keras.module.Name` in it as this script spells it; note missing imports."""
        return re.sub(r"\bkeras\.(\w+)\.(\w+)", lambda found: self._spell(found[1], found[2]), expression)

    def need(self, module: str) -> None:
        """Let the script have a module under its own name: `keras`, `math`. Raise UnsupportedError if that is taken."""
        if self._top.get(module) in (module, f"tensorflow.{module}") or self._line(module) in self.imports:
            return
        if self.is_bound(module):
            raise UnsupportedError(
                f"the script would need `{self._line(module)}`",
                found=f"the name {module} stands for something else in it",
            )
        self.imports.append(self._line(module))

    def _spell(self, module: str, name: str) -> str:
        """Return how `keras.module.name` is reached."""
        path = f"keras.{module}"
        for alias, meaning in self._top.items():
            if _public(meaning) == f"{path}.{name}":
                return alias
        for whole, rest in ((path, name), ("keras", f"{module}.{name}"), ("tensorflow", f"{path}.{name}")):
            for alias, meaning in self._top.items():
                if _public(meaning) == whole and len(self._bound[alias]) == 1:
                    return f"{alias}.{rest}"
        if path in self._stars:
            return name
        if path in self._from and not self.is_bound(name):
            added = self.extended.setdefault(self._from[path], [])
            if name not in added:
                added.append(name)
            return name
        self.need("keras")
        return f"{path}.{name}"

    def _line(self, module: str) -> str:
        old = any(meaning.startswith("tensorflow.keras") for meaning in self._top.values())
        return "from tensorflow import keras" if module == "keras" and old else f"import {module}"

    # --- read from the module -----------------------------------------------------------------------------------------

    def _bind(self, name: str, meaning: str) -> None:
        self._bound.setdefault(name, set()).add(meaning)
        if self._depth == 0 and meaning != SOMETHING:
            self._top[name] = meaning

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Read what binds a name."""
        if isinstance(node, cst.Import):
            self._import(node)
        elif isinstance(node, cst.ImportFrom):
            self._import_from(node)
        elif isinstance(node, cst.Assign):
            self._assign(node)
        elif isinstance(node, cst.Param | cst.FunctionDef | cst.ClassDef):
            self._bind(node.name.value, SOMETHING)
        self._depth += isinstance(node, cst.FunctionDef | cst.ClassDef)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        """Leave a function or a class."""
        self._depth -= isinstance(original_node, cst.FunctionDef | cst.ClassDef)

    def _import(self, node: cst.Import) -> None:
        """Read `import a.b as c`."""
        for alias in node.names:
            full = get_full_name_for_node(alias.name) or SOMETHING
            if alias.asname is None:
                self._bind(full.partition(".")[0], full.partition(".")[0])
            elif isinstance(alias.asname.name, cst.Name):
                self._bind(alias.asname.name.value, full)

    def _import_from(self, node: cst.ImportFrom) -> None:
        """Read `from a.b import c as d` and `from a.b import *`."""
        own = node.relative or node.module is None
        module = SOMETHING if own else get_full_name_for_node(node.module or "") or SOMETHING
        if isinstance(node.names, cst.ImportStar):
            self._stars.add(_public(module))
            return
        for alias in node.names:
            kept = alias.asname.name if alias.asname is not None else alias.name
            if isinstance(kept, cst.Name):
                self._bind(kept.value, f"{module}.{get_full_name_for_node(alias.name)}")
        if self._depth == 0:
            self._from[_public(module)] = node

    def _assign(self, node: cst.Assign) -> None:
        """Read `D = layers.Dense`; any other value is something."""
        for target in node.targets:
            if isinstance(target.target, cst.Name):
                for meaning in self.meanings(node.value) or {SOMETHING}:
                    self._bind(target.target.value, meaning)


def _public(dotted: str) -> str:
    """Return the name under which Keras 3 has the thing, whatever road the script takes to it."""
    return re.sub(r"^(tensorflow\.(python\.)?)?keras\.(api\.|_tf_keras\.keras\.)?", "keras.", dotted + ".")[:-1]
