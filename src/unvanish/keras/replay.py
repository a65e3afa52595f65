"""A tf.data.Dataset whose first iteration gives again what was read ahead; all others are those of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from unvanish.keras import compat


class Replay(tf.data.Dataset):  # type: ignore[misc]  # TensorFlow is untyped
    """Stand in for a dataset on which one iterator was begun.

    A shuffled dataset moves on with every iterator that is made, and Keras makes more of them than it reads. So the
    first iterator asked for goes on with the one that was begun; afterwards each is a new one of the dataset itself.
    """

    def __init__(self, source: tf.data.Dataset, read: Sequence[Any], begun: Iterator[Any]) -> None:
        """source: the user's dataset. read: the elements that were read ahead from the iterator `begun`."""

        def elements() -> Iterator[Any]:
            yield from read
            yield from begun

        first = tf.data.Dataset.from_generator(elements, output_signature=source.element_spec)
        self._first: tf.data.Dataset | None = first.apply(tf.data.experimental.assert_cardinality(source.cardinality()))
        self._source = source
        super().__init__(compat.variant_of(self._first))

    def __iter__(self) -> Any:
        """Return the next iterator."""
        first, self._first = self._first, None
        return iter(self._source if first is None else first)

    def _inputs(self) -> list[Any]:
        return []

    @property
    def element_spec(self) -> Any:
        """Return the structure of an element."""
        return self._source.element_spec
