"""Watch the optimizer steps of a Keras training without changing a bit of it.

The trainer looks `model.train_function` up at every step. A small Python function is put there: it calls the function
that Keras itself would have compiled, or a second one, compiled from the same train step with a tap on the optimizer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np

from unvanish.core.spaced import EXACT_TOTAL
from unvanish.keras import backends, compat
from unvanish.keras.backends import beside
from unvanish.keras.shadow import shadowed
from unvanish.keras.tally import Tally
from unvanish.watching.session import Enough, Session

SHORT, SHORT_AND_SMALL = 200, 5000
"""Up to so many steps one compiled function is cheaper than two: a tapped step costs 3 to 7 % more than a plain one,
compiling a second function as much as hundreds of steps of a small network."""


@contextmanager
def watched(
    model: Any, session: Session, kernels: Sequence[Any], *, plain: bool | None = None
) -> Iterator[WatchedSteps]:
    """Watch the model's steps while the context lasts, through `fit` or `train_on_batch`.

    kernels: one variable per name of `session.layers`. plain: whether the steps that are not sampled run a plain
    function of their own (None: where that is cheaper). Raises Enough out of the step after which the session has
    seen enough, unless the training ends there anyway. Weights, optimizer state and random numbers are those of an
    unwatched training; afterwards, also after an exception, the model's attributes are what they were.
    """
    before = model.__dict__.get("train_function")
    steps = WatchedSteps(model, session, Tally(kernels), before, plain)
    with shadowed(model, train_function=steps):
        yield steps


class WatchedSteps:
    """Stand in for `model.train_function`; `plain_seconds` and `watched_seconds` hold how long the calls took."""

    def __init__(self, model: Any, session: Session, tally: Tally, existing: Any, plain: bool | None) -> None:
        """Compile nothing yet; existing: a plain function that was compiled earlier, or None."""
        self._model, self._session, self._tally = model, session, tally
        self._plain: Any = existing
        self._watched: Callable[..., Any] | None = None
        self._two = existing is not None or not _short(session, tally) if plain is None else plain
        self.plain_seconds: list[float] = []
        self.watched_seconds: list[float] = []

    def __call__(self, *arguments: Any) -> Any:
        """Take the next step (or `steps_per_execution` steps), return what Keras expects of a train function."""
        session, backend, per_call = self._session, backends.current(), self._model.steps_per_execution
        if session.enough:
            raise Enough
        wanted = any(session.wants(session.done + i) for i in range(per_call))
        arguments, taken = backend.counted(self._model, arguments)
        started = time.perf_counter()
        if wanted or not self._two:
            result, sums = backend.split(self._watched_function(arguments)(*arguments))
            seen = keras.tree.map_structure(_array, sums) if wanted else None  # waits for the step
            self.watched_seconds.append(time.perf_counter() - started)
        else:
            result, seen = self._plain_function(arguments)(*arguments), None
            self.plain_seconds.append(time.perf_counter() - started)
        steps = taken()
        if seen is not None:
            session.add(session.done + steps - 1, *self._tally.rows(seen))
        for _ in range(steps):
            session.advance()
        if session.enough and session.done != session.planned:
            backend.hand_back(self._model, result)
            raise Enough
        return result

    def _plain_function(self, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        if self._plain is None:
            self._plain = plain_function(self._model, arguments)
        return self._plain  # type: ignore[no-any-return]  # it may be one of Keras' own

    def _watched_function(self, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        if self._watched is None:
            tap = backends.current().tapped(self._model, self._tally)
            if beside.is_needed(self._model):
                self._watched = beside.Beside(self._model, tap, self._plain_function(arguments))
                self._two = True
            else:
                self._watched = compiled(self._model, tap, arguments)
        return self._watched


def plain_function(model: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Return what Keras compiles of the model's own train step. arguments: of the step that comes."""
    with _at_hand(model, arguments), shadowed(model, train_function=None):
        type(model).make_train_function(model, force=True)  # the class's: a watched model has one of our own over it
        return model.train_function  # type: ignore[no-any-return]  # Keras has no types


def compiled(model: Any, step: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Return what Keras compiles of a train step, by its own way and settings. arguments: of the step that comes."""
    with shadowed(model, train_step=step, train_function=None):
        function = plain_function(model, arguments)

    def compiled(*arguments: Any) -> Any:
        with shadowed(model, train_step=step):  # on torch it is looked up at every step
            return function(*arguments)

    return compiled


def _at_hand(model: Any, arguments: tuple[Any, ...]) -> AbstractContextManager[None]:
    """Let the model's variables have their values, which Keras asks on which devices they lie.

    On JAX they have none in mid-training: the step is given them.
    """
    if keras.backend.backend() != "jax" or keras.distribution.distribution() is None:
        return nullcontext()
    groups = zip(compat.state_variables(model), arguments[0], strict=True)
    return compat.lent([pair for group in groups for pair in zip(*group, strict=True)])


def _array(tensor: Any) -> Any:
    return None if tensor is None else keras.ops.convert_to_numpy(tensor)


def _short(session: Session, tally: Tally) -> bool:
    entries = sum(int(np.prod(kernel.shape, dtype=np.int64)) for kernel in tally.kernels)
    return session.limit <= (SHORT_AND_SMALL if entries <= EXACT_TOTAL else SHORT)
