"""`unvanish.keras.Watch`: see every layer while `fit` runs."""

from __future__ import annotations

import math
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from unvanish.errors import UnvanishError, UsageError
from unvanish.keras import compat
from unvanish.keras.attach import Attached, of_a_fit
from unvanish.keras.before import start_of
from unvanish.keras.info import compute_dtype, optimizer_info
from unvanish.keras.looks import Looks, Place, places_of
from unvanish.keras.named_kernels import kernels_by_name
from unvanish.keras.requirements import require_watchable
from unvanish.keras.running import Running
from unvanish.watching import stop_on as stopping
from unvanish.watching.pace import Every, Pace, valid
from unvanish.watching.readable import Readable
from unvanish.watching.run import Run, to_stream
from unvanish.watching.views import view_of


class Watch(Readable, keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Record gradient, weight and update norms of every layer while the model is trained, within a budget.

    Use it as a callback, `model.fit(x, y, callbacks=[unvanish.keras.Watch()])`, or around steps of your own,
    `with unvanish.watch(model): model.train_on_batch(x, y)`. Norms are of the raw gradient of each sampled step: before
    clipping, after unscaling, of the whole batch, also where several devices share it. Weights, optimizer state and
    random numbers are those of an unwatched training, to the bit; afterwards nothing is left on the model.

    Some samples are looked into, for what the layers give: see core.recording.ACTIVATION_STATS. Transmissions are not
    recorded: gradients of activations stay inside the compiled step, and would take a second backward pass.
    """

    def __init__(
        self,
        *,
        every: Every = "auto",
        budget: float = 0.01,
        title: str = "",
        folder: str | Path | None = None,
        live: bool = False,
        stop_on: stopping.Severity | None = None,
        model: Any = None,
    ) -> None:
        """every: sample so many-th steps; `auto` keeps to the budget, a share of the training's time.

        title: names the run; the model's name without it. folder: where the run's own folder is made; `.unvanish`
        without it. live: show every layer while it trains, on standard error: a table on a terminal, unless the fit's
        own progress bar is there (`verbose=0` hides it), else a line now and then. stop_on: "error" stops the training
        once a rule finds an error in it, or a value is no finite number: a fit as `model.stop_training` does, steps of
        your own by leaving the context. model: watch its steps within the context, in place of a fit's. Raise
        UsageError for others.
        """
        super().__init__()
        valid(every, budget)
        stopping.valid(stop_on)
        self._live, self._stop_on = live, stop_on
        self._every, self._budget, self._title = every, budget, title
        self._home = None if folder is None else Path(folder)
        self._watched = model
        self._running: Running | None = None
        self._attached: Attached | None = None

    def close(self) -> None:
        """Watch no more, leave nothing on the model, write what is left. May be called again."""
        if self._attached is not None:
            self._attached.detach()
            self._attached = None
        if self._run is not None and self._running is not None:
            self._running.settle(wait=True)
            self._run.ends(self._running.steps)

    def __enter__(self) -> Watch:
        """Watch the steps of the model that was given."""
        if self._watched is None:
            raise UsageError(
                "there is no model to watch",
                found="with Watch(): as a context it has to be told which",
                hint="with unvanish.watch(model): ..., or model.fit(..., callbacks=[unvanish.keras.Watch()])",
            )
        self._attach(self._watched, of_fit=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        """Watch no more; a training that was stopped ends here."""
        self.close()
        return kind is stopping.Stopped

    # --- Keras' callback ----------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Begin to watch. What cannot be watched is trained all the same, and that is told."""
        if self._attached is None or not self._attached.in_place:
            self._begin_watching(self.model)

    def _begin_watching(self, model: Any, *, waited: bool = False) -> None:
        try:
            self._attach(model, of_fit=True, waited=waited)
        except Exception as error:
            why = (
                f"{error.what}: {error.found}"
                if isinstance(error, UnvanishError)
                else f"{type(error).__name__}: {error}"
            )
            to_stream(sys.stderr)(f"{model.name} is trained unwatched: {why}")

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """End the watching of a fit."""
        if self._watched is None:
            self.close()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Count time again."""
        if self._run is not None and self._running is not None:
            self._run.pace.enter()
            self._running.new_epoch()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Count no time between epochs."""
        if self._run is not None:
            self._run.pace.leave()

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Count no time of a validation."""
        if self._run is not None:
            self._run.pace.leave()

    def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Count time again."""
        if self._run is not None:
            self._run.pace.enter()

    def _attach(self, model: Any, *, of_fit: bool, waited: bool = False) -> None:
        """Begin a run; of a fit whose model is built by its first step, after that. waited: it was taken."""
        self.close()
        self._run = self._running = None
        _alone(model, of_fit=of_fit)
        if of_fit and not waited and not all(layer.built for layer in compat.flat_layers(model)):
            self._attached = Attached(model, self._first(model), self.close)
            return
        began = time.perf_counter()
        kernels = kernels_by_name(model)
        require_watchable(model, kernels)
        start, before = start_of(model), model.__dict__.get("train_function")
        pace = Pace(self._every, self._budget, glances=True, looks=start is not None)
        framework = f"Keras {keras.__version__} ({keras.backend.backend()})"
        title = self._title or model.name
        bar = of_fit and (self.params or {}).get("verbose", 0) == 1
        view = view_of(title, live=self._live, beside=bar)
        run = Run(title, framework, pace, home=self._home, tell=to_stream(sys.stderr), stop_on=self._stop_on, view=view)
        sizes = [math.prod(kernel.shape) for kernel in kernels.values()]
        if start is not None:
            run.judged(start, compute_dtype(model))
        self._begin_run(run)
        optimizer = optimizer_info(model.optimizer)
        run.begins(list(kernels), sizes, optimizer.name)
        if optimizer.dynamic_loss_scale:
            run.scaled()
        if start is None:
            run.says(0, "activations", "activations are not recorded: the forward pass is not known as a graph")
        weakref.finalize(self, run.ends)  # a fit that raised beside its steps has no end: at the latest at exit
        self._run = run
        stops = self._stops(model, of_fit=of_fit)
        looks = None if start is None else self._looks(model, places_of(model, start.network, list(kernels)), pace)
        self._running = Running(model, list(kernels.values()), pace, run, self._failed, before, stops, looks)
        self._running.steps = int(waited)
        pace.warmed_up(time.perf_counter() - began)
        self._attached = Attached(model, self._running, self._give_way if of_fit else None)

    def _give_way(self) -> None:
        """Watch no more, since another training of the model begins, perhaps within this one."""
        if self._run is not None and self._running is not None:
            self._run.says(self._running.steps, "ended", "watching ends here: another training of the model began")
        self.close()

    def _first(self, model: Any) -> Callable[..., Any]:
        """Return what takes the first step of a model that is built by it, and has the next ones watched."""
        plain = model.__dict__["train_function"]

        def first(*arguments: Any) -> Any:
            result = plain(*arguments)
            self._begin_watching(model, waited=True)
            return result

        return first

    def _stops(self, model: Any, *, of_fit: bool) -> Callable[[], None]:
        """Return what ends the training before its next step where it is to be stopped; a fit takes that step yet."""
        run = self.begun

        def stops() -> None:
            if run.stops() and of_fit:
                model.stop_training = True
            elif run.stops():
                raise stopping.Stopped

        return stops

    def _looks(self, model: Any, places: list[Place], pace: Pace) -> Looks:
        """Return what looks into some samples of the run that began."""
        run = self.begun
        return Looks(model, places, pace, lambda why: run.says(0, "activations", why), run.of_batches)

    def _begin_run(self, run: Run) -> None:
        """Do nothing more; a place for others."""

    def _failed(self, _: BaseException) -> None:
        """Leave nothing behind: a fit that raised does not end."""
        if self._watched is None:
            self.close()


def _alone(model: Any, *, of_fit: bool) -> None:
    """Raise UsageError where another watch is at the model: of two, each would see a part of the steps."""
    other = of_a_fit(model)
    if other is not None and not of_fit:
        other.give_way()  # of a fit that raised: it was over
    elif other is not None or in_a_context(model):
        raise UsageError(
            "the model is watched already",
            found="a second Watch of the same training",
            hint="leave one of them out; one more model has a Watch of its own",
        )


def in_a_context(model: Any) -> bool:
    """Say whether the model's steps are watched in a context."""
    return isinstance(model.__dict__.get("train_function"), Running) and of_a_fit(model) is None
