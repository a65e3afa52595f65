"""Stand in for the train function of a training that runs to its end, and sample the steps that the pace asks for.

Keras' trainers look `model.train_function` up at every step. What stands there costs one Python call at a step that is
not sampled; a sampled one runs a second function, compiled from the same train step with a tap on the optimizer.

To compile takes as long as hundreds of small steps. So all steps run the tapped function at first, which takes a little
longer, until that has cost as much as a second compilation would: no training pays more than twice what it had to (the
rule of who does not know how long to rent before buying; Karlin et al. 1988, Algorithmica 3).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.nonfinite import Spoilt
from unvanish.core.recording import ACTIVATION_STATS
from unvanish.errors import UnvanishError
from unvanish.keras import backends
from unvanish.keras.backends import beside
from unvanish.keras.backends.protocol import loss_in
from unvanish.keras.first_trace import FirstTrace
from unvanish.keras.held_steps import HeldSteps
from unvanish.keras.looks import Looks
from unvanish.keras.norms import Norms
from unvanish.keras.steps import compiled, plain_function
from unvanish.keras.tried import tried
from unvanish.watching.pace import Pace
from unvanish.watching.recorder import Numbers

LASTS = 10
"""A training that has lasted so many times as long as compiling its step pays for finding out what a sample takes."""


class Takes(Protocol):
    """Take what is seen; see watching.run.Run."""

    def sample(self, step: int, numbers: Numbers) -> None:
        """Take a sample."""

    def glance(self, step: int, mean: Callable[[], float], steps: int) -> None:
        """Take the mean loss of the last so many steps, up to this one; to be read when one likes."""

    def says(self, step: int, kind: str, text: str) -> None:
        """Take a word about the watching itself."""

    def awaits(self, step: int) -> None:
        """Be told, before its sample, that the place in a step is searched for once its numbers were read."""

    def spoilt(self, spoilt: Spoilt, values: Mapping[str, NDArray[Any]]) -> None:
        """Take where the first value comes from that is not finite, and what a replay of its step needs."""


class Running:
    """Hold the functions of one training. `steps` counts those that were taken."""

    def __init__(
        self,
        model: Any,
        kernels: Sequence[Any],
        pace: Pace,
        takes: Takes,
        failed: Callable[[BaseException], object],
        plain: Any,
        stops: Callable[[], None],
        looks: Looks | None = None,
    ) -> None:
        """kernels: variables, one for each layer of the recording. plain: the function Keras compiled; None for none.

        takes: is given every sample, whose numbers are read when it likes. failed: is told what a step raised.
        stops: ends the training, where it is to end; called before steps that are not left alone. looks: looks into
        some samples.
        """
        self._model, self._norms, self._pace, self._takes, self._failed = model, Norms(kernels), pace, takes, failed
        self._plain: Any = plain
        self._stops, self._looks = stops, looks
        self._tap: Callable[..., Any] | None = None
        self._tapped: Callable[..., Any] | None = None
        self._first: FirstTrace | None = None
        self._warm = self._simple = False
        """Whether the plain function has run, whose first call compiles it; and whether a call of it is one step."""
        self._price, self._paid = 0.0, 0.0
        """Seconds that a compilation takes, and that tapped steps took longer in its place."""
        self._rented = math.inf
        """When the last step ended that was tapped in place of a plain one; since then none that was not."""
        self._held = HeldSteps(model)
        self._tried = False
        if self._held.why_not:
            text = f"where the first value that is no finite number arises is not looked for: {self._held.why_not}"
            takes.says(0, "unlocated", text)
        self.steps = 0
        self._since = 0
        """The step from which on Keras takes the mean of its losses."""

    def new_epoch(self) -> None:
        """Be told that Keras begins to take means anew."""
        self._since = self.steps

    def __call__(self, *arguments: Any) -> Any:
        """Take the next step (or `steps_per_execution` steps), return what Keras expects of a train function."""
        pace, first, left = self._pace, self.steps, self._pace.left
        try:
            if pace.left > 0 and self._simple:
                pace.left -= 1
                self.steps += 1
                return self._plain(*arguments)
            return self._stop(arguments)
        except BaseException as error:
            if not _ran_out(error):
                self._failed(error)
            elif left > 0 and self._simple:
                self.steps, pace.left = first, left
            else:
                pace.not_taken(first)
            raise

    def _stop(self, arguments: tuple[Any, ...]) -> Any:
        pace, backend, first, began = self._pace, backends.current(), self.steps, time.perf_counter()
        self.settle(wait=False)
        self._stops()
        ahead = max(pace.left, 0)
        arguments, taken = backend.counted(self._model, arguments)
        if ahead < self._model.steps_per_execution and pace.stop(first + ahead) and self._can():
            if self._looks is not None:
                self._looks.begin()
            called = time.perf_counter()
            result, sums = backend.split(self._sampled(arguments))
            if self._looks is not None:
                self._looks.after(sums, self._held.begun)
            returned = time.perf_counter()
            self.steps += taken()
            self._hand_over(self.steps - 1, sums)
            pace.took(time.perf_counter() - returned + called - began)
            self._try(result)
        else:
            result = self._unsampled(arguments)
            self.steps += taken()
            if pace.glance:
                self._glance(result)
        reached = first + ahead + 1 if ahead < self._model.steps_per_execution else first
        pace.left = max(reached + pace.left - self.steps, 0)
        return result

    def _unsampled(self, arguments: tuple[Any, ...]) -> Any:
        if self._warm:
            return self._plain(*arguments)
        began = time.perf_counter()
        if self._tapped is not None and self._paid < self._price:
            self._known()
            result, _ = backends.current().split(self._held.run(self._tapped, arguments))
            now = self._pace.now  # from step to step: a call may come back before its step is done
            self._paid += self._pace.rented(max(now - self._rented, time.perf_counter() - began))
            self._rented = now
            return result
        self._pace.leave()
        with nullcontext() if self._first is None else self._first.again():
            result = self._made_plain(arguments)(*arguments)
        self._pace.enter()
        self._pace.renew(time.perf_counter() - began if self._tapped is not None else 0.0)
        return result

    def _made_plain(self, arguments: tuple[Any, ...]) -> Any:
        """Return the plain function, which all steps that are not sampled take from here on."""
        self._warm, self._simple = True, self._model.steps_per_execution == 1
        if self._plain is None:
            self._plain = plain_function(self._model, arguments)
        return self._plain

    def _sampled(self, arguments: tuple[Any, ...]) -> Any:
        look = self._looks is not None and self._looks.due
        if self._tapped is not None:
            self._known()
            return self._held.run(self._tapped, arguments, look=look)
        assert self._tap is not None  # _can made it
        began = time.perf_counter()
        self._pace.leave()  # the training compiles its step, with a tap or without
        if beside.is_needed(self._model):
            self._tapped = other = beside.Beside(self._model, self._tap, self._made_plain(arguments))
            result = self._held.run(self._tapped, arguments, look=look)
            self._pace.enter()
            self._pace.warmed_up(other.seconds)
            return result
        self._tapped = compiled(self._model, self._tap, arguments)
        result = self._held.run(self._tapped, arguments, look=look)
        self._first = FirstTrace(self._model)
        self._pace.enter()
        self._price = time.perf_counter() - began
        if self._warm:  # it had compiled one already
            self._pace.warmed_up(self._price)
        return result

    def _known(self) -> None:
        """Know what the held steps show, where the next tapped one takes what they began with."""
        if self._held.waits:
            self.settle(wait=True)

    def _try(self, result: Any) -> None:
        """Try out what the numbers of a sample take, where no plain step shows it, in a training that lasts."""
        pace = self._pace
        if self._tried or not (pace.dense and pace.settled) or pace.elapsed < LASTS * self._price:
            return
        if isinstance(self._tapped, beside.Beside):  # a sample takes a step more, which no part of a step shows
            return
        began, self._tried = time.perf_counter(), True
        try:
            seconds = tried(self._model, self._norms, result)
            if seconds is not None:
                self._pace.inside(seconds)
        except Exception as error:
            self._takes.says(self.steps, "cost", f"what a sample takes is not known: {type(error).__name__}: {error}")
        finally:
            self._pace.warmed_up(time.perf_counter() - began)

    def _can(self) -> bool:
        """Say whether the step can be tapped; where it can not, say so, and be nothing but the plain function."""
        if self._tap is None:
            try:
                self._tap = self._held.tapped(self._norms, None if self._looks is None else self._looks.before)
            except UnvanishError as error:
                self._takes.says(self.steps, "failed", f"{error.what}: {error.found}")
                self._pace.give_up()
        return self._tap is not None

    def _glance(self, result: Any) -> None:
        """Let the loss that Keras tells of a step be looked at, which is the mean since the epoch began."""
        loss = loss_in(backends.current().logs_of(result))
        if loss is not None:
            self._takes.glance(
                self.steps - 1, lambda: float(keras.ops.convert_to_numpy(loss)), self.steps - self._since
            )

    def _hand_over(self, step: int, sums: dict[str, Any]) -> None:
        norms, table = self._norms, sums["numbers"]
        taken = None if self._looks is None else self._looks.taken()

        def numbers() -> tuple[float, NDArray[np.float64]]:
            loss, found = norms.numbers(keras.ops.convert_to_numpy(table))
            nothing = np.full((len(ACTIVATION_STATS), found.shape[1]), np.nan)
            return loss, np.concatenate([found, nothing if taken is None else taken()])

        held = self._held.hold(step, sums, numbers)
        if held is not None:
            self._takes.awaits(step)
        self._takes.sample(step, numbers if held is None else held)

    def settle(self, *, wait: bool) -> None:
        """Say where the first value comes from that is not finite, once its step was read. wait: for that, at the end.

        Whatever goes wrong here leaves the training alone.
        """
        began = time.perf_counter()
        try:
            found = self._held.settle(wait=wait)
        except Exception as error:
            self._takes.says(self.steps, "unlocated", f"{type(error).__name__}: {error}".splitlines()[0])
            return
        if found is not None:
            self._takes.spoilt(*found)
            self._pace.warmed_up(time.perf_counter() - began)


def _ran_out(error: BaseException) -> bool:
    """Say whether the batches of an epoch ended, which is how Keras finds out."""
    return isinstance(error, StopIteration) or type(error).__name__ == "OutOfRangeError"
