"""`unvanish.forecast` from Python: of a record, a description, a model; its batch size and its input count."""

from __future__ import annotations

import numpy as np
import pytest

import unvanish
from unvanish.errors import DataError, UsageError
from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network

SPEC = "dense(32, tanh)*8, dense(1)"


def of_own(network, batch_size, x):
    """Return the forecast with the moments of x by their definition, pair by pair."""
    x = np.asarray(x, np.float64)
    cross = [x[s] @ x[t] / x.shape[1] for s in range(len(x)) for t in range(len(x)) if s != t]
    moments = {"second_moment": float((x**2).mean()), "cross_moment": float(np.mean(cross))}
    return forecast_network(network, batch_size=batch_size, **moments).log10_first_over_last


def test_a_record_and_a_description():
    network = build(SPEC)
    assert unvanish.forecast(SPEC) == unvanish.forecast(network) == forecast_network(network)
    assert unvanish.forecast(SPEC, batch_size=7) == forecast_network(network, batch_size=7)
    x = np.random.default_rng(0).normal(2, 3, (10, 32))
    found = unvanish.forecast(network, batch_size=9, input=x).log10_first_over_last
    assert found == pytest.approx(of_own(network, 9, x), rel=1e-9, abs=0)
    assert "per layer" in str(unvanish.forecast(SPEC))


@pytest.mark.parametrize("example", [np.zeros((4, 32)), np.ones((1, 32)), "a word", [1, 2]])
def test_an_example_that_tells_nothing_leaves_the_usual_inputs(example):
    assert unvanish.forecast(build(SPEC), input=example) == unvanish.forecast(SPEC)


@pytest.mark.parametrize("entry", [np.nan, np.inf])
def test_inputs_that_are_not_finite_have_no_forecast(entry):
    example = np.ones((4, 32))
    example[2, 3] = entry
    with pytest.raises(DataError, match="no forecast for these inputs"):
        unvanish.forecast(build(SPEC), input=example)


@pytest.mark.torch
def test_gradients_of_a_layer_that_is_called_again_add_up_and_are_not_foretold():
    from torch import nn

    shared = nn.Linear(16, 16)
    model = nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(16, 1))
    assert unvanish.forecast(model, input=np.ones((4, 16), "float32")).not_modelled == ("0:2",)


def test_what_is_refused():
    with pytest.raises(UsageError, match="batch_size"):
        unvanish.forecast(SPEC, batch_size=0)
    with pytest.raises(UsageError, match="is not a model"):
        unvanish.forecast(7)
    with pytest.raises(UsageError, match="cannot be read"):
        unvanish.forecast("dense(")


@pytest.mark.torch
def test_the_inputs_of_a_module_count():
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 32), torch.nn.Tanh(), torch.nn.Linear(32, 32), torch.nn.Tanh())
    x = 3 * torch.randn(16, 20).requires_grad_()
    from unvanish.torch.check import describe

    found = unvanish.forecast(model, input=x, batch_size=5).log10_first_over_last
    assert found == pytest.approx(of_own(describe(model, x), 5, x.detach().numpy()), rel=1e-9, abs=0)
    assert found != unvanish.forecast(model, input=x[:1], batch_size=5).log10_first_over_last


@pytest.mark.keras
def test_the_inputs_of_a_keras_model_count():
    import keras

    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((20,)), dense(32, "tanh"), dense(32, "tanh"), dense(1)])
    x = np.random.default_rng(0).normal(1, 2, (16, 20)).astype("float32")
    from unvanish.keras.check import describe

    found = unvanish.forecast(model, input=x, batch_size=5).log10_first_over_last
    assert found == pytest.approx(of_own(describe(model), 5, x), rel=1e-9, abs=0)
    assert found != unvanish.forecast(model, batch_size=5).log10_first_over_last
