"""What the forecast may not depend on, and what must follow from what, for networks that hypothesis makes up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from unvanish.core.forecast import Forecast
from unvanish.core.network import Network, WeightStats
from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network

INITIALISERS = st.sampled_from(("glorot_uniform", "he_normal", "lecun_normal", "orthogonal", "torch"))
ACTIVATIONS = st.sampled_from(("relu", "tanh", "sigmoid", "gelu", "linear", "softplus", "leaky_relu"))
NORMS = st.sampled_from(("", "batch_norm, ", "layer_norm, ", "rms_norm, ", "dropout(0.2), "))
WIDTHS = st.integers(4, 300)


@st.composite
def blocks(draw: st.DrawFn, width: int) -> str:
    """Return a dense layer with activation and normalisation, in some order, perhaps as a residual."""
    norm, activation = draw(NORMS), draw(ACTIVATIONS)
    inside = draw(st.sampled_from((f"dense({width}), {norm}{activation}", f"{norm}dense({width}, {activation})")))
    return draw(st.sampled_from((inside, f"residual({inside})", f"residual({inside}, scale=0.5)")))


@st.composite
def stacks(draw: st.DrawFn) -> str:
    width = draw(WIDTHS)
    return f"dense({width}), " + ", ".join(draw(st.lists(blocks(width), min_size=1, max_size=6)))


def norms(found: Forecast) -> list[float]:
    return [layer.log10_gradient_norm for layer in found.layers if layer.log10_gradient_norm is not None]


def same(one: list[float], other: list[float]) -> None:
    assert [10**x for x in one] == pytest.approx([10**x for x in other], rel=1e-6, abs=0)


def with_weights(network: Network, factor: float) -> Network:
    """Return the network with the weights of every hidden kernel but the first multiplied."""

    def times(stats: WeightStats | None) -> WeightStats | None:
        return None if stats is None else replace(stats, mean=stats.mean * factor, variance=stats.variance * factor**2)

    chosen = {layer.name for layer in network.kernels[1:-1]}
    scaled = (replace(x, kernel=times(x.kernel)) if x.name in chosen else x for x in network.layers)
    return replace(network, layers=tuple(scaled))


@given(INITIALISERS.filter(lambda name: name != "torch"), st.integers(2, 12), st.floats(0.2, 5), WIDTHS)
@settings(max_examples=40)
def test_scaled_weights_of_a_homogeneous_network(initialiser: str, depth: int, factor: float, width: int) -> None:
    """Each of `depth` kernels multiplies what passes it, forward and backward; ReLU lets every factor through."""
    network = build(f"dense({width}, relu)*{depth + 1}, dense({width}, relu), dense(3)", initialiser=initialiser)
    chosen = len(network.kernels) - 2
    before, after = (forecast_network(x) for x in (network, with_weights(network, factor)))
    kernels = [layer.name for layer in network.kernels]
    for name in kernels[1:]:
        ratio = after.layer(name).second_moment / before.layer(name).second_moment  # type: ignore[operator]
        place = min(kernels.index(name), chosen)
        assert ratio == pytest.approx(factor ** (2 * place), rel=1e-6, abs=0)
    assert after.transmission_per_layer == pytest.approx(
        factor * before.transmission_per_layer,  # type: ignore[operator]
        rel=1e-6,
        abs=0,
    )
    assert after.layer(kernels[1]).weight_transmission == pytest.approx(
        factor * before.layer(kernels[1]).weight_transmission,  # type: ignore[operator]
        rel=1e-6,
        abs=0,
    )


@given(ACTIVATIONS, st.sampled_from(("batch_norm", "layer_norm", "rms_norm")), st.floats(0.2, 5))
@settings(max_examples=30)
def test_a_normalisation_takes_the_scale_of_the_weights_out_again(activation: str, norm: str, factor: float) -> None:
    network = build(f"(dense(40), {norm}, {activation})*6, dense(2)", initialiser="lecun_normal")
    exact = replace(network, layers=tuple(replace(x, epsilon=0.0) if x.epsilon else x for x in network.layers))
    before, after = (norms(forecast_network(x)) for x in (exact, with_weights(exact, factor)))
    same([before[0], before[-1]], [after[0], after[-1]])
    same(before[1:-1], [norm + math.log10(factor) for norm in after[1:-1]])


@given(st.permutations([32, 64, 128, 256]), st.sampled_from(("he_normal", "lecun_normal")))
@settings(max_examples=24)
def test_permuted_widths_of_a_linear_network(widths: list[int], initialiser: str) -> None:
    """With Var(w) = c / fan_in every layer multiplies q by c, however wide it is, and the band is a sum over widths."""

    def told(order: list[int]) -> tuple[float | None, float | None]:
        hidden = ", ".join(f"dense({width})" for width in order)
        network = build(f"input(64), {hidden}, dense(1, sigmoid)", initialiser=initialiser)
        found = forecast_network(network)
        return found.layer(network.kernels[-1].name).second_moment, found.log10_sd

    second, band = told(widths)
    assert second == pytest.approx(told(sorted(widths))[0], rel=1e-9, abs=0)
    assert band == pytest.approx(told(sorted(widths))[1], rel=0.25, abs=0)


@given(stacks(), INITIALISERS, st.data())
@settings(max_examples=60)
def test_a_residual_whose_branch_is_zero_is_the_identity(stack: str, initialiser: str, data: st.DataObject) -> None:
    width = int(stack[6 : stack.index(")")])
    branch = data.draw(blocks(width))
    plain = forecast_network(build(f"{stack}, tanh, dense({width}), dense(1, sigmoid)", initialiser=initialiser))
    network = build(
        f"{stack}, residual({branch}, scale=0), tanh, dense({width}), dense(1, sigmoid)", initialiser=initialiser
    )
    found = forecast_network(network)
    own = build(f"dense({width}), {branch}", initialiser=initialiser).kernels[1:]
    before = len(build(stack, initialiser=initialiser).kernels)
    inside = norms(found)[before : before + len(own)]
    assert inside == [-math.inf] * len(own)
    same(norms(found)[:before] + norms(found)[before + len(own) :], norms(plain))
    assert found.log10_sd == pytest.approx(plain.log10_sd, rel=1e-6, abs=0)


@given(stacks(), INITIALISERS)
@settings(max_examples=40)
def test_a_dropout_that_keeps_everything_is_none(stack: str, initialiser: str) -> None:
    text = f"{stack}, dropout(0), dense(9, relu), dropout(0), dense(1, sigmoid)"
    with_it, without = (
        forecast_network(build(x, initialiser=initialiser)) for x in (text, text.replace("dropout(0), ", ""))
    )
    same(norms(with_it), norms(without))
    assert with_it.log10_sd == pytest.approx(without.log10_sd, rel=1e-6, abs=0)


@given(ACTIVATIONS, st.sampled_from(("he_normal", "lecun_normal", "torch")), st.integers(1, 12))
@settings(max_examples=40)
def test_the_band_shrinks_to_nothing_with_width(activation: str, initialiser: str, depth: int) -> None:
    """Many outputs, and samples that are looked at one by one, leave width as the only thing that is random."""

    def band(width: int) -> float:
        network = build(f"dense({width}, {activation})*{depth}, dense({width})", initialiser=initialiser)
        found = forecast_network(network, batch_size=1).log10_sd
        assert found is not None
        return found

    bands = [band(16 * 4**power) for power in range(6)]
    assert bands == sorted(bands, reverse=True)
    assert bands[-1] < 0.06 * bands[0]
    assert bands[-1] == pytest.approx(bands[-2] / 2, rel=0.05, abs=0)
