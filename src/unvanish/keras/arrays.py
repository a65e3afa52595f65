"""Training data that are arrays in memory: x, y, sample weights, with one row a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.errors import DataError, UnsupportedError
from unvanish.keras import foreign

Batch = tuple[Any, Any, Any]
"""(x, y, sample weight); each an array, a structure of arrays, or None."""
Rows = NDArray[np.intp] | slice

ENTRIES = 2**24
"""Input entries that are copied at most where a sample of the data will do."""


class Arrays:
    """Hold x, y and sample weights, or the chosen rows of them. Nothing is copied before a batch is asked for."""

    def __init__(self, x: Any, y: Any, weight: Any, batch_size: int, rows: Rows | None = None) -> None:
        """x, y, weight: structures of arrays as `as_arrays` returns them. Raise DataError for data of no use."""
        self._data, self.batch_size = (x, y, weight), batch_size
        self._rows = slice(0, _length(x, y, weight)) if rows is None else rows
        self.samples = len(_indices(self._rows))

    @property
    def batches_per_epoch(self) -> int | None:
        """Return the number of batches that fit makes of them, a smaller last one included."""
        return math.ceil(self.samples / self.batch_size)

    def part(self, rows: Rows) -> Arrays:
        """Return the rows (counted in the whole arrays) as arrays of their own; nothing is copied."""
        return Arrays(*self._data, self.batch_size, rows)

    def of_part(self, rows: NDArray[np.intp]) -> Arrays:
        """Return the rows (counted in these samples) as arrays of their own; nothing is copied."""
        return self.part(_indices(self._rows)[rows])

    @property
    def leaves(self) -> list[Any]:
        """Return every array of x, y and weights, all of its rows; None where there is none."""
        return keras.tree.flatten(self._data)  # type: ignore[no-any-return]

    def with_leaves(self, leaves: Sequence[Any]) -> Arrays:
        """Return the same rows of other arrays; nothing is copied."""
        x, y, weight = keras.tree.pack_sequence_as(self._data, list(leaves))
        return Arrays(x, y, weight, self.batch_size, self._rows)

    def draw(self, indices: NDArray[np.intp]) -> Batch:
        """Return copies of the samples with these indices; floats as Keras casts them."""
        chosen = _indices(self._rows)[indices]
        x, y, weight = (_mapped(lambda leaf: _cast(leaf[chosen]), part) for part in self._data)
        return x, y, weight

    def view(self) -> Batch:
        """Return the samples as they are, not copied, when they are one block; else up to ENTRIES input entries."""
        if isinstance(self._rows, slice):
            x, y, weight = (_mapped(lambda leaf: leaf[self._rows], part) for part in self._data)
            return x, y, weight
        return self.some(max(1, ENTRIES // features(self._data[0])), 1)

    def take(self, count: int, seed: int) -> list[Batch]:
        """Return up to so many shuffled batches, drawn by a generator of their own; one smaller one if need be."""
        order = np.random.default_rng(seed).permutation(self.samples)
        return [self.draw(indices) for indices in _full(order, self.batch_size)[:count]]

    def order(self, limit: int, seed: int) -> Iterator[Batch]:
        """Yield so many batches, epoch after epoch, each epoch freshly shuffled; a smaller last batch is left out."""
        epoch = done = 0
        while done < limit:
            order = np.random.default_rng([seed, epoch]).permutation(self.samples)
            for indices in _full(order, self.batch_size)[: limit - done]:
                yield self.draw(indices)
                done += 1
            epoch += 1

    def some(self, most: int, seed: int) -> Batch:
        """Return the samples, or a random choice of `most` of them, as one batch."""
        if self.samples <= most:
            return self.draw(np.arange(self.samples))
        return self.draw(np.sort(np.random.default_rng(seed).choice(self.samples, most, replace=False)))


def as_arrays(value: Any, *, lists: bool = False) -> Any:
    """Return the structure with every leaf as a numpy array; None stays None.

    lists: take nested lists of numbers for an array (fit does not). Raise UnsupportedError for ragged, sparse or
    other leaves, DataError for a leaf without a sample axis.
    """
    if lists and isinstance(value, list | tuple) and not any(hasattr(v, "shape") for v in keras.tree.flatten(value)):
        value = _as_array(value)
    return _mapped(_array, value)


def example(value: Any) -> NDArray[Any] | None:
    """Return an example input as an array; None where it is a structure of several."""
    found = as_arrays(value, lists=True)
    return found if isinstance(found, np.ndarray) else None


def features(x: Any) -> int:
    """Return the number of input entries of one sample, at least 1."""
    return max(1, sum(int(np.prod(leaf.shape[1:], dtype=np.int64)) for leaf in keras.tree.flatten(x)))


def class_weights(y: Any, weights: Mapping[int, float]) -> NDArray[Any]:
    """Return one sample weight per label as Keras derives them: by argmax of several columns, else by rounding."""
    labels = np.asarray(y)
    if labels.ndim > 1:
        labels = labels.argmax(axis=-1) if labels.shape[-1] != 1 else labels.squeeze(axis=-1)
    classes = np.round(labels).astype(np.int32)
    result = np.ones(classes.shape, dtype=keras.config.floatx())
    for label, weight in weights.items():
        result[classes == label] = weight
    return result


def _array(leaf: Any) -> Any:
    if foreign.is_ragged(leaf):
        raise UnsupportedError(
            "the data are ragged or sparse, which this version cannot look at",
            found=f"an object of the class {type(leaf).__name__}",
            hint="pass dense arrays",
        )
    if isinstance(leaf, keras.KerasTensor):
        raise UnsupportedError(
            "the data are symbolic", found=f"a tensor of shape {leaf.shape}", hint="pass arrays of numbers"
        )
    if foreign.is_torch_tensor(leaf):
        leaf = leaf.detach().cpu()  # else numpy refuses one that is on a device, or wants a gradient
    frame = hasattr(leaf, "to_numpy")
    array = leaf.to_numpy() if frame else _as_array(leaf)
    if array.ndim == 0:
        raise DataError(
            "the data have no axis of samples",
            found=f"a single {array.dtype} value",
            hint="pass arrays, one row a sample",
        )
    return array[:, None] if frame and array.ndim == 1 else array  # Keras makes a pandas Series a column


def _as_array(value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(
            "the data are no array",
            found=f"a {type(value).__name__} of rows of different lengths",
            numbers={"rows": len(value)},
            hint="rows of one length: keras.utils.pad_sequences(rows)",
        ) from error


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    return keras.tree.map_structure(lambda leaf: None if leaf is None else function(leaf), value)


def _cast(array: NDArray[Any]) -> NDArray[Any]:
    """Return floats in Keras' float type, as fit does; a copy in any case."""
    return array.astype(keras.config.floatx() if array.dtype.kind == "f" else array.dtype)


def _length(x: Any, y: Any, weight: Any) -> int:
    """Return the common number of samples; raise DataError when there is none."""
    lengths: dict[str, int] = {}
    for name, part in (("x", x), ("y", y), ("sample_weight", weight)):
        leaves = [leaf for leaf in keras.tree.flatten(part) if leaf is not None]
        for number, leaf in enumerate(leaves):
            lengths[f"samples in {name}" + (f"[{number}]" if len(leaves) > 1 else "")] = len(leaf)
    if not lengths or min(lengths.values()) == 0:
        raise DataError(
            "the data are empty",
            found="no samples to train on",
            numbers=lengths,
            hint="pass at least one sample",
        )
    if len(set(lengths.values())) > 1:
        raise DataError(
            "the data have different lengths",
            found="every sample needs one row in each array",
            numbers=lengths,
            hint=f"cut all of them to {min(lengths.values())} rows, or find the rows that are missing",
        )
    return next(iter(lengths.values()))


def _indices(rows: Rows) -> NDArray[np.intp]:
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows


def _full(order: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    """Return the order cut into full batches; one smaller batch when there are not enough samples for any."""
    return [order[i : i + size] for i in range(0, len(order) - size + 1, size)] or [order]
