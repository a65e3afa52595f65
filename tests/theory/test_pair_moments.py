"""Gaussian moments of a pair against nested adaptive quadrature of conditional expectations, and closed forms."""

import math
from types import ModuleType

import numpy as np
import pytest
from scipy import integrate

from unvanish.core.activations import DEFAULT_PARAMETER, FUNCTIONS, derivative, value
from unvanish.theory import closed_forms, general
from unvanish.theory.general import close, integrated, kinks_of
from unvanish.theory.moments import moments

SIZES = (1e-4, 1e-2, 1.0, 1e2, 1e4)
GAPS = (1e-8, 1e-4, 0.01, 0.3, 1.0, 1.5, 1.9)
FINITE = sorted(FUNCTIONS.keys() - {"exponential", "linear"})
BETWEEN = (0.03, 4.7, 900.0)
"""Sizes that are not on the lattice."""
POINTS = np.polynomial.legendre.leggauss(12)
STEPS = np.array([sign * 1.2 * 2.0**k for k in range(-1, 12) for sign in (-1, 1)])
"""Distances from u = 0 where panels end."""


def nested(name, parameter, mean, variance, gap, scales):
    """Return spread, E f' f' and E f'^2 f'^2, the first argument integrated adaptively and the second given the first.

    scales: what they are about. Given u, w is Gaussian around mean + c (u - mean).
    """
    sd, c = math.sqrt(variance), 1 - gap
    own = sd * math.sqrt(gap * (1 + c))
    kinks = np.array(kinks_of(name, DEFAULT_PARAMETER.get(name, 0.0) if parameter is None else parameter))
    edges_at = np.concatenate([kinks, [0.0], STEPS])
    x, weights = POINTS

    def given(z):
        u = mean + sd * z
        centre = mean + c * sd * z
        regular = centre + own * np.linspace(-9, 9, 13)
        edges = np.unique(np.clip(np.concatenate([regular, edges_at]), regular[0], regular[-1]))
        half = np.diff(edges)[:, None] / 2
        w = (edges[:-1, None] + half * (x + 1)).ravel()
        density = (half * weights).ravel() * np.exp(-(((w - centre) / own) ** 2) / 2) / (own * math.sqrt(2 * math.pi))
        f, slope = (float(of(name, np.array([u]), parameter)[0]) for of in (value, derivative))
        change, slopes = value(name, w, parameter) - f, slope * derivative(name, w, parameter)
        found = np.array([density @ change**2 / 2, density @ slopes, density @ slopes**2])
        return found / scales * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    near = [at + sign * own * step for at in (*kinks, 0.0) for step in (0, 1, 3, 9) for sign in (-1, 1)]
    points = sorted({(at - mean) / sd for at in (*near, *STEPS) if abs(at - mean) < 11 * sd})
    found, _ = integrate.quad_vec(given, -12, 12, epsabs=1e-9, epsrel=1e-9, norm="max", points=points, limit=2000)
    return found * scales


def assert_equals_nested(name, variance, gap, parameter=None, mean=0.0):
    """Compare relatively; E f' f' and E f'^2 f'^2, which may pass through 0, on the scale of gap 0."""
    of = moments(name, parameter, mean=mean, variance=variance)
    found = [of.pair(gap).spread, of.pair(gap).slope, of.pair(gap).slope_kurtosis * of.slope_second**2]
    scales = np.array([found[0], of.slope_second, of.slope_kurtosis * of.slope_second**2])
    spread, slope, square = nested(name, parameter, mean, variance, gap, scales)
    assert found[0] == pytest.approx(spread, rel=1e-6, abs=0)
    assert found[1] == pytest.approx(slope, rel=0, abs=1e-6 * scales[1])
    assert found[2] == pytest.approx(square, rel=0, abs=1e-6 * scales[2])


def far_from_kinks(name, variance):
    """Say whether nearly all of u lies where a shrinking activation is 0: a quadrature over u sees nothing."""
    return name in ("hard_shrink", "soft_shrink") and variance < 0.01


CASES = [
    (name, variance, GAPS[(3 * i + 2 * j) % len(GAPS)])
    for i, name in enumerate(FINITE)
    for j, variance in enumerate((*SIZES, *BETWEEN))
    if not far_from_kinks(name, variance)
]
"""Every activation at every size, at one of the gaps in turn; all of them in the soak test."""


@pytest.mark.parametrize(("name", "variance", "gap"), CASES)
def test_pairs_equal_nested_quadrature(name, variance, gap):
    assert_equals_nested(name, variance, gap)


@pytest.mark.soak
@pytest.mark.parametrize("variance", [*SIZES, *BETWEEN])
@pytest.mark.parametrize("name", FINITE)
def test_pairs_of_every_gap_equal_nested_quadrature(name, variance):
    for gap in GAPS:
        if not far_from_kinks(name, variance):
            assert_equals_nested(name, variance, gap)


@pytest.mark.parametrize("gap", [1e-4, 0.05, 0.6, 1.95])
@pytest.mark.parametrize("name", ["elu", "hard_shrink", "hard_silu", "leaky_relu", "relu6", "tanh"])
def test_pairs_of_a_u_with_a_mean_equal_nested_quadrature(name, gap):
    assert_equals_nested(name, 3.0, gap, mean=-0.7)


@pytest.mark.parametrize("variance", SIZES)
@pytest.mark.parametrize("gap", GAPS)
def test_pairs_of_erf_equal_the_closed_form(variance, gap):
    """Williams 1997, eq. 11, in the form 2/pi asin(x); the slopes are Gaussians."""
    of, c = moments("erf", variance=variance), 1 - gap
    x = 2 * variance / (1 + 2 * variance)
    y = c * x
    product = x * math.sqrt(1 - y * y) + y * math.sqrt(1 - x * x)
    differ = 2 * variance * variance * gap * (1 + c)
    difference = math.asin(x * x * gap * (1 + c) / product) if y > 0 else math.asin(x) - math.asin(y)
    assert of.pair(gap).spread == pytest.approx(2 / math.pi * difference, rel=1e-10, abs=0)
    slope = 4 / math.pi / math.sqrt(1 + 4 * variance + 2 * differ)
    assert of.pair(gap).slope == pytest.approx(slope, rel=1e-10, abs=0)
    square = 16 / math.pi**2 / math.sqrt(1 + 8 * variance + 8 * differ)
    assert of.pair(gap).slope_kurtosis * of.slope_second**2 == pytest.approx(square, rel=1e-10, abs=0)


@pytest.mark.parametrize("variance", SIZES)
@pytest.mark.parametrize("gap", GAPS)
def test_both_integrals_equal_the_closed_form_of_erf(variance, gap):
    of, exact = integrated("erf", 0.0, 0.0, variance), moments("erf", variance=variance)
    direct = close("erf", 0.0, 0.0, variance, gap, of)
    for found in (direct, of.pair(gap)):
        assert found.spread == pytest.approx(exact.pair(gap).spread, rel=3e-9, abs=0)
        assert found.slope == pytest.approx(exact.pair(gap).slope, rel=0, abs=3e-9 * exact.slope_second)


@pytest.mark.parametrize("variance", SIZES)
@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("below", [0.0, 0.2])
def test_pairs_of_relu_equal_the_arc_cosine_kernels(variance, gap, below):
    """Cho & Saul 2009, n = 1 and 0."""
    of, angle = moments("leaky_relu", below, variance=variance), 2 * math.asin(math.sqrt(gap / 2))
    bent = math.pi * gap - (math.sin(angle) - angle * math.cos(angle))
    if gap < 1e-3:  # sin(a) - a cos(a) = a^3/3 - a^5/30 + ...
        bent = math.pi * gap - (angle**3 / 3 - angle**5 / 30 + angle**7 / 840)
    bow = (1 - below) ** 2 / (2 * math.pi)
    assert of.pair(gap).spread == pytest.approx(variance * (bow * bent + below * gap), rel=1e-10, abs=0)
    assert of.pair(gap).slope == pytest.approx(bow * (math.pi - angle) + below, rel=1e-10, abs=0)


@pytest.mark.parametrize("gap", GAPS)
def test_a_pair_through_a_line_stays_as_it_is(gap):
    of = moments("linear", mean=0.4, variance=7.0)
    assert of.pair(gap).spread == pytest.approx(7.0 * gap, rel=1e-10, abs=0)
    assert (of.pair(gap).slope, of.pair(gap).slope_kurtosis) == pytest.approx((1.0, 1.0), rel=1e-10, abs=0)


@pytest.mark.parametrize("variance", [1e-13, 1e-9, 1e9, 1e13, 1e200])
@pytest.mark.parametrize("name", ["elu", "gelu", "selu", "softplus", "squareplus", "tanh_shrink"])
def test_tiny_and_huge_signals_see_two_straight_lines(name, variance):
    """Beyond the lattice: what is left out falls as sqrt(q), or its inverse."""
    of, side = moments(name, variance=variance), 1e12 if variance > 1 else 1e-12
    below, above = (float(derivative(name, np.array([u]))[0]) for u in (-side, side))
    if below == above:
        lines = moments("linear", variance=variance * above**2)
    else:
        lines = moments("leaky_relu", below / above, variance=variance * above**2)
    if above > 0.1:
        for gap in (1e-4, 0.3, 1.5):
            near = {"rel": 5 * max(variance**0.5 if variance < 1 else variance**-0.5, 2e-9), "abs": 0}
            assert of.pair(gap).spread == pytest.approx(lines.pair(gap).spread, **near)
            pair = above**2 * lines.pair(gap).slope
            assert of.pair(gap).slope == pytest.approx(pair, rel=near["rel"], abs=near["rel"] * of.slope_second)


@pytest.mark.parametrize("name", FINITE)
def test_what_is_found_does_not_depend_on_what_was_asked_before(name):
    first, second = moments(name, variance=1.7), moments(name, variance=1.7000001)
    for gap in (1e-5, 0.02, 0.119, 0.121, 0.7, 1.99):
        assert first.pair(gap).spread == pytest.approx(second.pair(gap).spread, rel=3e-7, abs=0)
        assert first.pair(gap).slope == pytest.approx(second.pair(gap).slope, rel=3e-7, abs=3e-7 * first.slope_second)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "variance"),
    [(name, q) for name in (*FINITE, "linear") for q in SIZES if "shrink" not in name or "tanh" in name or q >= 1],
)
def test_moments_agree_with_monte_carlo_of_ten_million_samples(name, variance):
    """Within 4 standard errors, one sample's and a pair's, the moments that are means of the samples.

    Of a shrink whose kinks are 5 standard deviations away ten million samples see six: no error can be told from them.
    """
    of, gap, count = moments(name, variance=variance), 0.37, 10_000_000
    rng = np.random.default_rng(8)
    sums, squares = np.zeros(8), np.zeros(8)
    for _ in range(20):
        a, b = rng.standard_normal((2, count // 20))
        u = math.sqrt(variance) * a
        w = math.sqrt(variance) * ((1 - gap) * a + math.sqrt(gap * (2 - gap)) * b)
        f, g, slope, other = value(name, u), value(name, w), derivative(name, u), derivative(name, w)
        each = (f, (f - of.mean) ** 2, slope, slope**2, u * f * slope, (f - g) ** 2 / 2, slope * other)
        each += (slope**2 * other**2,)
        sums += [x.sum() for x in each]
        squares += [(x * x).sum() for x in each]
    mean = sums / count
    error = np.sqrt(np.maximum(squares / count - mean**2, 0) / count)
    second = of.mean**2 + of.variance
    expected = [of.mean, of.variance, of.slope, of.slope_second, of.elasticity * second, of.pair(gap).spread]
    expected += [of.pair(gap).slope, of.pair(gap).slope_kurtosis * of.slope_second**2]
    for found, right, allowed in zip(mean, np.nan_to_num(expected), error, strict=True):
        assert abs(found - right) <= 4 * allowed + 1e-9 * abs(right)


@pytest.mark.parametrize(("name", "module"), [("relu", closed_forms), ("silu", general)])
def test_only_so_many_pairs_are_remembered(monkeypatch: pytest.MonkeyPatch, name: str, module: ModuleType) -> None:
    """One variance is that of every layer of some networks, of which a process may forecast many."""
    monkeypatch.setattr(module, "MOST", 3)
    of = moments(name, variance=1.2345)
    assert isinstance(of, closed_forms.PiecewiseLinear | general.General)
    first = of.pair(0.1)
    assert of.pair(0.1) is first
    for gap in np.linspace(0.2, 0.9, 20).tolist():
        of.pair(gap)
        assert 0 < len(of.known) <= 4
    assert of.pair(0.1) == first
