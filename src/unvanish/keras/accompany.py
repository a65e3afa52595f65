"""Watch every training of a user's script to its end: patched in for the time of the run, gone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import keras

from unvanish.keras.capture import bound
from unvanish.keras.patches import Patches, defining
from unvanish.keras.watch import Watch, in_a_context
from unvanish.watching.wanted import Wanted


class Accompany:
    """Give every fit of the script a Watch of its own, and every loop of `train_on_batch`.

    What the script watches itself is left to its own Watch, whose runs are told of as ours are.
    """

    def __init__(self, wanted: Wanted) -> None:
        """Patch nothing yet."""
        self._wanted, self._patches = wanted, Patches()
        self._inside = False
        self._loops: dict[int, Watch] = {}

    def __enter__(self) -> Accompany:
        """Patch the ways to train where Keras defines them."""
        self._patches.patch(defining(keras.Model, "fit"), "fit", self._fit)
        self._patches.patch(defining(keras.Model, "train_on_batch"), "train_on_batch", self._train_on_batch)
        self._patches.patch(Watch, "_begin_run", lambda _original, _watch, run: self._wanted.begins(run))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything back, and end what is still watched."""
        self._patches.undo()
        for watch in self._loops.values():
            watch.close()

    def _fit(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        arguments = bound(original, model, args, kwargs)
        if arguments is None or self._inside:
            return original(model, *args, **kwargs)
        loop = self._loops.pop(id(model), None)
        if loop is not None:
            loop.close()
        if _watched_itself(model, arguments["callbacks"]):
            return original(model, *args, **kwargs)
        callbacks, watch = arguments["callbacks"], self._watch()
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(watch)
            watch.set_model(model)
        else:
            arguments["callbacks"] = [*keras.tree.flatten(callbacks or []), watch]
        self._inside = True
        try:
            return original(model, **arguments)
        finally:
            self._inside = False
            watch.close()

    def _train_on_batch(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        known = self._inside or id(model) in self._loops or in_a_context(model)
        if not known and model.built and getattr(model, "compiled", False):
            self._loops[id(model)] = self._watch(model).__enter__()
        return original(model, *args, **kwargs)

    def _watch(self, model: Any = None) -> Watch:
        every, budget, title, folder, _ = self._wanted
        return Watch(every=every, budget=budget, title=title, folder=folder, model=model)


def _watched_itself(model: Any, callbacks: Any) -> bool:
    given = (
        callbacks.callbacks if isinstance(callbacks, keras.callbacks.CallbackList) else keras.tree.flatten(callbacks)
    )
    return in_a_context(model) or any(isinstance(callback, Watch) for callback in given)
