"""Hold what sampled steps began with, until their numbers were read: the batch and the weights, out of the step itself.

Both leave the sampled step with its numbers, where the step is compiled as outputs of it, so that no pass is made for
them and no step between samples knows of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.nonfinite import Located, Spoilt
from unvanish.core.recording import WATCH_STATS
from unvanish.core.spoilt_file import LARGEST, this_script, too_large
from unvanish.keras import backends
from unvanish.keras.info import replicas_of
from unvanish.keras.nonfinite import locate, weights_of
from unvanish.watching.recorder import Numbers

_NONFINITE = WATCH_STATS.index("gradient_nonfinite")


class Held:
    """Hold one sampled step."""

    def __init__(self, step: int, sums: dict[str, Any], numbers: Numbers) -> None:
        """sums: that the step handed out, among them the batch as it took it and the weights before it."""
        self.step, self.sums, self.batch = step, sums, sums["batch"]
        self.spoilt: bool | None = None
        """Whether it shows a value that is not finite; None before its numbers are read."""
        self._numbers = numbers

    def read(self) -> tuple[float, NDArray[np.float64]]:
        """Return the step's numbers, and know."""
        loss, numbers = self._numbers()
        with np.errstate(invalid="ignore"):
            self.spoilt = bool((numbers[_NONFINITE] > 0).any()) or math.isinf(loss)
        return loss, numbers


class HeldSteps:
    """Hold the sampled steps of one training, and say where the first value comes from that is not finite."""

    def __init__(self, model: Any) -> None:
        """Hold nothing yet."""
        self._model = model
        self._weights = weights_of(model)
        self._size = sum(math.prod(v.shape) * np.dtype(_wide(v.dtype)).itemsize for v in self._weights)
        self.why_not = self._why_not()
        """Why no step is held, and no place looked for; empty where they are."""
        self._wanted = not self.why_not
        self._held: list[Held] = []
        self._keeper: backends.Keeper | None = None

    def _why_not(self) -> str:
        if isinstance(self._model.optimizer, keras.optimizers.LossScaleOptimizer):
            return "the gradients of a dynamic loss scale overflow as it searches"
        if self._model.steps_per_execution != 1:
            return "a call takes several steps, whose batches stay inside"
        if replicas_of(self._model) > 1:  # of what each of them hands out, Keras gives the mean
            return "several replicas train the model, each with a part of the batch"
        return f"weights and states take more than {LARGEST / 2**20:.0f} MiB" if self._size > LARGEST else ""

    def tapped(self, norms: Any, begins: Callable[[Any], object] | None = None) -> Callable[..., Any]:
        """Return the tapped train step, which hands out its batch and keeps the weights that it began with, too.

        begins: is given the batch of each step before it, where Python runs there.
        """
        backend = backends.current()
        self._keeper = backend.keeping(self._model, norms, self._weights) if self._wanted else None
        tap = backend.tapped(self._model, norms) if self._keeper is None else self._keeper.step
        if begins is None or not backend.BEFORE:
            return tap

        def step(batch: Any) -> Any:
            begins(batch)
            return tap(batch)

        return step

    @property
    def waits(self) -> bool:
        """Say whether what is held must be read before a tapped step is taken."""
        return self._keeper is not None and self._keeper.waits and bool(self._held)

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], *, look: bool = False) -> Any:
        """Take a tapped step; `function` is compiled of it. look: whether what it begins with is wanted anyway."""
        return function(*arguments) if self._keeper is None else self._keeper.run(function, arguments, look=look)

    def begun(self, sums: dict[str, Any]) -> list[Any] | None:
        """Return what the step began with that handed this out; None where that is not kept."""
        return self._keeper.begun(sums) if self._keeper is not None and "weights" in sums else None

    def hold(self, step: int, sums: dict[str, Any], numbers: Numbers) -> Numbers | None:
        """Hold a step; return what is to be read of it, None where it is not held.

        Of a reader that lags behind, so many are held as may be kept of one; the later ones are not.
        """
        if not self._wanted or "batch" not in sums:
            return None
        leaves = [leaf for leaf in keras.tree.flatten(sums["batch"]) if leaf is not None]
        each = self._size + sum(4 * math.prod(leaf.shape) for leaf in leaves)
        if self._held and (len(self._held) + 1) * each > LARGEST:
            return None
        held = Held(step, sums, numbers)
        self._held.append(held)
        return held.read

    def settle(self, *, wait: bool) -> tuple[Spoilt, dict[str, NDArray[Any]]] | None:
        """Return where the first value comes from that is not finite, and what a replay needs; None for none.

        wait: for the numbers of all steps that are held. To be called between steps.
        """
        while self._held:
            passed_over = any(held.spoilt is not None for held in self._held)  # by a reader that had no room for it
            first = self._held.pop(0)
            if first.spoilt is None and (wait or passed_over):
                first.read()
            if first.spoilt is None:
                self._held.insert(0, first)
                return None
            if first.spoilt:
                self._held, self._wanted = [], False
                weights = self._keeper.begun(first.sums) if self._keeper is not None else []
                return self._kept(first, weights, locate(self._model, first.batch, weights))
        return None

    def _kept(self, held: Held, weights: list[Any], located: Located) -> tuple[Spoilt, dict[str, NDArray[Any]]]:
        values = {f"weight/{i}": array(value) for i, value in enumerate(weights)}
        leaves = [leaf for leaf in keras.tree.flatten(held.batch) if leaf is not None]
        values |= {f"batch/{i}": array(leaf) for i, leaf in enumerate(leaves)}
        script, arguments = this_script()
        spoilt = Spoilt(
            step=held.step,
            state="before",
            located=located,
            framework="keras",
            script=script,
            arguments=arguments,
            kinds={f"weight/{i}": v.path for i, v in enumerate(self._weights)},
            structure=structure_of(held.batch),
            left_out=too_large(sum(value.nbytes for value in values.values())),
        )
        return spoilt, {} if spoilt.left_out else values


def array(value: Any) -> NDArray[Any]:
    """Return a copy as an array of a dtype that numpy has."""
    found = np.array(keras.ops.convert_to_numpy(value))
    return found if found.dtype.kind in "biufc" and found.dtype.name != "bfloat16" else found.astype(np.float32)


def structure_of(batch: Any) -> str:
    """Return a batch's structure as JSON, its leaves numbered; tuples are lists there."""
    numbers = iter(range(1_000_000))
    return json.dumps(keras.tree.map_structure(lambda leaf: None if leaf is None else next(numbers), batch))


def _wide(dtype: str) -> str:
    return "float32" if dtype in ("bfloat16", "float16") else dtype
