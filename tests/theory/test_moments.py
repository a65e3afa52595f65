"""Gaussian moments against scipy's adaptive quadrature, Monte Carlo, and closed forms."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from unvanish.core.activations import FUNCTIONS, derivative, value
from unvanish.theory.closed_forms import PiecewiseLinear
from unvanish.theory.finite_batch import Shifts
from unvanish.theory.moments import moments
from unvanish.theory.series import KINKS, Series

PLAIN = (
    "mean",
    "variance",
    "kurtosis",
    "central_kurtosis",
    "elasticity",
    "slope",
    "slope_second",
    "slope_kurtosis",
    "slope_along",
    "slope_tilt",
)
SMOOTH_ENOUGH = sorted(FUNCTIONS.keys() - {"exponential"})


def expectation(function, mean, variance, kinks=()):
    """Return E function(u), integrated in the variable in which f bends, by pieces."""
    sd = math.sqrt(variance)
    inside = [(k - mean) / sd for k in (*kinks, 0.0, -4.0, 4.0) if abs((k - mean) / sd) < 9.9]

    def integrand(z):
        return function(np.array([mean + sd * z]))[0] * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    edges = sorted({-10.0, *inside, 10.0})
    return sum(
        integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-10, limit=200)[0] for a, b in itertools.pairwise(edges)
    )


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 0.04), (0.0, 1.7), (0.6, 30.0)])
@pytest.mark.parametrize("name", SMOOTH_ENOUGH)
def test_single_moments_equal_adaptive_quadrature(name, mean, variance):
    of, kinks = moments(name, mean=mean, variance=variance), KINKS.get(name, ())

    def expect(function):
        return expectation(function, mean, variance, kinks)

    def f(u):
        return value(name, u)

    def slope(u):
        return derivative(name, u)

    first, second, steep = expect(f), expect(lambda u: f(u) ** 2), expect(lambda u: slope(u) ** 2)
    central = expect(lambda u: (f(u) - first) ** 4)
    sd = math.sqrt(variance)
    near = {"rel": 1e-6, "abs": 1e-14 * second}
    assert of.mean == pytest.approx(first, **near)
    assert of.variance == pytest.approx(expect(lambda u: (f(u) - first) ** 2), rel=1e-6, abs=0)
    assert of.kurtosis == pytest.approx(expect(lambda u: f(u) ** 4) / second**2, rel=1e-6, abs=0)
    assert of.central_kurtosis == pytest.approx(central / of.variance**2, rel=1e-6, abs=0)
    assert of.elasticity == pytest.approx(expect(lambda u: u * f(u) * slope(u)) / second, rel=1e-6, abs=0)
    assert of.slope == pytest.approx(expect(slope), rel=1e-6, abs=0)
    assert of.slope_second == pytest.approx(steep, rel=1e-6, abs=0)
    assert of.slope_kurtosis == pytest.approx(expect(lambda u: slope(u) ** 4) / steep**2, rel=1e-6, abs=0)
    along = expect(lambda u: slope(u) ** 2 * ((u - mean) / sd) ** 2)
    assert of.slope_along == pytest.approx(along / steep, rel=1e-6, abs=0)
    assert of.slope_tilt == pytest.approx(expect(lambda u: slope(u) * (u - mean) / sd), rel=1e-6, abs=1e-14)


@pytest.mark.parametrize("name", SMOOTH_ENOUGH)
def test_pair_moments_agree_with_monte_carlo(name):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 300_000))
    for variance, c in [(1.0, 0.5), (1.0, -0.3), (20.0, 0.9), (20.0, 0.999)]:
        of = moments(name, variance=variance)
        u, w = math.sqrt(variance) * a, math.sqrt(variance) * (c * a + math.sqrt(1 - c * c) * b)
        f, g, slope, other = value(name, u), value(name, w), derivative(name, u), derivative(name, w)
        samples = {
            of.spread(1 - c): (f - g) ** 2 / 2,
            of.slope_pair(1 - c): slope * other,
            of.slope_kurtosis_pair(1 - c): slope**2 * other**2 / of.slope_second**2,
        }
        allowed = 1e-3 if c < 0.99 else 0.06  # a kink and a pair almost equal: the tail of the series is a model
        for expected, seen in samples.items():
            error = 5 * seen.std() / math.sqrt(seen.size)
            assert abs(expected - seen.mean()) <= error + allowed * abs(seen.mean()), (variance, c)


@pytest.mark.parametrize("variance", [1e-4, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("gap", [1e-9, 1e-3, 0.05, 0.5, 1.0, 1.03, 2.0])
def test_erf_by_series_equals_its_closed_form(variance, gap):
    of, c = moments("erf", variance=variance), 1 - gap
    x = 2 * variance / (1 + 2 * variance)
    assert of.variance == pytest.approx(2 / math.pi * math.asin(x), rel=1e-9, abs=0)
    assert of.slope_second == pytest.approx(4 / math.pi / math.sqrt(1 + 4 * variance), rel=1e-9, abs=0)
    determinant = (1 + 2 * variance) ** 2 - 4 * (c * variance) ** 2
    assert of.slope_pair(gap) == pytest.approx(4 / math.pi / math.sqrt(determinant), rel=2e-4, abs=0)
    y = c * x
    product = x * math.sqrt(1 - y * y) + y * math.sqrt(1 - x * x)
    difference = math.asin((x * x - y * y) / product) if y > 0 else math.asin(x) - math.asin(y)
    assert of.spread(gap) == pytest.approx(2 / math.pi * difference, rel=1e-3, abs=0)


@pytest.mark.parametrize("variance", [50.0, 1e4])
@pytest.mark.parametrize("gap", [1e-6, 1e-3, 0.02])
def test_a_narrow_peak_and_a_pair_alike_are_integrated_directly(variance, gap):
    of = moments("erf", variance=variance)
    determinant = (1 + 2 * variance) ** 2 - 4 * ((1 - gap) * variance) ** 2
    assert of.slope_pair(gap) == pytest.approx(4 / math.pi / math.sqrt(determinant), rel=1e-2, abs=0)


@pytest.mark.parametrize("below", [0.0, 0.2, -0.5, 0.9])
@pytest.mark.parametrize("gap", [1e-6, 1e-3, 0.2, 0.7, 1.0, 1.5])
def test_piecewise_linear_closed_forms_equal_the_series(below, gap):
    closed, series = PiecewiseLinear(below, 0.0, 2.3), Series("leaky_relu", below, 0.0, 2.3)
    for field in PLAIN:
        assert getattr(closed, field) == pytest.approx(getattr(series, field), rel=1e-9, abs=0), field
    assert list(closed.degrees) == pytest.approx(list(series.degrees), rel=1e-9, abs=1e-12)
    assert closed.spread(gap) == pytest.approx(series.spread(gap), rel=1e-3, abs=0)
    assert closed.slope_pair(gap) == pytest.approx(series.slope_pair(gap), rel=1e-4, abs=1e-9)
    assert closed.slope_kurtosis_pair(gap) == pytest.approx(series.slope_kurtosis_pair(gap), rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("gap", [1e-3, 0.4, 1.2])
def test_the_exponential_is_log_normal(gap):
    closed, series = moments("exponential", mean=-0.3, variance=0.4), Series("exponential", 0.0, -0.3, 0.4)
    for field in PLAIN:
        assert getattr(closed, field) == pytest.approx(getattr(series, field), rel=1e-8, abs=0), field
    assert list(closed.degrees) == pytest.approx(list(series.degrees), rel=1e-7, abs=0)
    assert closed.spread(gap) == pytest.approx(series.spread(gap), rel=1e-8, abs=0)
    assert closed.slope_pair(gap) == pytest.approx(series.slope_pair(gap), rel=1e-8, abs=0)
    assert closed.slope_kurtosis_pair(gap) == pytest.approx(series.slope_kurtosis_pair(gap), rel=1e-7, abs=0)


@pytest.mark.filterwarnings("error")
def test_what_overflows_is_inf_and_what_does_not_exist_is_nan():
    assert moments("exponential", variance=1e4).variance == math.inf
    assert moments("exponential", variance=1e4).kurtosis == math.inf
    assert moments("tanh", variance=math.inf).variance == math.inf
    assert math.isnan(moments("tanh", variance=math.inf).slope_second)
    assert math.isnan(moments("tanh", variance=math.nan).variance)
    assert math.isnan(moments("relu", mean=math.nan, variance=1.0).slope)


def test_without_variance_every_unit_is_the_same_number():
    of = moments("sigmoid", mean=2.0, variance=0.0)
    assert of.mean == pytest.approx(1 / (1 + math.exp(-2)), rel=1e-12, abs=0)
    assert (of.variance, of.spread(0.3)) == (0.0, 0.0)
    assert of.slope_pair(0.3) == of.slope_second == pytest.approx(of.slope**2, rel=1e-12, abs=0)
    assert moments("relu", variance=0.0).slope_second == 0.0  # f'(0) = 0, as every framework has it


def test_an_unknown_activation_is_a_key_error():
    with pytest.raises(KeyError):
        moments("swoosh", variance=1.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("variance", [1e-4, 1e-2, 1.0, 1e2, 1e4])
@pytest.mark.parametrize("name", SMOOTH_ENOUGH)
def test_moments_are_sane_from_tiny_to_huge_signals(name, variance):
    of = moments(name, variance=variance)
    second = of.mean**2 + of.variance
    assert 0 < of.slope_second <= 3.1  # the steepest is selu below 0: 1.76^2
    assert 0 <= of.variance <= 3.1 * variance
    assert second <= 3.1 * variance + 1.0
    assert of.slope**2 <= of.slope_second * (1 + 1e-9)
    assert of.kurtosis >= 1 - 1e-9
    assert of.slope_kurtosis >= 1 - 1e-9
    spreads = [of.spread(gap) for gap in (0.0, 1e-12, 1e-4, 0.1, 0.5, 1.0)]
    assert spreads[0] == 0
    assert all(a <= b * (1 + 1e-6) for a, b in itertools.pairwise(spreads))
    assert of.spread(1.0) == pytest.approx(of.variance, rel=1e-6, abs=1e-14)
    assert of.slope_pair(0.0) == pytest.approx(of.slope_second, rel=1e-9, abs=0)
    assert of.slope_pair(1.0) == pytest.approx(of.slope**2, rel=1e-6, abs=1e-14)


@given(
    name=st.sampled_from(SMOOTH_ENOUGH),
    variance=st.floats(1e-3, 1e3),
    mean=st.sampled_from([0.0, -1.0, 2.5]),
    gap=st.floats(1e-6, 1.0),
)
def test_the_spread_is_the_integral_of_the_slopes(name, variance, mean, gap):
    of = moments(name, mean=mean, variance=variance)  # Price's theorem bounds it from both sides
    spread, bound = of.spread(gap), variance * gap
    slack = 1e-2 * bound * of.slope_second
    assert bound * of.slope_pair(gap) - slack <= spread <= bound * of.slope_second + slack
    assert spread <= of.variance * (1 + 1e-6)


@given(name=st.sampled_from(SMOOTH_ENOUGH), variance=st.floats(1e-4, 1e4))
def test_elasticity_is_the_derivative_of_the_second_moment(name, variance):
    step = 1e-4
    low, high = (moments(name, variance=variance * (1 + sign * step)) for sign in (-1, 1))
    second = [of.mean**2 + of.variance for of in (low, high)]
    slope = (math.log(second[1]) - math.log(second[0])) / (math.log1p(step) - math.log1p(-step))
    assert moments(name, variance=variance).elasticity == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["tanh", "selu", "gelu", "softplus", "relu", "sigmoid"])
def test_a_batch_that_is_normalised_is_not_quite_gaussian(name):
    instances, units = 12, 120_000
    rng = np.random.default_rng(2)
    u = rng.standard_normal((instances, units))
    u -= u.mean(axis=0)
    u /= np.sqrt((u * u).mean(axis=0))
    f, slope = value(name, u), derivative(name, u)
    of = moments(name, variance=1.0)
    shifts = Shifts.over(of, instances)
    gap = instances / (instances - 1)
    mean = f.mean(axis=0)
    pair = (mean * mean * instances**2 - (f * f).sum(axis=0)).mean() / (instances * (instances - 1))
    second = (f * f).mean()
    seen = {
        "mean": (f.mean(), of.mean, shifts.mean),
        "variance": (f.var(), of.variance, shifts.variance),
        "spread": (second - pair, of.spread(gap), shifts.spread),
        "slope_second": ((slope * slope).mean(), of.slope_second, shifts.slope_second),
    }
    for field, (found, gaussian, shift) in seen.items():
        noise = 0.005 * math.sqrt(second) if field == "mean" else 0
        assert gaussian + shift == pytest.approx(found, rel=1e-2, abs=noise), field
    if name == "tanh":
        assert abs(of.spread(gap) / (second - pair) - 1) > 0.02  # without the shift it would be off


@pytest.mark.parametrize("gap", [1e-6, 1e-4, 9e-4])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu"])
def test_a_pair_that_is_close_together_equals_the_direct_integral(name, gap):
    of = moments(name, variance=100.0)
    slope, spread = of._both(derivative, gap)[0], of._both(value, gap)[1]
    square = of._both(lambda *args: derivative(*args) ** 2, gap)[0] / of.slope_second**2
    assert of.slope_pair(gap) == pytest.approx(slope, rel=5e-3, abs=0)
    assert of.spread(gap) == pytest.approx(spread, rel=5e-3, abs=0)
    assert of.slope_kurtosis_pair(gap) == pytest.approx(square, rel=0.02, abs=0)
