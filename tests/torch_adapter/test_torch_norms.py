"""Norms against a slow one in exact rational arithmetic or float64 numpy, over every magnitude that a dtype has."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from unvanish.torch import norms
from unvanish.torch.compat import foreach_norm
from unvanish.torch.norms import norms_of, on_device
from unvanish.torch.tally import gradients_of

pytestmark = pytest.mark.torch

KINDS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
EXPONENTS = {torch.float32: (-44, -38, -30, -22, -20, -15, 0, 18, 37), torch.float64: (-300, -160, -30, 0, 150, 300)}
EXPONENTS |= {torch.bfloat16: EXPONENTS[torch.float32][1:], torch.float16: (-7, -4, 0, 3)}
CASES = [(kind, exponent) for kind in KINDS for exponent in EXPONENTS[kind]]


def exact(tensor: torch.Tensor) -> float:
    """Return the norm from the exact sum of the squares of the entries."""
    total = sum((Fraction(x) ** 2 for x in tensor.double().reshape(-1).tolist()), start=Fraction(0))
    shift = 0
    while total and total < 1:  # a float has no such small squares
        total, shift = total * 4**64, shift + 64
    while total > 10**200:
        total, shift = total / 4**64, shift - 64
    return math.ldexp(math.sqrt(total), -shift)


@pytest.mark.parametrize("taken", [norms_of, on_device], ids=["cpu", "device"])
@pytest.mark.parametrize(("kind", "exponent"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_norm_underflows_or_overflows(taken, kind, exponent, seed):
    values = np.random.default_rng(seed).uniform(-9, 9, (7, 11)) * 10.0**exponent
    tensor = torch.tensor(values, dtype=kind)
    assert torch.isfinite(tensor).all()
    assert float(tensor.abs().max()) > 0
    (found,) = taken([tensor])
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(exact(tensor), rel=1e-6, abs=0)


def test_that_float32_alone_would_underflow():
    assert float(foreach_norm([torch.full((77,), 1e-30)])[0]) == 0


@pytest.mark.parametrize("size", [norms.PIECE - 1, norms.PIECE + 1, 1_000_003, 20_000_000])
def test_many_entries_add_up(size):
    """One float32 sum over the largest of these is wrong in the third digit."""
    tensor = torch.rand(size, generator=torch.Generator().manual_seed(size))
    expected = float(np.linalg.norm(tensor.numpy().astype(np.float64)))
    assert float(norms_of([tensor])[0]) == pytest.approx(expected, rel=2e-6, abs=0)


def test_small_entries_in_a_piece_of_their_own_count():
    tensor = torch.full((2 * norms.PIECE,), 1e-25)
    tensor[: norms.PIECE] = 1e-24
    expected = math.sqrt(norms.PIECE * (1e-48 + 1e-50))
    assert float(norms_of([tensor])[0]) == pytest.approx(expected, rel=1e-6, abs=0)


def test_every_form_of_tensor():
    dense = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    sparse = torch.sparse_coo_tensor([[0, 0], [1, 1]], [3.0, 4.0], (2, 2))  # one place, given twice
    parts = [dense, dense.t(), dense[:, 1], sparse, torch.empty(0), torch.tensor([3 + 4j]), torch.tensor([3, 4])]
    assert [float(n) for n in norms_of(parts)] == [5.0, 5.0, 4.0, 7.0, 0.0, 5.0, 5.0]
    assert [float(n) for n in on_device([dense, dense.double()])] == [5.0, 5.0]
    assert norms_of([]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_shows(kind):
    infinite, nan = torch.tensor([1.0, math.inf], dtype=kind), torch.tensor([1.0, math.nan, math.inf], dtype=kind)
    for taken in (norms_of, on_device):
        found = [float(n) for n in taken([infinite, nan])]
        assert found[0] == math.inf
        assert math.isnan(found[1])


def test_zeros_and_what_is_not_finite_are_counted():
    parameters = [torch.nn.Parameter(torch.ones(2, 3)) for _ in range(4)]
    parameters[0].grad = torch.tensor([[0.0, -0.0, 1e-45], [math.nan, math.inf, -math.inf]])
    parameters[1].grad = torch.sparse_coo_tensor([[0], [1]], [2.0], (2, 3))
    parameters[2].grad = torch.zeros(2, 3)
    found = gradients_of(parameters)
    assert [float(g.zeros) for g in found] == [2, 5, 6, 6]
    assert [float(g.nonfinite) for g in found] == [3, 0, 0, 0]
    assert float(found[1].norm) == 2.0
