"""What the theory needs to know of embeddings, recurrent layers and normalisations, read from PyTorch's calls."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import unvanish
from unvanish.adapters import adapter_of
from unvanish.api import forecast_spec

pytestmark = pytest.mark.torch


class Reader(nn.Module):
    def __init__(self, cell, *, last=True, **options) -> None:
        super().__init__()
        self.words, self.cell, self.last = nn.Embedding(50, 16), cell(16, 32, batch_first=True, **options), last
        self.out = nn.Linear(32 * (2 if options.get("bidirectional") else 1), 10)

    def forward(self, x):
        states = self.cell(self.words(x))[0]
        return self.out(states[:, -1] if self.last else states.mean(1))


WORDS = torch.randint(0, 50, (8, 20), generator=torch.Generator().manual_seed(0))


def test_words_and_state() -> None:
    model = Reader(nn.RNN)
    network = adapter_of(model).describe(model, input=WORDS)
    words, cell = network.layer("words"), network.layer("cell")
    assert words.table is not None
    assert words.table.variance == pytest.approx(float(model.words.weight.var(correction=0)), rel=1e-5, abs=0)
    assert (cell.state, cell.activation) == ("tanh", "linear")
    both = model.cell.bias_ih_l0 + model.cell.bias_hh_l0
    assert cell.bias is not None
    assert cell.bias.variance == pytest.approx(float(both.var(correction=0)), rel=1e-5, abs=0)
    assert unvanish.forecast(model, input=WORDS).not_modelled == ()
    relu = Reader(nn.RNN, nonlinearity="relu")
    assert adapter_of(relu).describe(relu, input=WORDS).layer("cell").state == "relu"


@pytest.mark.parametrize(
    ("cell", "options"),
    [(nn.GRU, {}), (nn.LSTM, {}), (nn.RNN, {"num_layers": 2}), (nn.RNN, {"bidirectional": True})],
)
def test_what_is_no_simple_recurrence_is_named(cell, options) -> None:
    assert unvanish.forecast(Reader(cell, **options), input=WORDS).not_modelled == ("cell",)


def test_an_embedding_that_changes_its_rows_is_named() -> None:
    model = nn.Sequential(nn.Embedding(50, 4, max_norm=1.0), nn.Flatten(), nn.Linear(80, 1))
    assert unvanish.forecast(model, input=WORDS).not_modelled == ("0",)
    bag = nn.Sequential(nn.EmbeddingBag(50, 4), nn.Linear(4, 1))
    assert unvanish.forecast(bag, input=WORDS).not_modelled == ("0",)


def test_groups() -> None:
    norms = (nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.InstanceNorm2d(8))
    model = nn.Sequential(nn.Conv2d(3, 8, 3), *norms, nn.Flatten(), nn.Linear(32, 10))
    network = adapter_of(model).describe(model, input=torch.rand(4, 3, 6, 6))
    assert [layer.groups for layer in network.layers if layer.kind == "group_norm"] == [2, 8]
    assert unvanish.forecast(model, input=torch.rand(4, 3, 6, 6)).not_modelled == ()


@pytest.mark.parametrize("last", [True, False])
def test_a_described_network_is_the_one_that_torch_builds(last: bool) -> None:
    end = "simple_rnn(32)" if last else "simple_rnn(32, sequences), global_avg_pool"
    told = forecast_spec(f"input(20), embedding(50, 16), {end}, dense(10)", initialiser="torch").forecast
    built = [unvanish.forecast(Reader(nn.RNN, last=last), input=WORDS).log10_first_over_last for _ in range(4)]
    assert 10 ** np.mean(built) == pytest.approx(10**told.log10_first_over_last, rel=0.1, abs=0)
