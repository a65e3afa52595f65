"""Whether a network learns: each obstacle by the network that has it, and the numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.core.learning import Learning
from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network
from unvanish.theory.learns import DIGITS, LARGEST_RATE, LAYER_NORMALISED, SHARE, learns, scattered
from unvanish.theory.settled import settled


def told(spec: str, initialiser: str = "glorot_uniform", **more: float) -> Learning:
    network = build(spec, initialiser=initialiser, features=40)
    found = forecast_network(network, batch_size=100, second_moment=1.0, cross_moment=0.0)
    return learns(network, found, batch_size=100, **more)  # type: ignore[arg-type]


def typical(spec: str, initialiser: str = "glorot_uniform") -> float:
    """Return by how many e-folds the spread of a typical draw lies below its mean: sd^2 of ln of the first gradient."""
    network = build(spec, initialiser=initialiser, features=40)
    decades = forecast_network(network, batch_size=100, second_moment=1.0, cross_moment=0.0).log10_sd
    assert decades is not None
    return (decades * math.log(10)) ** 2


@pytest.mark.parametrize(
    ("spec", "initialiser", "obstacle"),
    [
        ("dense(64, tanh)*10, dense(10, softmax)", "glorot_uniform", ""),
        ("(dense(64), batch_norm, relu)*8, dense(10, softmax)", "he_normal", ""),
        ("dense(64), residual(layer_norm, dense(64, relu))*60, dense(10, softmax)", "he_normal", ""),
        ("dense(64, sigmoid)*11, dense(10, softmax)", "glorot_uniform", "gradient below epsilon"),
        ("dense(64, relu)*90, dense(10, softmax)", "glorot_uniform", "gradient below epsilon"),
        ("(dense(64), batch_norm, relu)*90, dense(10, softmax)", "he_normal", "step too large"),
        ("dense(64), residual(dense(64, mish))*45, dense(10, softmax)", "lecun_normal", "step too large"),
        ("dense(64), residual(dense(64, relu))*500, dense(10, softmax)", "he_normal", "overflow"),
        ("dense(64, relu), softmax, dense(10, softmax)", "he_normal", "unknown"),
        ("(dense(64), batch_norm, relu)*90, dense(1)", "he_normal", "other head"),
        ("(dense(64, relu), dropout(0.1))*5, dense(10, softmax)", "he_normal", "dropout"),
        ("(dense(64, relu), dropout(0))*5, dense(10, softmax)", "he_normal", ""),
        ("(dense(64, sigmoid), dropout(0.1))*11, dense(10, softmax)", "glorot_uniform", "gradient below epsilon"),
        ("dense(64, sigmoid)*11, dense(1)", "glorot_uniform", "gradient below epsilon"),
    ],
)
def test_obstacles(spec: str, initialiser: str, obstacle: str) -> None:
    found = told(spec, initialiser)
    assert found.obstacle == obstacle
    assert found.learns == (None if obstacle in ("unknown", "other head", "dropout") else not obstacle)


def test_one_layer_by_hand() -> None:
    """A linear softmax classifier: p is nearly uniform, and the gradient the mean of 100 products (p - y) x."""
    found = told("dense(10, softmax)", "torch")
    q = 1 / 3 + 1 / 120  # of the logits: the kernel's part and the bias'
    square = 0.9 * (1 + q / (10 + q)) * 40 / 100  # |p - y|^2 |x|^2 / batch
    square += 0.99 * 9 / 120 * 40 / 100  # and of two samples p.p x.x, since p is nearly 1/10 + W x / 10
    assert found.smallest_gradient is not None
    assert found.scatter is not None
    assert 10**found.smallest_gradient == pytest.approx(math.sqrt(square / 400), rel=0.02, abs=0)
    assert 10**found.scatter == pytest.approx(math.sqrt(100 * square), rel=0.02, abs=0)
    assert found.loss == pytest.approx(math.log(10) + 0.45 * q, rel=2e-3, abs=0)
    assert found.rate == LARGEST_RATE
    assert found.share == pytest.approx(1.0, rel=1e-5, abs=0)
    assert found.travel == pytest.approx(300 * LARGEST_RATE * 40, rel=1e-5, abs=0)
    assert found.needed == pytest.approx(1, rel=0.02, abs=0)


def test_how_far_a_step_throws_against_drawn_gradients() -> None:
    """The change of one sample's loss where the step has the sign of an independent gradient, its RMS over 2,000."""
    network = build("dense(64, tanh)*2, dense(10)", features=40)
    logs, batch = np.array([-3.0, -1.0, -2.0]), 100
    rng, thrown = np.random.default_rng(1), np.zeros(2000)
    for shape, log in zip([(40, 64), (64, 64), (64, 10)], logs, strict=True):
        own = math.sqrt(batch) * 10**log * rng.standard_normal(shape)
        thrown += np.sign(rng.standard_normal((2000, *shape))).reshape(2000, -1) @ own.ravel()
    expected = math.sqrt(float(np.mean(thrown**2)))
    assert 10 ** scattered(logs, network.kernels, batch) == pytest.approx(expected, rel=0.06, abs=0)
    far = scattered(logs - 400, network.kernels, batch)
    assert far == pytest.approx(scattered(logs, network.kernels, batch) - 400, rel=1e-9, abs=0)


def test_steps_that_may_not_be_larger() -> None:
    growing = "(dense(64), batch_norm, tanh)*60, dense(10, softmax)"
    short, long = told(growing, "he_normal"), told(growing, "he_normal", steps=3_000_000)
    assert (short.learns, short.obstacle, long.learns) == (False, "step too large", True)
    assert short.rate is not None
    assert short.loss is not None
    assert short.scatter is not None
    thrown = math.sqrt(300) * short.rate * 10**short.scatter
    assert thrown == pytest.approx(SHARE * short.loss, rel=1e-9, abs=0)
    assert None not in (long.travel, long.share, short.travel, short.share)
    far, near = long.travel / long.share, short.travel / short.share  # type: ignore[operator]
    assert far == pytest.approx(100 * near, rel=1e-9, abs=0), "they walk at random: the root of 10,000"
    assert told(growing, "he_normal", steps=3_000_000, largest_rate=short.rate / 20_000).learns is False


def test_what_is_layer_normalised_bears_less() -> None:
    found = told("(dense(64), layer_norm, tanh)*60, dense(10, softmax)", "he_normal")
    assert None not in (found.rate, found.loss, found.scatter)
    thrown = math.sqrt(300) * found.rate * 10**found.scatter  # type: ignore[operator]
    assert thrown == pytest.approx(LAYER_NORMALISED * found.loss, rel=1e-9, abs=0)  # type: ignore[operator]
    once = told("layer_norm, (dense(64), batch_norm, tanh)*60, dense(10, softmax)", "he_normal")
    assert None not in (once.rate, once.loss, once.scatter)
    thrown = math.sqrt(300) * once.rate * 10**once.scatter  # type: ignore[operator]
    assert thrown == pytest.approx(SHARE * once.loss, rel=1e-9, abs=0)  # type: ignore[operator]


def test_what_epsilon_leaves_of_a_step() -> None:
    fading = "dense(64, silu)*19, dense(10, softmax)"
    found = told(fading, "orthogonal")
    assert found.smallest_gradient is not None
    gradient = 10**found.smallest_gradient
    at_first = gradient / (gradient + 1e-7)
    assert found.share is not None
    assert at_first < 0.2 < 0.9 < found.share < 1, "it grows while 20 kernels do"
    brief = told(fading, "orthogonal", steps=1)
    assert brief.share == pytest.approx(at_first, rel=0.03, abs=0)
    assert found.travel == pytest.approx(300 * LARGEST_RATE * 64 * found.share, rel=1e-9, abs=0)
    assert found.learns
    assert told(fading, "orthogonal", epsilon=1e-5).obstacle == "gradient below epsilon"


def test_outputs_nearly_alike_have_to_come_apart() -> None:
    """For every factor e by which they are alike, the weights have to go as far again; to float32's last digit."""
    found, drawn = told(spec := "dense(64, tanh)*14, dense(10, softmax)", "torch"), typical(spec, "torch")
    assert found.apart is not None
    assert 1e-8 < found.apart < 1e-2
    assert found.needed == pytest.approx(1 - 0.5 * math.log(found.apart) + drawn, rel=1e-9, abs=0)  # q < 1
    same, drawn = told(spec := "dense(64, sigmoid)*40, dense(10, softmax)", epsilon=1e-300), typical(spec)
    assert same.obstacle == "outputs alike"
    assert same.apart is not None
    assert math.sqrt(max(same.apart, 0.0)) < DIGITS
    assert same.needed == pytest.approx(1 + 24 * math.log(2) + drawn, rel=1e-9, abs=0)


def test_outputs_too_far_apart_have_to_come_together() -> None:
    """Logits of mean square q >> 1 differ by q (1 - c), which has to shrink where it is large, to grow where small."""
    spec = "dense(64), residual(dense(64, gelu))*18, dense(10, softmax)"
    network = build(spec, features=40)
    forecast = forecast_network(network, batch_size=100, second_moment=1.0, cross_moment=0.0)
    found, out = learns(network, forecast, batch_size=100), forecast.layers[-1]
    assert out.second_moment is not None
    assert found.apart is not None
    assert out.second_moment * found.apart > 100
    grown = 0.5 * math.log(out.second_moment * found.apart)
    assert found.needed == pytest.approx(1 + grown + typical(spec), rel=1e-9, abs=0)
    near = told(spec := "dense(64, elu)*47, dense(10, softmax)", "he_normal")
    assert near.apart is not None
    assert near.needed is not None
    assert near.needed - typical(spec, "he_normal") < 1 - 0.5 * math.log(near.apart)


def test_few_units_in_many_layers_have_farther_to_go() -> None:
    """A typical draw lies below the mean of all draws: little in wide networks, e-folds in deep ones of few units."""
    wide, narrow = (f"dense({units}, relu)*60, dense(10, softmax)" for units in (2000, 20))
    assert typical(wide, "he_normal") < 0.1 < 1 < typical(narrow, "he_normal")
    less, more = told(wide, "he_normal").needed, told(narrow, "he_normal").needed
    assert less is not None
    assert more is not None
    assert more - less > 0.9 * (typical(narrow, "he_normal") - typical(wide, "he_normal"))


def test_steps_too_large_only_for_what_outputs_have_in_common() -> None:
    """A sample is thrown by SHARE of the loss that is left, by what is left of the gradient, where that allows more."""
    spec = "dense(128, relu)*79, dense(10, softmax)"
    found = told(spec, "he_normal")
    assert found.learns
    assert None not in (found.rate, found.scatter, found.loss, found.apart)
    network = build(spec, initialiser="he_normal", features=40)
    q = forecast_network(network, batch_size=100, second_moment=1.0, cross_moment=0.0).layers[-1].second_moment
    assert q is not None
    left, factor = settled(q, found.apart, "softmax", 10, 100)  # type: ignore[arg-type]
    thrown = math.sqrt(300) * found.rate * 10**found.scatter  # type: ignore[operator]
    assert thrown * factor == pytest.approx(SHARE * left, rel=1e-9, abs=0)
    assert thrown > 2 * SHARE * found.loss  # type: ignore[operator]


def test_a_kernel_of_few_entries_is_held_by_nothing_but_its_size() -> None:
    found = told("dense(1, linear), dense(1)")
    assert found.share is not None
    assert found.share > 0.99
    assert (found.learns, found.obstacle) == (False, "too narrow")


def test_what_holds_the_steps_is_named_before_outputs_that_are_alike() -> None:
    found = told("dense(64, sigmoid)*40, dense(10, softmax)")
    assert found.apart is not None
    assert found.apart < DIGITS**2
    assert found.obstacle == "gradient below epsilon"
