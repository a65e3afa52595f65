"""Remember, while a script runs, what its own loop did last: which model it called, and which loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import keras

from unvanish.keras.patches import Patches


class Called(NamedTuple):
    """Hold the last outermost call of a model in training."""

    model: Any
    x: Any
    output: Any


class Lost(NamedTuple):
    """Hold the last call of a loss."""

    loss: Any
    """The loss object, for its description."""
    compute: Callable[..., Any]
    """Computes it again from (y, output, sample weight)."""
    y: Any
    weight: Any
    output: Any
    plain: bool = True
    """Whether it is the mean over equally weighed samples, so that its value can be compared with chance."""


class Witness:
    """See calls of models and of `keras.losses.Loss` objects; change none of them."""

    def __init__(self, looks_away: Callable[[], bool]) -> None:
        """looks_away: says whether what happens now is not the script's own loop."""
        self.called: Called | None = None
        self.calls: WeakKeyDictionary[Any, Called] = WeakKeyDictionary()
        self.lost: Lost | None = None
        self.inside = False
        """Whether a model is running."""
        self._looks_away = looks_away

    def patch(self, patches: Patches) -> None:
        """Begin; the patches end it."""
        patches.patch(keras.Model, "__call__", self._model)
        patches.patch(keras.losses.Loss, "__call__", self._loss)

    def forget(self) -> None:
        """Let go of all tensors."""
        self.called = self.lost = None
        self.calls.clear()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let what happens in the context be inside of a model."""
        self.inside = True
        try:
            yield
        finally:
            self.inside = False

    def _model(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        if self._looks_away() or self.inside:
            return original(model, *args, **kwargs)
        with self.running():
            output = original(model, *args, **kwargs)
        plain = len(args) == 1 and not keras.utils.is_keras_tensor(keras.tree.flatten(args)[0])
        if plain and kwargs.get("training") is not False:
            self.called = self.calls[model] = Called(model, args[0], output)
        return output

    def _loss(self, original: Callable[..., Any], loss: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(loss, *args, **kwargs)
        if not self._looks_away() and len(args) in (2, 3):
            weight = args[2] if len(args) == 3 else kwargs.get("sample_weight")
            self.lost = Lost(loss, loss, args[0], weight, args[1])
        return result
