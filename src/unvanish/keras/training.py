"""A short training for `check` from Python: the model's own train step, in a batch order of our own."""

from __future__ import annotations

import itertools
from typing import Any

import keras

from unvanish.keras import backends, compat
from unvanish.keras.arrays import Batch
from unvanish.keras.batches import Batches


def train(model: Any, batches: Batches, limit: int, seed: int) -> None:
    """Take so many optimizer steps through the model's own train function, as fit would, without any callback.

    The order of the batches is drawn from the seed by a generator of its own: after `keras.utils.set_random_seed`, fit
    would replay one and the same shuffle every epoch. Changes the model's weights, its optimizer and its metrics.
    """
    drawn = batches.epochs_order(limit, seed)
    # not train_on_batch: it would hand a train step of the user's own another structure than fit does
    data = (packed(batch) for batch in drawn)
    first = next(data, None)
    if first is None:
        return
    compat.build(model, first)
    model.make_train_function()
    model.reset_metrics()
    backends.current().train(model, itertools.chain([first], data))


def packed(batch: Batch) -> Any:
    """Return a batch (x, y, sample weight) as fit hands it to a train step."""
    return keras.utils.pack_x_y_sample_weight(*(_tensors(part) for part in batch))


def _tensors(data: Any) -> Any:
    """Return the arrays as tensors: a compiled function would be compiled anew for every numpy array."""
    return keras.tree.map_structure(lambda leaf: None if leaf is None else keras.ops.convert_to_tensor(leaf), data)
