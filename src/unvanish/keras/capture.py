"""Look at a `fit` of the user's own script: patched in for the time of the run, gone afterwards."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

import keras

from unvanish.core.diagnosis import Cost, Site
from unvanish.core.observation import Observation
from unvanish.errors import UnvanishError
from unvanish.keras import compat
from unvanish.keras.batches import Batches
from unvanish.keras.graph import leaves
from unvanish.keras.observe import observe
from unvanish.keras.reading import read
from unvanish.keras.requirements import require_model
from unvanish.keras.shadow import shadowed
from unvanish.watching.session import Enough, Plan, Progress
from unvanish.watching.sites import first_frame_of, site_of

WRITERS = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
)
"""Callbacks that write files: a short look must not overwrite what a whole training left."""


class Capture:
    """Watch the plan's fit of a running script; see `script.captures.Capture` for the contract."""

    def __init__(self, plan: Plan, progress: Progress, script: Path) -> None:
        """Patch nothing yet."""
        self.observation: Observation | None = None
        self.sites: dict[str, Site] = {}
        self.cost: Cost | None = None
        self.suspended: tuple[str, ...] = ()
        self.error: UnvanishError | None = None
        self._plan, self._progress, self._script = plan, progress, Path(script).absolute()
        self._calls = 0
        self._over = False
        self._made: WeakKeyDictionary[Any, tuple[str, int]] = WeakKeyDictionary()
        self._patched: list[tuple[type, str, Any]] = []

    def __enter__(self) -> Capture:
        """Patch `fit` where Keras defines it, and the construction of layers."""
        owner = next(base for base in keras.Model.__mro__ if "fit" in vars(base))
        self._patch(owner, "fit", self._fit)
        self._patch(keras.layers.Layer, "__init__", self._layer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything back, whatever happened."""
        while self._patched:
            owner, name, original = self._patched.pop()
            setattr(owner, name, original)
        self._made.clear()

    def _patch(self, owner: type, name: str, wrapper: Callable[..., Any]) -> None:
        original = vars(owner)[name]

        @functools.wraps(original)
        def patched(*args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs)

        patched.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]  # Keras reads it for configs
        self._patched.append((owner, name, original))
        setattr(owner, name, patched)

    def _layer(self, original: Callable[..., None], layer: Any, *args: Any, **kwargs: Any) -> None:
        """Remember which line of the script made the layer."""
        frame = first_frame_of(self._script)
        original(layer, *args, **kwargs)
        if frame is not None:
            self._made[layer] = frame

    def _fit(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the user's fit; the plan's one is looked at, and ends the script."""
        if self._over:  # the script caught what should have ended it
            raise Enough
        try:
            bound = inspect.signature(original).bind(model, *args, **kwargs)
        except TypeError:
            return original(model, *args, **kwargs)  # which says what is wrong
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])
        if arguments["epochs"] <= arguments["initial_epoch"]:  # no training: it does not count
            return original(model, *args, **kwargs)
        self._calls += 1
        if self._calls != self._plan.fit:
            return original(model, *args, **kwargs)
        try:
            self._look(functools.partial(original, model), model, arguments)
        except UnvanishError as error:
            self.error = error
        self._over = True
        raise Enough

    def _look(self, fit: Callable[..., Any], model: Any, arguments: dict[str, Any]) -> None:
        batches = Batches.of_fit(model, arguments)
        _build(model, batches)
        require_model(model)
        arguments["x"] = batches.for_fit(arguments["x"])
        read(model, batches.take(1)[0][0])
        self._find_sites(model)
        epochs = arguments["epochs"] - arguments["initial_epoch"]
        planned = batches.planned_steps(epochs, arguments["steps_per_epoch"])
        with self._without_writers(arguments["callbacks"]) as arguments["callbacks"]:
            observe(model, batches, self._plan, self._progress, lambda: fit(**arguments), planned, keep=self._keep)

    def _keep(self, seen: Observation, cost: Cost) -> None:
        self.observation, self.cost = seen, cost

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

    def _find_sites(self, model: Any) -> None:
        for leaf in leaves(model)[0]:
            found = self._made.get(leaf.operation)
            if found is not None:
                self.sites[leaf.name] = site_of(*found)


def _build(model: Any, batches: Batches) -> None:
    """Build a model that would be built by its first step: by its first batch, as fit does."""
    if all(layer.built for layer in compat.flat_layers(model)):
        return
    first = batches.take(1)
    if first and isinstance(model, keras.Sequential):
        model.build(keras.tree.map_structure(lambda array: (None, *array.shape[1:]), first[0][0]))
    elif first:
        model(keras.tree.map_structure(keras.ops.convert_to_tensor, first[0][0]), training=False)
