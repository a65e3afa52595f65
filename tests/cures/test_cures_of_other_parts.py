"""Cures that answer to the optimizer, the data, the dtype and the sequence: what they propose, and where nothing."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace
from nets import dense, other, row

from unvanish.core.edit import (
    CarryState,
    RedrawRecurrence,
    ScaleLoss,
    SetEpsilon,
    StandardiseInputs,
)
from unvanish.core.network import Layer, WeightStats
from unvanish.core.observation import Observation
from unvanish.core.profile import TimeProfile
from unvanish.cures import forget_gate_bias, lower_epsilon, orthogonal_recurrence, scale_inputs, scale_loss
from unvanish.testing.observations import Recipe, observation

SEEN = observation(Recipe())
UNITS = 16


def smallest(seen: Observation) -> float:
    return min(layer.gradient_rms for layer in seen.profiles[0].layers if layer.gradient_rms)


def test_epsilon_goes_below_a_hundredth_of_the_smallest_gradient() -> None:
    (found,) = lower_epsilon.propose(SEEN)
    (edit,) = found.edits
    assert isinstance(edit, SetEpsilon)
    assert smallest(SEEN) / 1000 <= edit.epsilon <= smallest(SEEN) / 100
    assert math.log10(edit.epsilon) == pytest.approx(round(math.log10(edit.epsilon)), rel=1e-12, abs=0)
    assert found.change == f"epsilon={edit.epsilon:.0e} in the optimizer"


def test_no_epsilon_where_it_is_small_or_not_there() -> None:
    for known in ({"family": "sgd", "epsilon": None}, {"family": "adagrad"}, {"epsilon": 1e-15}):
        assert lower_epsilon.propose(replace(SEEN, optimizer=replace(SEEN.optimizer, **known))) == ()
    (found,) = lower_epsilon.propose(observation(Recipe(factor=1e-3)))
    assert found.edits == (SetEpsilon(epsilon=lower_epsilon.LOWEST),), "not below what float32 can square"


def test_a_loss_scale_for_float16_alone() -> None:
    half = replace(SEEN, profiles=(replace(SEEN.profiles[0], dtype="float16"),))
    assert scale_loss.propose(half)[0].edits == (ScaleLoss(),)
    assert scale_loss.propose(replace(half, optimizer=replace(half.optimizer, dynamic_loss_scale=True))) == ()
    assert scale_loss.propose(SEEN) == ()
    assert scale_loss.propose(replace(half, profiles=(replace(SEEN.profiles[0], dtype="bfloat16"),))) == ()


def of_data(**known: float) -> Observation:
    return replace(SEEN, data=replace(SEEN.data, **known))


def test_inputs_of_unit_size_are_left_alone() -> None:
    assert scale_inputs.propose(SEEN) == ()
    assert scale_inputs.propose(of_data(input_second_moment=2.0)) == ()


def test_large_inputs_by_one_number_and_uneven_ones_each_by_its_own() -> None:
    whole, each = StandardiseInputs(per="whole"), StandardiseInputs(per="feature")
    assert [one.edits for one in scale_inputs.propose(of_data(input_second_moment=7000.0))] == [(whole,), (each,)]
    apart = scale_inputs.propose(of_data(feature_sd_min=0.1, feature_sd_max=40.0))
    assert [one.edits for one in apart] == [(each,), (whole,)]


@pytest.mark.parametrize("shape", [(784,), (28, 28, 1)])
def test_many_features_and_pictures_have_one_number(shape: tuple[int, ...]) -> None:
    seen = of_data(input_second_moment=7000.0)
    layers = tuple(replace(layer, shape=shape) if layer.kind == "input" else layer for layer in seen.network.layers)
    found = scale_inputs.propose(replace(seen, network=replace(seen.network, layers=layers)))
    assert [one.edits for one in found] == [(StandardiseInputs(per="whole"),)]


@pytest.mark.parametrize("kind", ["embedding", "batch_norm"])
def test_words_and_what_is_normalised_already_are_left_alone(kind: str) -> None:
    seen = replace(of_data(input_second_moment=7000.0), network=row(other(kind), dense(), dense()))
    assert scale_inputs.propose(seen) == ()


def recurrent(cell: str = "lstm", steps: int = 60, **known: object) -> Observation:
    kernel = WeightStats(mean=0.0, variance=1 / (4 * UNITS), size=UNITS * UNITS * 4, orthogonal=True)
    bias = WeightStats(mean=0.25, variance=0.2, size=4 * UNITS)
    layer = Layer(
        **(  # type: ignore[arg-type]
            {"name": "", "kind": "recurrent", "type": "LSTM", "units": UNITS, "recurrent_kernel": kernel, "bias": bias}
            | known
        )
    )
    seen = replace(SEEN, network=row(layer, dense("sigmoid", 1, UNITS)))
    time = TimeProfile(layer="l1", cell=cell, log10_gradient=tuple(-0.2 * t for t in range(steps))[::-1])
    return replace(seen, profiles=(replace(seen.profiles[0], through_time=(time,)),))


def test_keras_own_wide_orthogonal_matrix_has_no_orthogonal_blocks() -> None:
    (found,) = orthogonal_recurrence.propose(recurrent())
    assert found.edits == (RedrawRecurrence(layers=("l1",)),)
    square = WeightStats(mean=0.0, variance=1 / UNITS, size=UNITS * UNITS, orthogonal=True)
    assert orthogonal_recurrence.propose(recurrent("rnn", recurrent_kernel=square)) == ()
    twice = replace(square, variance=4 / UNITS)
    assert len(orthogonal_recurrence.propose(recurrent("rnn", recurrent_kernel=twice))) == 1
    assert orthogonal_recurrence.propose(recurrent(trainable=False)) == ()
    assert orthogonal_recurrence.propose(SEEN) == ()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_gate_is_opened_for_the_length_of_the_sequence(cell: str) -> None:
    (found,) = forget_gate_bias.propose(recurrent(cell))
    assert found.edits == (CarryState(layers=("l1",), bias=4.1),)  # log 60 = 4.09
    assert found.invasiveness == "initialisation only"


def test_no_gate_no_bias_no_past() -> None:
    assert forget_gate_bias.propose(recurrent("rnn")) == ()
    assert forget_gate_bias.propose(recurrent(bias=None)) == ()
    assert forget_gate_bias.propose(recurrent(steps=3)) == ()
    assert forget_gate_bias.propose(SEEN) == ()
