"""Say which part cannot take the data, where a model or its loss raises on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from unvanish.errors import DataError
from unvanish.keras.batches import Batches
from unvanish.keras.probe import restored

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def explained(model: Any, batches: Batches) -> Iterator[None]:
    """Raise DataError in place of what a backend says of shapes and types that do not go together.

    Anything else that the user's own code raises is left as it is.
    """
    try:
        yield
    except Exception as error:
        if not _is_of_shapes(error):
            raise
        x, y, weight = (keras.tree.map_structure(_tensor, part) for part in batches.take(1)[0])
        with restored(model):
            output = _called(model, x)
            _compared(model, x, y, weight, output)
        raise


def _called(model: Any, x: Any) -> Any:
    try:
        return model(x, training=True)
    except Exception as error:
        raise DataError(
            f"the model {model.name!r} cannot be called on these inputs",
            found=_first_line(error),
            numbers={"x": shapes(x)},
            hint="model(x[:1]) shows the whole error: data of the shape and type that the model takes",
        ) from error


def _compared(model: Any, x: Any, y: Any, weight: Any, output: Any) -> None:
    try:
        model.compute_loss(x, y, output, weight, training=True)
    except Exception as error:
        raise DataError(
            "the loss cannot be computed from the outputs and the labels",
            found=_first_line(error),
            numbers={"outputs": shapes(output), "labels": shapes(y)},
            hint="labels of the shape and type that the loss takes, in the structure of the model's outputs",
        ) from error


def shapes(value: Any) -> str:
    """Return shapes and types of a structure of tensors, in words."""
    found = [leaf for leaf in keras.tree.flatten(value) if leaf is not None]
    return ", ".join(f"{tuple(t.shape)} {keras.backend.standardize_dtype(t.dtype)}" for t in found) or "none"


def _is_of_shapes(error: Exception) -> bool:
    """Say whether a backend or Python raised it for what it was given; torch has but one class for all."""
    kinds = (IndexError, TypeError, ValueError, *((RuntimeError,) if keras.backend.backend() == "torch" else ()))
    return isinstance(error, kinds) or type(error).__module__.startswith("tensorflow.")


def _first_line(error: Exception) -> str:
    """Return class and first line of an error; of one that Keras rewrote, the line that says what is wrong."""
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return f"{type(error).__name__}: {(told or lines or [''])[0]}"


def _tensor(value: Any) -> Any:
    return None if value is None else keras.ops.convert_to_tensor(value)
