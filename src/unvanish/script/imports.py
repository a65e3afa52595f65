"""Run the import of a module inside a context, whoever imports it and however often it was only looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class ImportHook:
    """A finder for `sys.meta_path` that changes nothing but what happens around the watched modules.

    It stays until it is removed: TensorFlow looks for Keras by a bare `find_spec`, which would use up a one-shot hook.
    """

    def __init__(
        self, names: Iterable[str], around: Callable[[str], AbstractContextManager[None]], finders: list[Any]
    ) -> None:
        """Run the modules of these names inside `around(name)`; finders is the list to search, `sys.meta_path`."""
        self._names, self._around, self._finders = frozenset(names), around, finders

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find, its loader made to call back; None for modules that are not watched."""
        if name not in self._names:
            return None
        for finder in self._finders:
            search = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = search(name, path, target) if search and finder is not self else None
            if spec is not None:
                self._tap(spec, name)
                return spec
        return None

    def _tap(self, spec: ModuleSpec, name: str) -> None:
        """Shadow the loader's `exec_module` for one call. A loader belongs to one spec, so nobody else sees it."""
        loader: Any = spec.loader
        if not hasattr(loader, "exec_module"):
            return

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            with self._around(name):
                loader.exec_module(module)

        loader.exec_module = exec_module
