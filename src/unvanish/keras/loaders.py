"""A torch DataLoader, read by its own parts in this process, so that the training reads what it would have read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from unvanish.keras import foreign

_SAMPLERS = ("BatchSampler", "RandomSampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler")
"""Samplers whose only state is that of a generator; what one of the user's own would remember is not known."""


def is_readable(loader: Any) -> bool:
    """Say whether batches can be read without changing those that come later: samples by number, known samplers."""
    data = sys.modules["torch"].utils.data
    known = {getattr(data, name) for name in _SAMPLERS}
    samplers = [loader.sampler, *([loader.batch_sampler] if loader.batch_sampler is not None else [])]
    samplers += [sampler.sampler for sampler in samplers if type(sampler) is data.BatchSampler]
    return not isinstance(loader.dataset, data.IterableDataset) and all(type(s) in known for s in samplers)


def batches(loader: Any) -> Iterator[Any]:
    """Yield the batches of one pass, collated as the loader would. Random states are put back after each."""
    make: Callable[[Any], Any] = loader.collate_fn
    with private_generators(loader):
        indices = iter(loader.sampler if loader.batch_sampler is None else loader.batch_sampler)
    while True:
        with private_generators(loader):
            try:
                chosen = next(indices)
            except StopIteration:
                return
            batch = make(
                _samples(loader.dataset, chosen) if loader.batch_sampler is not None else loader.dataset[chosen]
            )
        yield batch


@contextmanager
def private_generators(loader: Any) -> Iterator[None]:
    """Put back the random states of torch, and of the generators of the loader and its samplers."""
    torch = sys.modules["torch"]
    owners = [loader, loader.sampler, getattr(loader.batch_sampler, "sampler", None)]
    found = [g for owner in owners if (g := getattr(owner, "generator", None)) is not None]
    states = [(generator, generator.get_state()) for generator in {id(g): g for g in found}.values()]
    with torch.random.fork_rng():
        try:
            yield
        finally:
            for generator, state in states:
                generator.set_state(state)


def _samples(dataset: Any, chosen: Any) -> list[Any]:
    together = getattr(dataset, "__getitems__", None)
    return list(together(chosen)) if together is not None else [dataset[index] for index in chosen]


def is_loader(value: Any) -> bool:
    """Say whether it is a DataLoader that can be read."""
    return foreign.is_loader(value) and is_readable(value)
