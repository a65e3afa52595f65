"""Training data that come in batches: a tf.data.Dataset, a PyDataset, or a torch DataLoader."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from unvanish.errors import DataError
from unvanish.keras import foreign, loaders
from unvanish.keras.arrays import Batch, as_arrays, class_weights

MOST = 4096
"""Samples of a stream that are kept in memory at most."""


class Stream:
    """Read batches ahead of fit without changing what fit will get: see `for_fit`."""

    def __init__(self, source: Any, weights: Mapping[int, float] | None = None) -> None:
        """Read the first batch; source: a tf.data.Dataset of batches, a PyDataset or a DataLoader that can be read.

        weights: class weights. Raise DataError when there is no batch, or no sample in it.
        """
        self._source, self._weights = source, weights
        self._cached: list[Any] = []
        self._iterator: Iterator[Any] | None = None
        self.samples = None
        self.batches_per_epoch = _count(source)
        self._ahead(1)
        if not self._cached:
            raise DataError(
                "the data are empty",
                found=f"a {type(source).__name__} without a batch",
                numbers={"batches": 0},
                hint="pass at least one batch",
            )
        self.batch_size = _rows(self._batch(self._cached[0]))
        if self.batch_size == 0:
            raise DataError(
                "the data are empty",
                found=f"the first batch of a {type(source).__name__} has no samples",
                numbers={"samples in the first batch": 0},
                hint="pass at least one sample",
            )

    def for_fit(self) -> Any:
        """Return what fit is to be given: the source, or one that gives the batches that were read ahead once more."""
        if not foreign.is_dataset(self._source) or self._iterator is None:
            return self._source
        from unvanish.keras.replay import Replay  # imports TensorFlow, as whoever made the dataset did

        return Replay(self._source, self._cached, self._iterator)

    def take(self, count: int, seed: int) -> list[Batch]:  # noqa: ARG002  # a stream has its own order
        """Return up to so many batches, the first ones of the stream."""
        self._ahead(count)
        return [self._batch(element) for element in self._cached[:count]]

    def order(self, limit: int, seed: int) -> Iterator[Batch]:
        """Yield so many batches in the stream's own order, starting again at its end."""
        done = 0
        while done < limit:
            for element in self._again(seed + done):
                yield self._batch(element)
                done += 1
                if done == limit:
                    return

    def some(self, most: int, seed: int) -> Batch:  # noqa: ARG002  # a stream has its own order
        """Return up to so many samples (at most MOST) from the start of the stream as one batch."""
        most, count = min(most, MOST), 1
        while sum(_rows(batch) for batch in self.take(count, 0)) < most and self._ahead(count + 1):
            count += 1
        return _joined(self.take(count, 0), most)

    def _ahead(self, count: int) -> bool:
        """Read ahead until so many batches are kept; say whether there are so many."""
        if self._iterator is None:
            self._iterator = self._again(0)
        with private_randomness():
            while len(self._cached) < count:
                try:
                    self._cached.append(next(self._iterator))
                except StopIteration:
                    return False
        return True

    def _again(self, seed: int) -> Iterator[Any]:
        if foreign.is_dataset(self._source):
            return iter(self._source)
        if foreign.is_loader(self._source):
            return loaders.batches(self._source)
        return _items(self._source, self.batches_per_epoch, seed)

    def _batch(self, element: Any) -> Batch:
        parts = element if isinstance(element, tuple | list) else (element,)
        x, y, weight = (as_arrays(part) for part in (*parts, None, None)[:3])
        if weight is None and self._weights and y is not None:
            weight = class_weights(y, self._weights)
        return x, y, weight


@contextmanager
def private_randomness() -> Iterator[None]:
    """Put the states of `random` and of numpy's global generator back afterwards: the user's code may draw."""
    python, numpy_state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)


def _items(source: Any, count: int | None, seed: int) -> Iterator[Any]:
    order = range(MOST) if count is None else np.random.default_rng(seed).permutation(count)
    for index in order:
        with private_randomness():
            element = source[int(index)]
        yield element


def _count(source: Any) -> int | None:
    if foreign.is_dataset(source):
        count = int(source.cardinality())
        return count if count >= 0 else None
    if foreign.is_loader(source):
        return len(source)
    batches = getattr(source, "num_batches", None)  # a generator does not say
    return None if batches is None else int(batches)


def _rows(batch: Batch) -> int:
    return len(keras.tree.flatten(batch[0])[0])


def _joined(batches: list[Batch], most: int) -> Batch:
    def join(*leaves: Any) -> Any:
        return None if leaves[0] is None else np.concatenate(leaves)[:most]

    joined: Callable[..., Any] = keras.tree.map_structure
    x, y, weight = (joined(join, *(batch[part] for batch in batches)) for part in range(3))
    return x, y, weight
