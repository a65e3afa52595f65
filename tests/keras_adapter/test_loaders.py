"""A torch DataLoader that was read ahead gives the training what it would have given it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from unvanish.errors import UnsupportedError
from unvanish.keras.batches import Batches

torch = pytest.importorskip("torch")
data = torch.utils.data
pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


class Noisy(data.Dataset[Any]):
    """Draws from every global generator, as augmentations do."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Any:
        noise = torch.rand(3) + random.random() + np.random.rand()
        return torch.full((3,), float(index)) + 0.1 * noise.float(), torch.tensor([float(index)])


class Endless(data.IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        while True:
            yield torch.zeros(3), torch.zeros(1)


class Backwards(data.Sampler[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(11, -1, -1))


def loader(kind: str) -> Any:
    generator = torch.Generator().manual_seed(3)
    return {
        "in order": lambda: data.DataLoader(Noisy(), batch_size=5),
        "shuffled": lambda: data.DataLoader(Noisy(), batch_size=4, shuffle=True),
        "own generator": lambda: data.DataLoader(Noisy(), batch_size=4, shuffle=True, generator=generator),
        "weighted": lambda: data.DataLoader(Noisy(), 4, sampler=data.WeightedRandomSampler([1.0] * 12, 12)),
        "batched by itself": lambda: data.DataLoader(
            data.TensorDataset(torch.ones(6, 4, 3), torch.ones(6, 4, 1)), None
        ),
    }[kind]()


def passes(given: Any) -> list[list[np.ndarray[Any, Any]]]:
    return [[np.concatenate([part.numpy().ravel() for part in batch]) for batch in given] for _ in range(2)]


KINDS = ["in order", "shuffled", "own generator", "weighted", "batched by itself"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_ahead_is_read_again(kind: str) -> None:
    results = []
    for ahead in (False, True):
        keras.utils.set_random_seed(1)
        torch.manual_seed(1)
        given = loader(kind)
        if ahead:
            batches = Batches.of_arrays(given, None)
            assert len(batches.take(2)) == 2
            assert batches.take(2)[0][0].shape[1:] == (3,)
            assert batches.planned_steps(2) == 2 * len(given)
            assert batches.for_fit(given) is given
        results.append((passes(given), random.random(), np.random.rand(), float(torch.rand(()))))
    for once, again in zip(*(result[0] for result in results), strict=True):
        assert [batch.tobytes() for batch in once] == [batch.tobytes() for batch in again]
    assert results[0][1:] == results[1][1:]


def test_the_batches_are_those_of_the_loader() -> None:
    x = torch.arange(12.0)[:, None]
    given = data.DataLoader(data.TensorDataset(x, 2 * x), batch_size=5)
    seen = [y.ravel().tolist() for _, y, _ in Batches.of_arrays(given, None).take(3)]
    assert seen == [y.ravel().tolist() for _, y in given]


@pytest.mark.parametrize("given", [data.DataLoader(Endless(), 4), data.DataLoader(Noisy(), 4, sampler=Backwards())])
def test_what_would_be_lost_is_refused(given: Any) -> None:
    with pytest.raises(UnsupportedError) as caught:
        Batches.of_arrays(given, None)
    assert "IterableDataset, or a sampler of your own" in caught.value.found
    assert "DataLoader" in caught.value.numbers["can be read"]


def test_tensors_of_torch_are_arrays() -> None:
    x, y = torch.rand(10, 3, requires_grad=True), torch.ones(10, 1)
    batches = Batches.of_arrays(x, y, validation=(x, y))
    assert batches.training_arrays()[0] == pytest.approx(x.detach().numpy(), rel=1e-7, abs=0)
