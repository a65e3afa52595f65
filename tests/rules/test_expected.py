"""The forecast beside a measured factor: of the same quantity, over the same layers."""

import pytest
from msgspec.structs import replace

from unvanish.core.network import Network, WeightStats
from unvanish.core.observation import Observation
from unvanish.report.text import render_text
from unvanish.rules import gf101_gradient_vanishes_with_depth as gf101
from unvanish.rules.expected import expected_factor
from unvanish.rules.gradients import depth_profile
from unvanish.rules.judge import judge
from unvanish.rules.what_if import changed, what_if, with_gain
from unvanish.testing.specimens import SPECIMENS
from unvanish.theory.factors import gradient_factor, signal_factor
from unvanish.theory.forecast import forecast_network

GLOROT_RELU = 2**-0.5
"""He et al. 2015, eq. 10: with gain 1 a ReLU halves q on the way forward, and |dL/du|^2 on the way back."""


def glorot_relu() -> Observation:
    """Return 100 ReLU layers of gain 1 with what theory says of that very network."""
    seen = SPECIMENS["glorot_relu_100"]()
    network = changed(seen.network, with_gain(1.0))
    return replace(seen, network=network, forecast=forecast_network(network))


def test_kernels_gradients_of_glorot_relu_are_flat_while_signal_and_cotangents_shrink() -> None:
    seen = glorot_relu()
    assert seen.forecast is not None
    found = depth_profile(seen)
    assert not isinstance(found, str)
    assert expected_factor(seen, found) == pytest.approx(1.0, rel=0.02, abs=0)  # q and |dL/du|^2 cancel
    assert seen.forecast.transmission_per_layer == pytest.approx(GLOROT_RELU, rel=0.01, abs=0)
    assert signal_factor(seen.forecast, seen.network) == pytest.approx(GLOROT_RELU, rel=0.01, abs=0)


def test_a_line_through_cotangents_has_a_forecast_of_cotangents() -> None:
    seen = glorot_relu()
    found = depth_profile(seen)
    assert not isinstance(found, str)
    other = replace(found, source="pre-activation gradients")
    assert expected_factor(seen, other) == pytest.approx(GLOROT_RELU, rel=0.01, abs=0)


def test_widths_that_taper_count_as_they_do_in_the_measured_rms() -> None:
    seen = glorot_relu()
    assert seen.forecast is not None
    flat = gradient_factor(seen.forecast, seen.network)
    assert flat is not None
    kernels = [layer.name for layer in seen.network.kernels]
    tapered = _with_sizes(seen.network, {name: 4 ** (100 - i) for i, name in enumerate(kernels)})
    # the same norms in kernels a quarter as large from layer to layer: RMS twice as large, towards the output
    assert gradient_factor(seen.forecast, tapered) == pytest.approx(flat / 2, rel=1e-9, abs=0)


def test_without_layers_the_forecasts_own_mean_counts() -> None:
    seen = glorot_relu()
    assert seen.forecast is not None
    bare = replace(seen.forecast, layers=(), gradient_factor_per_layer=0.9)
    assert gradient_factor(bare, seen.network) == 0.9
    assert signal_factor(bare, seen.network) is None


def test_the_evidence_compares_like_with_like() -> None:
    evidence = gf101.judge(glorot_relu()).evidence  # type: ignore[union-attr]
    assert evidence["transmission_per_layer"] == pytest.approx(1.0, rel=0.02, abs=0)
    assert evidence["forecast_transmission_per_layer"] == pytest.approx(1.0, rel=0.02, abs=0)


def test_what_is_sick_is_what_is_forecast() -> None:
    found = what_if(glorot_relu(), with_gain(2**0.5))
    assert found is not None
    assert found.of_signal
    assert (found.before, found.after) == (pytest.approx(2**0.5, rel=0.01, abs=0), pytest.approx(1.0, rel=0.01, abs=0))


def test_a_report_of_one_network_has_one_factor_per_layer_for_one_quantity() -> None:
    text = render_text(judge(glorot_relu()), width=100)
    assert "per layer (measured 0.99x)" in text
    assert "the forward signal shrinks 1.4x at every layer" in text
    assert "signal 1.4x -> 1.0x per layer" in text
    assert "0.71x" not in text


def _with_sizes(network: Network, sizes: dict[str, int]) -> Network:
    def sized(name: str, kernel: WeightStats | None) -> WeightStats | None:
        return None if kernel is None else replace(kernel, size=sizes[name])

    return replace(
        network, layers=tuple(replace(x, kernel=sized(x.name, x.kernel)) if x.kernel else x for x in network.layers)
    )
