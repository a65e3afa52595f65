"""Run a script until it trains the model that a run was of, and run the batch that was kept of it once more."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.nonfinite import Located, Spoilt
from unvanish.keras import compat
from unvanish.keras.nonfinite import locate, weights_of
from unvanish.keras.patches import Patches, defining
from unvanish.watching.session import Enough

WAYS = ("fit", "train_on_batch")


class Replay:
    """End the script where it begins to train the model whose weights were kept, and locate."""

    def __init__(self, spoilt: Spoilt, values: Mapping[str, NDArray[Any]], found: Callable[[Located], object]) -> None:
        """found: is told where the value comes from."""
        self._found, self._patches = found, Patches()
        self._weights = [values[f"weight/{i}"] for i in range(sum(name.startswith("weight/") for name in values))]
        self._batch = _filled(json.loads(spoilt.structure), values)

    def __enter__(self) -> Replay:
        """Listen."""
        for way in WAYS:
            self._patches.patch(defining(keras.Model, way), way, self._train)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._patches.undo()

    def _train(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        if not model.built:
            compat.build(model, tuple(self._batch))
        if [tuple(v.shape) for v in weights_of(model)] != [value.shape for value in self._weights]:
            return original(model, *args, **kwargs)
        self._patches.undo()
        self._found(locate(model, self._batch, self._weights))
        raise Enough


def _filled(structure: Any, values: Mapping[str, NDArray[Any]]) -> Any:
    """Return the structure with the arrays of the batch in place of their numbers."""
    if isinstance(structure, int):
        return np.asarray(values[f"batch/{structure}"])
    if isinstance(structure, list):
        return [_filled(part, values) for part in structure]
    return {name: _filled(part, values) for name, part in structure.items()} if structure else None
