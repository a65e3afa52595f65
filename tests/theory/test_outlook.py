"""What a forecast comes to: the verdict by its band, undecided where the ratio alone would mislead."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from unvanish.core.forecast import Forecast, LayerForecast
from unvanish.core.network import Layer, Network, WeightStats
from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network
from unvanish.theory.outlook import apart, beside_a_shortcut, on_the_line, typical, verdict

KERNEL = WeightStats(mean=0.0, variance=1.0, size=1)


def network(kernels: int) -> Network:
    layers = (Layer(name=str(i), kind="dense", type="dense", kernel=KERNEL) for i in range(kernels))
    return Network(name="", framework="", layers=tuple(layers))


def forecast(change: float | None, moments: tuple[float | None, ...] = (1.0, 1.0, 1.0), **more: object) -> Forecast:
    return Forecast(
        log10_first_over_last=change,
        log10_sd=None,
        transmission_per_layer=None,
        safe_depth=None,
        depth_scale=None,
        layers=tuple(LayerForecast(name=str(i), second_moment=q, correlation=q) for i, q in enumerate(moments)),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (0.0, "fine"),
        (-1.49, "fine"),
        (1.49, "fine"),
        (-1.5, "vanishes"),
        (1.5, "explodes"),
        (-math.inf, "vanishes"),
        (math.inf, "explodes"),
        (None, "undecided"),
    ],
)
def test_the_band(change: float | None, word: str) -> None:
    assert verdict(network(3), forecast(change))[0] == word


@pytest.mark.parametrize(("factor", "word"), [(0.45, "vanishes"), (0.55, "fine"), (1.9, "fine"), (2.1, "explodes")])
@pytest.mark.parametrize("ends", [0.0, -1.7, 1.7])
def test_three_hidden_layers_are_judged_by_their_slope_whatever_the_ends_add(
    factor: float, ends: float, word: str
) -> None:
    """10^(1.5 / 5) = 2.0 a layer is the limit over five."""
    known = forecast(ends, (1.0,) * 5, gradient_factor_per_layer=factor)
    assert verdict(network(5), known)[0] == word
    fewer = forecast(ends, (1.0,) * 4, gradient_factor_per_layer=factor)
    assert verdict(network(4), fewer)[0] == {0.0: "fine", -1.7: "vanishes", 1.7: "explodes"}[ends]


@pytest.mark.parametrize("last", [0.9e-3, 1.1e3, 0.0, math.inf, math.nan, None])
def test_a_signal_that_is_lost_is_not_called_fine(last: float | None) -> None:
    word, reason = verdict(network(3), forecast(0.0, (1.0, last, 1.0)))
    assert (word, bool(reason)) == ("undecided", True)
    assert verdict(network(3), forecast(-2.0, (1.0, last, 1.0)))[0] == "vanishes"


def test_a_signal_within_the_band() -> None:
    assert verdict(network(3), forecast(0.0, (1.0, 1.1e-3, 1.0))) == ("fine", "")


def test_what_is_not_modelled_is_undecided() -> None:
    assert verdict(network(3), forecast(-9.0, not_modelled=("odd",))) == ("undecided", "the theory does not model odd")


def test_the_layers_that_stand_for_the_recipe() -> None:
    assert [typical(network(n)) for n in (1, 2, 3, 4, 5)] == [None, None, "1", "2", "2"]
    assert apart(network(3), forecast(0.0, (0.25, 0.75, 0.5))) == (0.75, 0.25)
    assert apart(network(1), forecast(None, (0.25,))) == (0.75, 0.75)
    assert apart(network(2), forecast(None, (None, 0.5))) == (None, None)


def test_the_reason_is_the_one_that_holds() -> None:
    one, two = (verdict(network(kernels), forecast(None)) for kernels in (1, 2))
    assert one == ("undecided", "two layers with weights are needed to compare their gradients")
    assert two == ("undecided", "the signal or the gradient leaves the range of numbers on its way")


@pytest.mark.parametrize(("batch", "word"), [(2, "undecided"), (4, "undecided"), (5, "explodes"), (32, "fine")])
def test_a_batch_normalisation_of_a_few_values_is_not_modelled(batch: int, word: str) -> None:
    """Of two values only their sign is left: the gradient is measured to explode where a mean says that it is gone."""
    described = build("(dense(64), batch_norm, relu)*12, dense(1)", initialiser="glorot_uniform", features=64)
    assert verdict(described, forecast_network(described, batch_size=batch))[0] == word


@pytest.mark.parametrize(
    ("word", "change", "sd", "expected"),
    [
        ("vanishes", -1.7, 0.2, True),
        ("vanishes", -1.7, 0.09, False),
        ("explodes", 2.4, 0.5, True),
        ("explodes", 2.6, 0.5, False),
        ("fine", -1.5, 0.3, True),
        ("fine", 1.0, 0.24, False),
        ("vanishes", -1.0, 0.3, False),  # told by the slope, not by this ratio
        ("fine", 1.6, 0.3, False),
        ("undecided", -1.7, 0.2, False),
        ("vanishes", -1.7, None, False),
    ],
)
def test_a_line_within_the_band(word: str, change: float, sd: float, expected: bool) -> None:
    assert on_the_line(word, replace(forecast(change), log10_sd=sd)) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "beside"),
    [
        ("residual(dense(64, tanh))*5, dense(10)", True),
        ("residual(layer_norm, dense(64, relu), dense(64))*5, dense(1)", True),
        ("dense(64, tanh)*5, dense(1)", False),
        ("residual(dense(64))*2, dense(64, tanh)*9, dense(1)", False),
    ],
)
def test_a_kernel_beside_a_shortcut(spec: str, beside: bool) -> None:
    found = build(spec)
    middle = typical(found)
    assert middle is not None
    assert beside_a_shortcut(found, middle) is beside


def test_beside_a_shortcut_a_larger_gain_makes_the_gradient_grow(networks) -> None:
    """Drawn in float64, four times at each gain."""
    factors = {}
    for gain in (1.0, 2.0, 2.85):
        build_it = networks.stack(12, "tanh", gain, block="residual", width=48)
        made, passes = networks.measured(build_it, 4, shape=(48,))
        names = [layer.name for layer in made[0].kernels][1:-1]
        ends = [[math.log10(networks.gradient_norm(p[name])) for name in (names[0], names[-1])] for p in passes]
        factors[gain] = sum(first - last for first, last in ends) / len(ends)
    assert factors[1.0] < factors[2.0] < factors[2.85]
    assert factors[2.85] > 0.3
