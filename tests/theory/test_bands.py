"""The healthy factor per layer, and the depth at which a factor stops being one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unvanish.theory.bands import DECADES, depth_at, growth_becomes_fatal_at, healthy_factor


def test_known_factors():
    assert healthy_factor(12) == pytest.approx(1.334, rel=1e-3, abs=0)
    assert healthy_factor(50) == pytest.approx(1.0715, rel=1e-3, abs=0)
    assert growth_becomes_fatal_at(1.2) == 19
    assert growth_becomes_fatal_at(1.211) == 19
    assert growth_becomes_fatal_at(1.07) == 52


@given(st.integers(1, 5000))
def test_the_healthy_factor_makes_the_decades_at_its_depth(depth):
    factor = healthy_factor(depth)
    assert depth * math.log10(factor) == pytest.approx(DECADES, rel=1e-9, abs=0)
    assert growth_becomes_fatal_at(factor) == depth
    assert depth_at(1 / factor) == depth


@given(st.floats(1e-6, 1e6))
def test_the_depth_is_the_first_that_crosses(factor):
    depth = depth_at(factor)
    if depth is None:
        assert abs(math.log10(factor)) * 100_000 < DECADES * (1 + 1e-9)
    else:
        assert abs(math.log10(factor)) * depth >= DECADES * (1 - 1e-6)
        assert depth == 1 or abs(math.log10(factor)) * (depth - 1) < DECADES


def test_what_never_becomes_fatal_is_none():
    assert growth_becomes_fatal_at(1.0) is None
    assert growth_becomes_fatal_at(0.24) is None
    assert growth_becomes_fatal_at(math.nan) is None
    assert depth_at(1.0) is None
    assert depth_at(1.00001) is None
    assert depth_at(math.nan) is None


def test_the_ends():
    assert depth_at(0.0) == 1
    assert depth_at(math.inf) == 1
    assert growth_becomes_fatal_at(math.inf) == 1
    assert healthy_factor(0) == math.inf
