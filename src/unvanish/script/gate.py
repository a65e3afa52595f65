"""The gate at which a framework's capture is entered: when the script has completely imported the framework."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from unvanish.errors import UnsupportedError, UnvanishError
from unvanish.script.captures import Capture, Factory
from unvanish.script.imports import ImportHook
from unvanish.watching.session import Enough

HOSTS = ("tensorflow",)
"""Modules that import a framework while they are only half imported themselves: wait for both."""

LEGACY = "tf_keras"


class Gate:
    """Enter each capture once, and leave all of them when the gate is closed."""

    def __init__(self, captures: Mapping[str, Factory]) -> None:
        """captures: framework -> what makes its capture."""
        self.entered: list[Capture] = []
        self.refusal: UnvanishError | None = None
        self.hook = ImportHook((*captures, *HOSTS, LEGACY), self.around, sys.meta_path)
        self._waiting = dict(captures)
        self._imported: list[str] = []
        self._running: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> Gate:
        """Put the hook first among the finders; a framework that is imported already is entered at once."""
        sys.meta_path.insert(0, self.hook)
        self._imported += [name for name in self._waiting if name in sys.modules]
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the captures, then take the hook away."""
        try:
            self._stack.close()
        finally:
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self.hook]

    def seen(self) -> Capture | None:
        """Return the capture that saw a training, else one that says why it could not; None when none was entered."""
        return max(self.entered, key=lambda c: (c.observation is not None, c.error is not None), default=None)

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Surround the import of a watched module."""
        if name == LEGACY:
            self._refuse(legacy_refused())
        self._running.append(name)
        try:
            yield
            self._imported.append(name)
        finally:
            self._running.remove(name)
            self.open()

    def open(self) -> None:
        """Enter the captures of all frameworks that are completely imported."""
        while self._imported and not self._running:
            factory = self._waiting.pop(self._imported.pop(0), None)
            if factory is None:
                continue
            try:
                self.entered.append(self._stack.enter_context(factory()))
            except UnvanishError as error:
                self._refuse(error)

    def _refuse(self, error: UnvanishError) -> None:
        self.refusal = error
        raise Enough


def wants_legacy() -> bool:
    """Say whether the environment sends `tf.keras` to Keras 2, read as TensorFlow reads it."""
    return os.environ.get("TF_USE_LEGACY_KERAS") in ("true", "True", "1")


def legacy_refused() -> UnsupportedError:
    """Return the refusal of Keras 2, which is another package."""
    setting = os.environ.get("TF_USE_LEGACY_KERAS")
    return UnsupportedError(
        "the script uses Keras 2 (the package tf_keras), which this version cannot look at",
        found="TF_USE_LEGACY_KERAS is set" if wants_legacy() else "an import of tf_keras",
        numbers={"TF_USE_LEGACY_KERAS": "not set" if setting is None else setting},
        hint="unset TF_USE_LEGACY_KERAS (and any line of the script that sets it), and run the script on Keras 3",
    )
