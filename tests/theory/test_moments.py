"""Gaussian moments of one sample against adaptive quadrature and closed forms (pairs: test_pair_moments.py)."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple
from scipy import integrate

from unvanish.core.activations import DEFAULT_PARAMETER, FUNCTIONS, derivative, value
from unvanish.theory.finite_batch import Shifts
from unvanish.theory.general import integrated, kinks_of
from unvanish.theory.moments import moments

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
SIZES = (1e-4, 1e-2, 1.0, 1e2, 1e4)
FINITE = sorted(FUNCTIONS.keys() - {"exponential"})
SHRINKS = {"hard_shrink", "soft_shrink"}
PARAMETERS = {"celu": 0.4, "elu": 1.7, "leaky_relu": -0.3, "soft_shrink": 0.9}


def quadrature(name, parameter, mean, variance, scales):
    """Return the moments by adaptive quadrature, in pieces that end at kinks and widen away from the bend at u = 0.

    scales: what each integral is about, so that all are integrated to the same relative precision.
    """
    sd = math.sqrt(variance)
    steps = [sign * 4.0**k for k in range(-1, 7) for sign in (-1, 1)]
    near = [
        (at - mean) / sd
        for at in (*kinks_of(name, DEFAULT_PARAMETER.get(name) if parameter is None else parameter), 0.0, *steps)
    ]
    points = sorted({z for z in near if abs(z) < 37})

    def integrate_all(integrands, scale):
        def integrand(z):
            u = mean + sd * z
            f, slope = (float(of(name, np.array([u]), parameter)[0]) for of in (value, derivative))
            return np.array(integrands(z, u, f, slope)) / scale * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        found, _ = integrate.quad_vec(integrand, -38, 38, epsabs=1e-10, epsrel=1e-10, norm="max", points=points)
        return found * scale

    second = scales.mean**2 + scales.variance
    steep = scales.slope_second
    whole = [abs(scales.mean) + 1e-9 * math.sqrt(second), second, second**2 * scales.kurtosis, second]
    whole += [math.sqrt(steep), steep, steep**2 * scales.slope_kurtosis, steep * scales.slope_along, math.sqrt(steep)]
    first, square, fourth, along, *rest = integrate_all(
        lambda z, u, f, d: [f, f * f, f**4, u * f * d, d, d * d, d**4, d * d * z * z, d * z], np.array(whole)
    )
    slope, steep, steep_square, steep_along, tilt = rest
    central = np.array([scales.variance, scales.variance**2 * scales.central_kurtosis])
    variance, fourth_central = integrate_all(lambda z, u, f, d: [(f - first) ** 2, (f - first) ** 4], central)
    return {
        "mean": first,
        "variance": variance,
        "kurtosis": fourth / square**2,
        "central_kurtosis": fourth_central / variance**2,
        "elasticity": along / square,
        "slope": slope,
        "slope_second": steep,
        "slope_kurtosis": steep_square / steep**2,
        "slope_along": steep_along / steep,
        "slope_tilt": tilt,
    }


def assert_near(found, expected, rel, scale, what=""):
    """Compare to a relative tolerance; what is 0 by symmetry, by its share of its natural scale."""
    if abs(expected) < 1e-6 * scale:
        assert abs(found - expected) <= 1e-3 * rel * scale, what
    else:
        assert found == pytest.approx(expected, rel=rel, abs=0), what


def assert_equals_quadrature(name, parameter, mean, variance):
    of = moments(name, parameter, mean=mean, variance=variance)
    expected = quadrature(name, parameter, mean, variance, of)
    zero = {"mean": math.sqrt(of.variance), "slope": math.sqrt(of.slope_second)}
    zero["slope_tilt"] = zero["slope"]
    for field in PLAIN:
        assert_near(getattr(of, field), expected[field], 1e-6, zero.get(field, 0.0), field)


@pytest.mark.parametrize("variance", SIZES)
@pytest.mark.parametrize("name", FINITE)
def test_moments_equal_adaptive_quadrature(name, variance):
    if name in SHRINKS and variance == 1e-4:  # 50 standard deviations to the kink: e^-1250
        of = moments(name, variance=variance)
        assert (of.variance, of.slope_second, of.pair(0.3).spread) == (0.0, 0.0, 0.0)
    else:
        assert_equals_quadrature(name, None, 0.0, variance)


@pytest.mark.parametrize(("mean", "variance"), [(0.6, 0.04), (-1.3, 30.0)])
@pytest.mark.parametrize("name", FINITE)
def test_moments_of_a_u_with_a_mean_equal_adaptive_quadrature(name, mean, variance):
    assert_equals_quadrature(name, None, mean, variance)


@pytest.mark.parametrize("variance", [3e-3, 0.7, 40.0])
@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_moments_with_another_parameter_equal_adaptive_quadrature(name, variance):
    assert_equals_quadrature(name, PARAMETERS[name], 0.0, variance)


@given(name=st.sampled_from(FINITE), variance=st.floats(1e-4, 1e4))
def test_between_the_points_of_the_lattice_moments_are_those_of_the_integral(name, variance):
    of, direct = moments(name, variance=variance), integrated(name, *parameter_of(name), 0.0, of_nine_digits(variance))
    for field in PLAIN:
        scale = {
            "mean": direct.variance**0.5,
            "slope": direct.slope_second**0.5,
            "slope_tilt": direct.slope_second**0.5,
        }
        expected = getattr(direct, field)
        if math.isnan(expected):  # 0/0, of a hard_shrink that is 0 wherever u goes
            assert math.isnan(getattr(of, field)), field
        else:
            assert_near(getattr(of, field), expected, 1e-8, scale.get(field, 0.0), field)
    for one, other in zip(astuple(of.degrees), astuple(direct.degrees), strict=True):
        assert_near(one, other, 1e-6, direct.mean**2 + direct.variance + direct.slope_second)


def parameter_of(name):
    return (DEFAULT_PARAMETER.get(name, 0.0),)


def of_nine_digits(x):
    return float(f"{x:.9g}")


@pytest.mark.parametrize("variance", SIZES)
def test_erf_equals_its_closed_form(variance):
    of = moments("erf", variance=variance)
    assert of.variance == pytest.approx(2 / math.pi * math.asin(2 * variance / (1 + 2 * variance)), rel=1e-10, abs=0)
    assert of.slope == pytest.approx(2 / math.sqrt(math.pi * (1 + 2 * variance)), rel=1e-10, abs=0)
    assert of.slope_second == pytest.approx(4 / math.pi / math.sqrt(1 + 4 * variance), rel=1e-10, abs=0)
    fourth = 16 / math.pi**2 / math.sqrt(1 + 8 * variance)
    assert of.slope_kurtosis * of.slope_second**2 == pytest.approx(fourth, rel=1e-10, abs=0)
    assert of.slope_along == pytest.approx(1 / (1 + 4 * variance), rel=1e-10, abs=0)
    elasticity = 4 * variance / math.pi / ((1 + 2 * variance) * math.sqrt(1 + 4 * variance))
    assert of.elasticity == pytest.approx(elasticity / of.variance, rel=1e-10, abs=0)


@pytest.mark.parametrize("variance", SIZES)
def test_relu_and_linear_equal_their_closed_forms(variance):
    relu, linear = moments("relu", variance=variance), moments("linear", mean=0.3, variance=variance)
    second = relu.mean**2 + relu.variance
    assert relu.mean == pytest.approx(math.sqrt(variance / (2 * math.pi)), rel=1e-10, abs=0)
    assert second == pytest.approx(variance / 2, rel=1e-10, abs=0)
    assert (relu.kurtosis, relu.slope, relu.slope_second) == pytest.approx((6.0, 0.5, 0.5), rel=1e-10, abs=0)
    assert (linear.mean, linear.variance, linear.slope_second) == pytest.approx((0.3, variance, 1.0), rel=1e-10, abs=0)


@pytest.mark.parametrize("variance", SIZES)
@pytest.mark.parametrize("below", [0.0, 0.2, -0.5, 0.9, 1.0])
def test_the_closed_form_of_two_straight_lines_equals_the_integral(below, variance):
    closed, integral = moments("leaky_relu", below, variance=variance), integrated("leaky_relu", below, 0.0, variance)
    for field in PLAIN:
        scale = math.sqrt(variance) if field == "mean" else 1.0
        assert_near(getattr(integral, field), getattr(closed, field), 1e-10, scale, field)
    for one, other in zip(astuple(closed.degrees), astuple(integral.degrees), strict=True):
        assert_near(other, one, 1e-9, max(variance, 1.0))
    for gap in (1e-8, 1e-4, 0.01, 0.3, 1.0, 1.5, 1.9, 2.0):
        assert closed.pair(gap).spread == pytest.approx(integral.pair(gap).spread, rel=1e-10, abs=0)
        assert_near(integral.pair(gap).slope, closed.pair(gap).slope, 1e-10, 1.0)
        assert_near(integral.pair(gap).slope_kurtosis, closed.pair(gap).slope_kurtosis, 1e-10, 1.0)


@pytest.mark.parametrize("gap", [1e-3, 0.4, 1.2])
def test_the_exponential_is_log_normal(gap):
    closed, series = moments("exponential", mean=-0.3, variance=0.4), integrated("exponential", 0.0, -0.3, 0.4)
    for field in PLAIN:
        assert getattr(closed, field) == pytest.approx(getattr(series, field), rel=1e-8, abs=0), field
    assert astuple(closed.degrees) == pytest.approx(astuple(series.degrees), rel=1e-7, abs=0)
    assert closed.pair(gap).spread == pytest.approx(series.pair(gap).spread, rel=1e-8, abs=0)
    assert closed.pair(gap).slope == pytest.approx(series.pair(gap).slope, rel=1e-8, abs=0)
    assert closed.pair(gap).slope_kurtosis == pytest.approx(series.pair(gap).slope_kurtosis, rel=1e-7, abs=0)


OVERFLOWS = {
    1e4: ("central_kurtosis", "kurtosis", "mean", "slope", "slope_second", "slope_kurtosis", "slope_tilt", "variance"),
}
"""q -> what is inf of exp(u): E exp(n u) = exp(n^2 q / 2). No other activation grows faster than u."""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("variance", SIZES)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_what_overflows_is_inf_and_listed(name, variance):
    of = moments(name, variance=variance)
    found = {field for field in PLAIN if math.isinf(getattr(of, field))}
    assert found == set(OVERFLOWS.get(variance, ()) if name == "exponential" else ())


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
    assert (of.variance, of.pair(0.3).spread) == (0.0, 0.0)
    assert of.pair(0.3).slope == of.slope_second == pytest.approx(of.slope**2, rel=1e-12, abs=0)
    assert moments("relu", variance=0.0).slope_second == 0.0  # f'(0) = 0, as every framework has it


def test_an_unknown_activation_is_a_key_error():
    with pytest.raises(KeyError):
        moments("swoosh", variance=1.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("variance", [1e-4, 1e-2, 1.0, 1e2, 1e4])
@pytest.mark.parametrize("name", sorted({*FINITE} - SHRINKS))
def test_moments_are_sane_from_tiny_to_huge_signals(name, variance):
    of = moments(name, variance=variance)
    second = of.mean**2 + of.variance
    assert 0 < of.slope_second <= 3.1  # the steepest is selu below 0: 1.76^2
    assert 0 <= of.variance <= 3.1 * variance
    assert second <= 3.1 * variance + 1.0
    assert of.slope**2 <= of.slope_second * (1 + 1e-9)
    assert of.kurtosis >= 1 - 1e-9
    assert of.slope_kurtosis >= 1 - 1e-9
    spreads = [of.pair(gap).spread for gap in (0.0, 1e-12, 1e-4, 0.1, 0.5, 1.0)]
    assert spreads[0] == 0
    assert all(a <= b * (1 + 1e-6) for a, b in itertools.pairwise(spreads))
    assert of.pair(1.0).spread == pytest.approx(of.variance, rel=1e-6, abs=0)
    assert of.pair(0.0).slope == pytest.approx(of.slope_second, rel=1e-9, abs=0)
    assert of.pair(1.0).slope == pytest.approx(of.slope**2, rel=1e-6, abs=0)


@given(
    name=st.sampled_from(FINITE),
    variance=st.floats(1e-3, 1e3),
    mean=st.sampled_from([0.0, -1.0, 2.5]),
    gap=st.floats(1e-6, 1.0),
)
def test_the_spread_is_the_integral_of_the_slopes(name, variance, mean, gap):
    of = moments(name, mean=mean, variance=variance)  # Price's theorem bounds it from both sides
    spread, bound = of.pair(gap).spread, variance * gap
    slack = 1e-2 * bound * of.slope_second
    assert bound * of.pair(gap).slope - slack <= spread <= bound * of.slope_second + slack
    assert spread <= of.variance * (1 + 1e-6)


@given(name=st.sampled_from(sorted({*FINITE} - SHRINKS)), variance=st.floats(1e-4, 1e4))
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
        "spread": (second - pair, of.pair(gap).spread, shifts.spread),
        "slope_second": ((slope * slope).mean(), of.slope_second, shifts.slope_second),
    }
    for field, (found, gaussian, shift) in seen.items():
        noise = 0.005 * math.sqrt(second) if field == "mean" else 0
        assert gaussian + shift == pytest.approx(found, rel=1e-2, abs=noise), field
    if name == "tanh":
        assert abs(of.pair(gap).spread / (second - pair) - 1) > 0.02  # without the shift it would be off
