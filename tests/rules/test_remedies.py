"""Remedies: the known names, the smallest first, and forecasts that theory computes from the changed network."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.network import Network
from unvanish.rules import what_if
from unvanish.rules.remedies import against_exploding, against_vanishing
from unvanish.rules.what_if import both, changed, forecast_words, with_activation, with_gain
from unvanish.testing.specimens import SPECIMENS
from unvanish.theory.forecast import forecast_network

CURES = {
    "rescale-init",
    "orthogonal-init",
    "centred-orthogonal-init",
    "looks-linear-init",
    "data-driven-init",
    "swap-activation",
    "add-batch-norm",
    "add-layer-norm",
    "add-residual",
    "clip-gradient",
    "lower-epsilon",
    "scale-inputs",
    "scale-loss",
    "scale-targets",
    "lower-learning-rate",
    "zero-bias",
    "orthogonal-recurrence",
    "forget-gate-bias",
}
Judged = Callable[[str], Diagnosis]
SIZE = {"initialisation only": 0, "one word": 0, "one line": 1, "optimizer": 3, "data": 1, "architecture": 2}


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_every_remedy_is_a_known_cure_and_says_what_to_change(name: str, judged: Judged) -> None:
    for cure in (cure for finding in judged(name).findings for cure in finding.cures):
        assert cure.name in CURES
        assert cure.change
        assert cure.invasiveness in SIZE


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_the_smallest_change_comes_first(name: str, judged: Judged) -> None:
    for finding in judged(name).findings:
        sizes = [0 if cure.name == "lower-learning-rate" else SIZE[cure.invasiveness] for cure in finding.cures]
        assert sizes == sorted(sizes), finding.code


def test_the_sigmoid_is_told_one_word_first() -> None:
    first, second, third = against_vanishing(SPECIMENS["tutorial_sigmoid"]())
    assert (first.name, first.change, first.invasiveness) == ("swap-activation", "activation='tanh'", "one word")
    assert first.forecast.startswith("4.2x -> 1.")
    assert second.name == "centred-orthogonal-init"
    assert "b = -W.1/2" in second.change
    assert third.name == "add-residual"


def test_clipping_is_never_offered_against_vanishing(judged: Judged) -> None:
    vanishing = [f for name in SPECIMENS for f in judged(name).findings if f.verdict == "vanishing"]
    assert len(vanishing) > 10
    assert not [f for f in vanishing for cure in f.cures if cure.name == "clip-gradient"]


def test_weights_at_the_right_gain_are_not_to_be_rescaled() -> None:
    names = [cure.name for cure in against_vanishing(SPECIMENS["healthy_relu"]())]
    assert "rescale-init" not in names
    assert "looks-linear-init" in names
    assert "rescale-init" in [cure.name for cure in against_vanishing(SPECIMENS["glorot_relu_100"]())]


def test_under_a_normalisation_only_shortcuts_help_against_growth() -> None:
    assert [cure.name for cure in against_exploding(SPECIMENS["exploding"]())] == ["add-residual"]


def test_the_forecast_is_that_of_the_changed_network() -> None:
    seen = SPECIMENS["glorot_relu_100"]()
    network = changed(seen.network, with_gain(1.0))
    seen = replace(seen, network=network, forecast=forecast_network(network))
    assert forecast_words(seen, with_gain(2**0.5)) == "signal 1.4x -> 1.0x per layer"  # its kernels' gradients are flat
    assert forecast_words(replace(seen, forecast=None), with_gain(2**0.5)) == ""


def test_growth_is_told_as_growth() -> None:
    seen = SPECIMENS["swelling"]()
    network = changed(seen.network, with_gain(4.0))
    seen = replace(seen, network=network, forecast=forecast_network(network))
    assert forecast_words(seen, with_gain(2**0.5), growth=True) == "signal 2.8x -> 1.0x per layer"


def test_a_change_leaves_the_output_layer_and_the_original_alone() -> None:
    network = SPECIMENS["tutorial_sigmoid"]().network
    edited = changed(network, both(with_activation("sigmoid", "tanh"), with_gain(1.0, orthogonal=True)))
    assert [layer.activation for layer in edited.kernels] == ["tanh"] * 11 + ["sigmoid"]
    assert all(k.kernel is not None and k.kernel.orthogonal for k in edited.kernels[:-1])
    assert edited.kernels[-1] == network.kernels[-1]
    assert network.kernels[0].activation == "sigmoid"
    assert edited.kernels[1].kernel is not None
    assert edited.kernels[1].kernel.variance == pytest.approx(1 / 64, rel=1e-12, abs=0)


def test_a_very_deep_network_is_not_forecast_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("forecast although too deep")

    monkeypatch.setattr(what_if, "DEEPEST", 50)
    monkeypatch.setattr(what_if, "forecast_network", never)
    assert forecast_words(SPECIMENS["glorot_relu_100"](), with_gain(2**0.5)) == ""


def test_the_centred_sigmoid_is_the_critical_tanh_network() -> None:
    """z = 4 O (sigmoid(y) - 1/2) = 2 O tanh(y/2), so z/2 = O tanh(y/2): tanh with orthogonal kernels of gain 1."""
    network: Network = SPECIMENS["tutorial_sigmoid"]().network
    tanh = changed(network, both(with_activation("sigmoid", "tanh"), with_gain(1.0, orthogonal=True)))
    factor = forecast_network(tanh).transmission_per_layer
    assert factor is not None
    assert 0.85 < factor < 1.0
