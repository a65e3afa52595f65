"""The data that `check` is given, as batches on the model's device; a part of arrays is held out."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from unvanish.core.numeric import numeric
from unvanish.torch.samples import pair_of, require_batch, require_data, require_some, require_stream
from unvanish.torch.structures import leaves, length, mapped

HELD_OUT_SHARE = 5
"""Without validation data one sample in so many is held out."""
MOST = 4096
"""Samples that are kept of a stream, or evaluated on, at most."""


class Batch(NamedTuple):
    """Hold what the model is called with, and what its output is compared with."""

    x: Any
    y: Any


class Batches:
    """Give batches of training data; every random choice is made by a generator of its own.

    Tensors are handed on as they are, on the model's device. Numbers of numpy become the model's float type and int64,
    as PyTorch would want them.
    """

    def __init__(self, model: torch.nn.Module, x: Any, y: Any, validation: Any, batch_size: int) -> None:
        """x: arrays, tensors, or structures of them, with y; without y something that gives (x, y) when iterated.

        Raise DataError for data that no training could use.
        """
        self._model = model
        self._stream: Any = None
        self._x, self._y = x, y
        self._rows: Any = np.arange(0)
        self._held_out: Batch | None = None
        if next(leaves(x), None) is None or y is None:
            require_stream(x, y)
            self._stream, self.samples = x, None
            first = self.take(1)
            require_some(first, x)
            self.batch_size = length(first[0].x)
        else:
            require_data(x, y)
            self._rows = np.arange(length(x))
            if validation is None:
                self._hold_out()
            self.samples, self.batch_size = len(self._rows), min(batch_size, len(self._rows))
            self.take(1)
        if validation is not None:
            pair = pair_of(validation)
            if pair is not None:
                require_data(*pair, of=" of the validation data")
            self._held_out = _first(validation, MOST) if pair is None else Batch(*pair)
            self.held_out(1)

    def _hold_out(self) -> None:
        out = len(self._rows) // HELD_OUT_SHARE
        order = np.random.default_rng(0).permutation(len(self._rows))
        if out:
            self._held_out = self._part(np.sort(order[:out]))
            self._rows = np.sort(order[out:])

    def take(self, count: int) -> list[Batch]:
        """Return up to so many batches of the training data, always the same ones."""
        return list(itertools.islice(self._epoch(0), count))

    def order(self, limit: int) -> Iterator[Batch]:
        """Yield so many batches, beginning again with the data in another order at their end."""
        endless = itertools.chain.from_iterable(self._epoch(epoch) for epoch in itertools.count(1))
        return itertools.islice(endless, limit)

    def train_sample(self, most: int = MOST) -> Batch:
        """Return up to so many training samples."""
        if self._stream is not None:
            return self._placed(_first(self._stream, most))
        rows = np.random.default_rng(1).permutation(self._rows)[:most]
        return self._placed(self._part(np.sort(rows)))

    def held_out(self, most: int = MOST) -> Batch | None:
        """Return up to so many held-out samples; None without any."""
        if self._held_out is None:
            return None
        rows = np.sort(np.random.default_rng(2).permutation(length(self._held_out.x))[:most])
        return self._placed(Batch(*(mapped(part, operator.itemgetter(rows)) for part in self._held_out)))

    @property
    def held_out_samples(self) -> int:
        """Return the number of held-out samples."""
        return 0 if self._held_out is None else length(self._held_out.x)

    def _epoch(self, seed: int) -> Iterator[Batch]:
        if self._stream is not None:
            for pair in self._stream:
                yield self._placed(Batch(*require_batch(pair)[:2]))
            return
        order = np.random.default_rng(seed).permutation(self._rows)
        for start in range(0, len(order), self.batch_size):
            yield self._placed(self._part(order[start : start + self.batch_size]))

    def _part(self, rows: Any) -> Batch:
        return Batch(*(mapped(part, operator.itemgetter(rows)) for part in (self._x, self._y)))

    def _placed(self, batch: Batch) -> Batch:
        return Batch(*(tensors_for(self._model, part, what) for part, what in zip(batch, ("x", "y"), strict=True)))


def tensors_for(model: torch.nn.Module, value: Any, what: str) -> Any:
    """Return the structure with tensors on the model's device; arrays of numpy in its float type, or as int64.

    what: what it is, for the DataError about arrays that hold no numbers.
    """
    parameter = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))

    def placed(leaf: Any) -> torch.Tensor:
        if isinstance(leaf, torch.Tensor):
            return leaf.to(parameter.device)
        if not (leaf.dtype.kind == "c" and any(p.is_complex() for p in model.parameters())):
            numeric(what, leaf.dtype)
        wide = leaf.dtype.kind == "f" and leaf.dtype.itemsize > 8  # a long double, which torch does not have
        tensor = torch.from_numpy(np.ascontiguousarray(leaf, dtype=np.float64 if wide else None))
        kept = tensor.dtype in (torch.bool, torch.uint8) or tensor.is_complex()
        kind = parameter.dtype if tensor.is_floating_point() else tensor.dtype if kept else torch.int64
        return tensor.to(parameter.device, kind)

    return mapped(value, placed)


def _first(stream: Any, most: int) -> Batch:
    """Return the first samples of a stream, joined."""
    pairs, count = [], 0
    for pair in stream:
        pairs.append(Batch(*require_batch(pair)[:2]))
        count += length(pairs[-1].x)
        if count >= most:
            break
    require_some(pairs, stream)
    x, y = (_joined([pair[part] for pair in pairs], most) for part in (0, 1))
    return Batch(x, y)


def _joined(parts: list[Any], most: int) -> Any:
    first = parts[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(parts)[:most]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)[:most]
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts], most) for key in first}
    if isinstance(first, list | tuple):
        return type(first)(_joined([part[i] for part in parts], most) for i in range(len(first)))
    return first
