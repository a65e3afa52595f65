"""Watch the optimizer steps of a Keras training without changing a bit of it.

The trainer looks `model.train_function` up at every step. A small Python function is put there: it calls the function
that Keras itself would have compiled, or a second one, compiled from the same train step with a tap on the optimizer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from unvanish.keras import compat
from unvanish.keras.shadow import shadowed
from unvanish.keras.tally import EXACT_TOTAL, SUMS, Tally
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
        self._plain, self._watched = existing, None
        self._two = existing is not None or not _short(session, tally) if plain is None else plain
        self.plain_seconds: list[float] = []
        self.watched_seconds: list[float] = []

    def __call__(self, iterator: Any) -> Any:
        """Take the next step (or `steps_per_execution` steps) from the iterator, return the logs."""
        session, per_call = self._session, self._model.steps_per_execution
        if session.enough:
            raise Enough
        wanted = any(session.wants(session.done + i) for i in range(per_call))
        counted = _iterations(self._model) if per_call > 1 else 0
        started = time.perf_counter()
        if wanted or not self._two:
            logs, loss, scale, sums = self._watched_function()(iterator)
            self.watched_seconds.append(time.perf_counter() - started)
        else:
            logs = self._plain_function()(iterator)
            self.plain_seconds.append(time.perf_counter() - started)
        taken = max(_iterations(self._model) - counted, 1) if per_call > 1 else 1
        if wanted:
            rows = self._tally.rows(sums.numpy(), float(scale))
            session.add(session.done + taken - 1, float(loss), rows)
        for _ in range(taken):
            session.advance()
        if session.enough and session.done != session.planned:
            raise Enough
        return logs

    def _plain_function(self) -> Callable[[Any], Any]:
        if self._plain is None:
            self._plain = _compiled(self._model, self._model.train_step)
        return self._plain  # type: ignore[no-any-return]  # Keras is untyped

    def _watched_function(self) -> Callable[[Any], Any]:
        if self._watched is None:
            self._watched = _compiled(self._model, _tapped(self._model, self._tally))
        return self._watched  # type: ignore[return-value]  # just assigned


def _compiled(model: Any, step: Callable[[Any], Any]) -> Any:
    """Return what Keras compiles of a train step, by its own way and settings."""
    with shadowed(model, train_step=step, train_function=None):
        model.make_train_function(force=True)
        return model.train_function


def _tapped(model: Any, tally: Tally) -> Callable[[Any], Any]:
    """Return the model's train step, returning (logs, loss, loss scale, sums); runs while it is traced."""
    train_step, count = model.train_step, len(tally.kernels)

    def step(data: Any) -> Any:
        optimizer = model.optimizer
        apply, compute_loss = optimizer.apply, model.compute_loss
        found: dict[str, Any] = {}

        def tapped_loss(*args: Any, **kwargs: Any) -> Any:
            loss = compute_loss(*args, **kwargs)
            found.setdefault("loss", tf.cast(loss, tf.float64))
            return loss

        def tapped_apply(grads: Any, trainable_variables: Any = None) -> None:
            grads = list(grads)
            variables = list(model.trainable_variables if trainable_variables is None else trainable_variables)
            found["scale"] = tf.cast(optimizer.scale_loss(tf.constant(1.0)), tf.float64)
            before = tally.before()
            apply(grads, variables)
            found["sums"] = tally.sums({id(v): g for v, g in zip(variables, grads, strict=True)}, before)

        tapped = shadowed(optimizer, apply=tapped_apply), shadowed(model, compute_loss=tapped_loss)
        with tapped[0], tapped[1], compat.tape_targets() as targets:
            logs = train_step(data)
        if "loss" not in found and targets:  # a train step with a loss of its own
            found["loss"] = tf.cast(tf.reduce_sum(targets[-1]), tf.float64) / found.get("scale", 1.0)
        nothing = tf.constant(np.nan, tf.float64)
        sums = found.get("sums", tf.fill((SUMS, count), nothing))
        return logs, found.get("loss", nothing), found.get("scale", tf.constant(1.0, tf.float64)), sums

    return step


def _short(session: Session, tally: Tally) -> bool:
    entries = sum(int(np.prod(kernel.shape, dtype=np.int64)) for kernel in tally.kernels)
    return session.limit <= (SHORT_AND_SMALL if entries <= EXACT_TOTAL else SHORT)


def _iterations(model: Any) -> int:
    return int(model.optimizer.iterations)
