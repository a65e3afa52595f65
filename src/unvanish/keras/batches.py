"""The user's data as fit sees them: training batches, and what was held out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from unvanish.errors import DataError, UnsupportedError
from unvanish.keras import foreign, loaders
from unvanish.keras.arrays import Arrays, Batch, as_arrays, class_weights, features
from unvanish.keras.generated import Generated
from unvanish.keras.streams import MOST, Stream

Source = Arrays | Stream

READABLE = (
    "arrays, tf.data.Dataset, keras.utils.PyDataset, DataLoader of a dataset with __getitem__, generators in a script"
)
HELD_OUT_SHARE = 5
"""Without validation data one sample in so many is held out."""


class Batches:
    """Give real batches of the training data and the held-out samples; every random choice is made by an own generator.

    A batch is (x, y, sample weight): numpy arrays or structures of them, floats in Keras' float type, None where there
    is nothing. The user's arrays are neither changed nor copied as a whole.
    """

    def __init__(self, training: Source, held_out: Source | None) -> None:
        """Use the constructors below."""
        self._training, self._held_out = training, held_out
        self.samples: int | None = training.samples
        self.batch_size: int = training.batch_size

    @classmethod
    def of_fit(cls, model: Any, arguments: Mapping[str, Any]) -> Batches:
        """Return the data of a call of `model.fit` (arguments by name, as bound to its signature).

        Raise DataError for data that no training could use, UnsupportedError for kinds that cannot be looked at.
        """
        given = {**_defaults(model), **arguments}
        x, y, weight = given["x"], given["y"], given["sample_weight"]
        validation = given["validation_data"]
        if inspect.isgenerator(validation):  # what is read of it would be gone for the user's own validation
            validation = None
        if inspect.isgenerator(x):
            return cls(Generated(x, given["class_weight"]), _validation(validation))
        if is_stream(x):
            return cls(Stream(x, given["class_weight"]), _validation(validation))
        _refuse_iterators(x)
        x, y, weight = as_arrays(x), as_arrays(y), as_arrays(weight)
        if weight is None and given["class_weight"] and y is not None and not keras.tree.is_nested(y):
            weight = class_weights(y, given["class_weight"])
        whole = Arrays(x, y, weight, 1)
        part, held_out = whole, _validation(validation)
        split = math.floor(whole.samples * (1.0 - (given["validation_split"] or 0.0)))
        if validation is None and 0 < split < whole.samples:
            part, held_out = whole.part(slice(0, split)), whole.part(slice(split, whole.samples))
        part.batch_size = given["batch_size"] or _batch_size(part.samples, given["steps_per_epoch"])
        return cls(part, held_out)

    @classmethod
    def of_batch(cls, x: Any, y: Any, weight: Any = None, class_weight: Mapping[int, float] | None = None) -> Batches:
        """Return the data of a loop of which one batch is known; nothing is held out. Raise as `of_fit` does."""
        x, y, weight = as_arrays(x), as_arrays(y), as_arrays(weight)
        if weight is None and class_weight and y is not None and not keras.tree.is_nested(y):
            weight = class_weights(y, class_weight)
        batch = Arrays(x, y, weight, 1)
        batch.batch_size = batch.samples
        found = cls(batch, None)
        found.samples = None
        return found

    @classmethod
    def of_arrays(cls, x: Any, y: Any, validation: Any = None, batch_size: int = 32) -> Batches:
        """Return data given from Python; without validation a fifth is held out, drawn by a generator of its own.

        x: array, structure of arrays, or a stream (tf.data.Dataset, PyDataset, torch DataLoader: then nothing is held
        out without validation).
        validation: (x, y) or a stream. Raise as `of_fit` does.
        """
        if is_stream(x):
            return cls(Stream(x), _validation(validation, lists=True))
        _refuse_iterators(x)
        whole = Arrays(as_arrays(x, lists=True), as_arrays(y, lists=True), None, batch_size)
        out = 0 if validation is not None else whole.samples // HELD_OUT_SHARE
        whole.batch_size = min(batch_size, whole.samples - out)
        if out == 0:
            return cls(whole, _validation(validation, lists=True))
        order = np.random.default_rng(0).permutation(whole.samples)
        return cls(whole.part(np.sort(order[out:])), whole.part(np.sort(order[:out])))

    def for_trials(self) -> Batches:
        """Return data that can be drawn in the same order again and again, a fifth held out where nothing was.

        Of a stream that are its first samples, as many as are kept in memory: nothing but arrays is left. Raise
        UnsupportedError for a stream whose batches do not fit together, DataError for a single sample.
        """
        whole = _kept(self._training)
        if self._held_out is not None:
            return Batches(whole, _kept(self._held_out))
        if whole.samples < 2:
            raise DataError(
                "there is nothing to compare trainings on",
                found="one sample, which would be trained on and held out",
                hint="more samples, or held-out ones of their own: validation=(x_val, y_val)",
            )
        order = np.random.default_rng(0).permutation(whole.samples)
        out = max(1, whole.samples // HELD_OUT_SHARE)
        return Batches(whole.of_part(np.sort(order[out:])), whole.of_part(np.sort(order[:out])))

    def leaves(self) -> dict[str, Any]:
        """Return, by name, all arrays of data that are kept in memory; an array may have two names."""
        parts = {"training": self._training, "held out": self._held_out}
        return {
            f"{name} {number}": leaf
            for name, part in parts.items()
            if isinstance(part, Arrays)
            for number, leaf in enumerate(part.leaves)
            if leaf is not None
        }

    def with_leaves(self, leaves: Mapping[str, Any]) -> Batches:
        """Return the same samples of other arrays, named as in `leaves`; the others stay."""

        def other(name: str, part: Source | None) -> Any:
            if not isinstance(part, Arrays):
                return part
            return part.with_leaves([leaves.get(f"{name} {i}", leaf) for i, leaf in enumerate(part.leaves)])

        return Batches(other("training", self._training), other("held out", self._held_out))

    @property
    def held_out_samples(self) -> int:
        """Return the number of held-out samples; of a stream, those that `held_out` would give."""
        source = self._held_out
        if isinstance(source, Stream):
            return len(keras.tree.flatten(source.some(MOST, 0)[0])[0])
        return 0 if source is None else source.samples

    def take(self, count: int, seed: int = 0) -> list[Batch]:
        """Return up to so many batches of the training data; the same ones for the same seed."""
        return self._training.take(count, seed)

    def train_sample(self, most: int) -> tuple[Any, Any]:
        """Return (x, y) of up to so many training samples."""
        return self._training.some(most, 1)[:2]

    def training_arrays(self) -> tuple[Any, Any]:
        """Return (x, y) of the training samples: the user's own arrays, not to be written to, or a sample of them."""
        source = self._training
        return (source.view() if isinstance(source, Arrays) else source.some(MOST, 1))[:2]

    def held_out(self, most: int = MOST) -> tuple[Any, Any] | None:
        """Return (x, y) of the held-out samples, of a random choice of `most` when there are more; None without any."""
        return None if self._held_out is None else self._held_out.some(most, 2)[:2]

    @property
    def features(self) -> int:
        """Return the number of input entries of one sample."""
        return features(self._training.take(1, 0)[0][0])

    def epochs_order(self, limit: int, seed: int) -> Iterator[Batch]:
        """Yield so many batches in an order of our own: Keras, seeded, would replay one shuffle every epoch."""
        return self._training.order(limit, seed)

    def planned_steps(self, epochs: int, steps_per_epoch: int | None = None) -> int | None:
        """Return the optimizer steps of a fit over so many epochs; None for a stream of unknown length."""
        per_epoch = steps_per_epoch or self._training.batches_per_epoch
        return None if per_epoch is None else max(0, epochs) * per_epoch

    def for_fit(self, x: Any) -> Any:
        """Return what fit is to be given for x, so that it trains on the batches that it would have had."""
        return self._training.for_fit() if isinstance(self._training, Stream) else x


def _kept(source: Source) -> Arrays:
    if isinstance(source, Arrays):
        return source
    try:
        return Arrays(*source.some(MOST, 0), source.batch_size)
    except ValueError as error:
        raise UnsupportedError(
            "the batches of the data cannot be kept together",
            found=f"batches of different shapes: {error}",
            hint="pad all batches to one length, or pass arrays",
        ) from error


def is_stream(x: Any) -> bool:
    """Say whether batches can be read from it again and again."""
    return foreign.is_dataset(x) or loaders.is_loader(x) or isinstance(x, keras.utils.PyDataset)


def _validation(data: Any, *, lists: bool = False) -> Source | None:
    if data is None:
        return None
    if is_stream(data):
        return Stream(data)
    _refuse_iterators(data)
    x, y, *_ = (*data, None) if isinstance(data, tuple | list) else (data, None)
    if any(getattr(leaf, "shape", None) and leaf.shape[0] == 0 for leaf in keras.tree.flatten(x)):
        raise DataError(
            "the validation data are empty",
            found="no held-out samples",
            hint="at least one of them; without validation data a fifth of the samples is held out",
        )
    return Arrays(as_arrays(x, lists=lists), as_arrays(y, lists=lists), None, 1)


def _refuse_iterators(x: Any) -> None:
    loader = foreign.is_loader(x)  # one that can be read is a stream
    if inspect.isgenerator(x) or loader or (hasattr(x, "__next__") and not hasattr(x, "shape")):
        cause = "an IterableDataset, or a sampler of your own: " if loader else ""
        raise UnsupportedError(
            "the training data are an iterator, which this version cannot look at",
            found=f"an object of the class {type(x).__name__}; {cause}what is read from it is gone for the training",
            numbers={"can be read": READABLE},
            hint="tf.data.Dataset.from_generator(...), or a keras.utils.PyDataset with __getitem__",
        )


def _defaults(model: Any) -> dict[str, Any]:
    known = ("x", "y", "sample_weight", "class_weight", "validation_data", "validation_split", "batch_size")
    parameters = inspect.signature(model.fit).parameters
    return dict.fromkeys((*known, "steps_per_epoch")) | {
        name: parameter.default for name, parameter in parameters.items() if parameter.default is not parameter.empty
    }


def _batch_size(samples: int, steps: int | None) -> int:
    return math.ceil(samples / steps) if steps else 32
