"""Look at a training of the user's own script: patched in for the time of the run, gone afterwards."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import keras

from unvanish.core.diagnosis import Cost, Site
from unvanish.core.observation import Observation
from unvanish.errors import UnvanishError
from unvanish.keras import compat
from unvanish.keras.batches import Batches
from unvanish.keras.failing import LookError, of_the_look, unsupported
from unvanish.keras.graph import leaves
from unvanish.keras.handmade import Loops
from unvanish.keras.observe import looking, observe
from unvanish.keras.patches import Patches, defining
from unvanish.keras.reading import read
from unvanish.keras.requirements import require_model
from unvanish.keras.shadow import shadowed
from unvanish.watching.session import Enough, Idle, Plan, Progress, too_few
from unvanish.watching.sites import Frame, first_frame_of, site_of

WRITERS = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
)
"""Callbacks that write files: a short look must not overwrite what a whole training left."""


class Capture:
    """Watch the plan's training of a running script; see `script.captures.Capture` for the contract.

    A training is a call of `fit`, all calls of `train_on_batch` of one model, or all steps of one model in a loop that
    the script wrote itself.
    """

    def __init__(self, plan: Plan, progress: Progress, script: Path) -> None:
        """Patch nothing yet."""
        self.observation: Observation | None = None
        self.sites: dict[str, Site] = {}
        self.optimizer_site: Site | None = None
        self.cost: Cost | None = None
        self.suspended: tuple[str, ...] = ()
        self.error: UnvanishError | None = None
        self.trainer: Any = None
        self._plan, self._progress, self._script = plan, progress, Path(script).absolute()
        self._trainings = 0
        self._over = self._inside = False
        self._empty = ""
        self._made: WeakKeyDictionary[Any, Frame] = WeakKeyDictionary()
        self._on_batches: WeakSet[Any] = WeakSet()
        self._watched: Any = None
        self._look_on = ExitStack()
        self._failed: LookError | None = None
        self._patches = Patches()
        self._loops = Loops(self)

    def __enter__(self) -> Capture:
        """Patch the ways to train where Keras defines them, and the construction of layers."""
        self._patches.patch(defining(keras.Model, "fit"), "fit", self._fit)
        self._patches.patch(defining(keras.Model, "train_on_batch"), "train_on_batch", self._train_on_batch)
        self._patches.patch(keras.layers.Layer, "__init__", self._layer)
        self._patches.patch(keras.Operation, "__init__", self._operation)
        self._patches.patch(defining(keras.optimizers.Optimizer, "__init__"), "__init__", self._optimizer)
        self._loops.patch(self._patches)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything back, whatever happened; end a look that the script's own loop left open."""
        error = error or sys.exc_info()[1]
        try:
            self._end(error)
        finally:
            self._patches.undo()
            self._made.clear()

    def keep(self, seen: Observation, cost: Cost) -> None:
        """Keep the best observation so far."""
        self.observation, self.cost = seen, cost

    @property
    def idle(self) -> Idle | None:
        """Return what was seen in place of the plan's training."""
        if self.observation is not None:
            return None
        if 0 < self._trainings < self._plan.fit:
            return too_few(self._trainings, self._plan.fit)
        if self._trainings or not self._empty:
            return None
        return Idle(f"fit ran, and took no step: {self._empty}", "let it train for one epoch or more")

    def wants(self) -> bool:
        """Count a training that begins; say whether it is the one to look at."""
        self._trainings += 1
        return self._trainings == self._plan.fit

    @property
    def plan(self) -> Plan:
        """Return what is to be seen."""
        return self._plan

    @property
    def progress(self) -> Progress:
        """Return where progress is shown."""
        return self._progress

    @property
    def busy(self) -> bool:
        """Say whether a training through Keras' own trainer is running."""
        return self._inside

    @property
    def ended(self) -> bool:
        """Say whether everything was seen already."""
        return self._over

    def aside(self) -> AbstractContextManager[None]:
        """Let what happens in the context not be the script's."""
        return self._busy()

    def over(self) -> None:
        """End the script: everything was seen."""
        self._over = True
        raise Enough

    def find_sites(self, model: Any) -> None:
        """Remember which calls of the script made the model's layers, other operations, and the optimizer."""
        for leaf in leaves(model)[0]:
            found = self._made.get(leaf.operation) if isinstance(leaf.operation, keras.Operation) else None
            if found is not None:
                self.sites[leaf.name] = site_of(*found)
        optimizer = getattr(model, "optimizer", None)
        used = getattr(optimizer, "inner_optimizer", optimizer)  # what a loss scale is put around
        found = self._made.get(used) if isinstance(used, keras.optimizers.Optimizer) else None
        self.optimizer_site = None if found is None else site_of(*found)

    def _layer(self, original: Callable[..., None], layer: Any, *args: Any, **kwargs: Any) -> None:
        """Remember which line of the script made the layer."""
        frame = first_frame_of(self._script)
        original(layer, *args, **kwargs)
        if isinstance(layer, keras.Model):
            self._loops.models.add(layer)
        self._remember(layer, frame)

    def _operation(self, original: Callable[..., None], operation: Any, *args: Any, **kwargs: Any) -> None:
        """Remember which line of the script called a function of Keras for a symbolic tensor."""
        original(operation, *args, **kwargs)
        if not isinstance(operation, keras.layers.Layer):
            self._remember(operation, first_frame_of(self._script))

    def _optimizer(self, original: Callable[..., None], optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Remember which line of the script made the optimizer, or had it made of a string."""
        self._remember(optimizer, first_frame_of(self._script))
        original(optimizer, *args, **kwargs)

    def _remember(self, made: Any, frame: Frame | None) -> None:
        if frame is not None:
            self._made[made] = frame

    def _fit(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the user's fit; the plan's one is looked at, and ends the script."""
        if self._over:  # the script caught what should have ended it
            raise Enough
        arguments = bound(original, model, args, kwargs)
        if arguments is not None and arguments["epochs"] <= arguments["initial_epoch"]:
            self._empty = f"epochs={arguments['epochs']}, initial_epoch={arguments['initial_epoch']}"
            arguments = None
        if arguments is None or self._inside or not self.wants():
            with self._busy():
                return original(model, *args, **kwargs)
        try:
            with self._busy():
                self._looked_at(functools.partial(original, model), model, arguments)
        except UnvanishError as error:
            self.error = error
        except LookError as failed:
            if self.observation is None:
                with self._busy():
                    _try(original, model, args, kwargs)
            self.error = unsupported(model, failed)
        return self.over()

    def _looked_at(self, fit: Callable[..., Any], model: Any, arguments: dict[str, Any]) -> None:
        batches = Batches.of_fit(model, arguments)
        with of_the_look():
            self.prepare(model, batches)
        arguments["x"] = batches.for_fit(arguments["x"])
        epochs = arguments["epochs"] - arguments["initial_epoch"]
        planned = batches.planned_steps(epochs, arguments["steps_per_epoch"])
        with self._without_writers(arguments["callbacks"]) as arguments["callbacks"]:
            observe(model, batches, self._plan, self._progress, lambda: fit(**arguments), planned, keep=self.keep)

    def _train_on_batch(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        """Take the user's step; those of the plan's training are looked at, the last of them ends the script."""
        if self._over:
            raise Enough
        arguments = bound(original, model, args, kwargs)
        if arguments is not None and not self._inside and model not in self._on_batches:
            self._on_batches.add(model)
            if self.wants():
                self._begin(model, arguments)
        try:
            with self._busy():
                result = original(model, *args, **kwargs)
        except Enough as enough:
            self._end(enough)
            return self.over()
        if self._failed is None:
            return result
        self.error = unsupported(model, self._failed)
        return self.over()

    def _begin(self, model: Any, arguments: dict[str, Any]) -> None:
        """Look at the model before its first step, and go on watching."""
        try:
            batches = Batches.of_batch(*(arguments[name] for name in ("x", "y", "sample_weight", "class_weight")))
            with self._busy(), of_the_look():
                self.prepare(model, batches)
                self._look_on.enter_context(looking(model, batches, self._plan, self._progress, None, self.keep))
        except UnvanishError as error:
            self.error = error
            self.over()
        except LookError as failed:
            self._failed = failed

    def _end(self, error: BaseException | None) -> None:
        """End the look at a loop, as far as it has come."""
        with self._busy():
            self._loops.end(error)
            if error is None:
                self._look_on.close()
            else:
                self._look_on.__exit__(type(error), error, error.__traceback__)

    def prepare(self, model: Any, batches: Batches) -> None:
        """Build and read the model, and find the lines that made it. Raise UsageError for one that cannot train."""
        build(model, batches)
        require_model(model)
        read(model, batches.take(1)[0][0])
        self.find_sites(model)

    @contextmanager
    def _busy(self) -> Iterator[None]:
        before, self._inside = self._inside, True
        try:
            yield
        finally:
            self._inside = before

    @contextmanager
    def _without_writers(self, callbacks: Any) -> Iterator[Any]:
        """Give the callbacks without those that write files; a CallbackList is put back afterwards."""
        listed = isinstance(callbacks, keras.callbacks.CallbackList)
        given = callbacks.callbacks if listed else keras.tree.flatten(callbacks)
        kept = [callback for callback in given if not isinstance(callback, WRITERS)]
        self.suspended = tuple(type(callback).__name__ for callback in given if isinstance(callback, WRITERS))
        if not self.suspended:
            yield callbacks
        elif listed:
            with shadowed(callbacks, callbacks=kept):
                yield callbacks
        else:
            yield kept


def _try(fit: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Take the first step of a fit; raise what it raises."""

    arguments = bound(fit, model, args, kwargs) or {}
    with contextlib.suppress(Enough):
        fit(model, **{**arguments, "callbacks": [keras.callbacks.LambdaCallback(on_train_batch_end=_end_it)]})


def _end_it(*_: Any, **__: Any) -> None:
    raise Enough


def bound(original: Callable[..., Any], model: Any, args: Any, kwargs: Any) -> dict[str, Any] | None:
    """Return the arguments by name, defaults included; None when they do not fit, which the original will say."""
    try:
        bound = inspect.signature(original).bind(model, *args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def build(model: Any, batches: Batches) -> None:
    """Build a model that would be built by its first step: by its first batch, as fit does."""
    if all(layer.built for layer in compat.flat_layers(model)):
        return
    first = batches.take(1)
    if first and isinstance(model, keras.Sequential):
        model.build(keras.tree.map_structure(lambda array: (None, *array.shape[1:]), first[0][0]))
    elif first:
        model(keras.tree.map_structure(keras.ops.convert_to_tensor, first[0][0]), training=False)
