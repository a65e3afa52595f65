"""The gradient against depth: what is taken from profiles, medians over seeds, the ratio of norms, the road to JSON."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cured import cured
from msgspec.structs import replace

from unvanish.core import document
from unvanish.core.cured import Cured
from unvanish.core.gradient_by_depth import GradientByDepth, gradient_by_depth, medians, over_seeds
from unvanish.testing.observations import Recipe, observation


def test_what_the_profiles_hold() -> None:
    seen = observation(Recipe())
    found = gradient_by_depth(seen.network, seen.profiles, seen.forecast)
    assert found.layers == tuple(layer.name for layer in seen.network.kernels)
    assert found.sizes == (20 * 64, *[64 * 64] * 10, 64)
    for rows, profile in ((found.first, seen.profiles[0]), (found.last, seen.profiles[-1])):
        assert rows == (tuple(profile.layer(name).gradient_rms for name in found.layers),)
    norms = [seen.profiles[0].layer(name).gradient_norm for name in (found.layers[0], found.layers[-1])]
    assert norms[0] is not None
    assert norms[1] is not None
    assert found.first_over_last == pytest.approx(norms[0] / norms[1], rel=1e-6, abs=0)


def test_the_forecast_of_norms_becomes_one_of_rms() -> None:
    seen = observation(Recipe())
    assert seen.forecast is not None
    found = gradient_by_depth(seen.network, seen.profiles, seen.forecast)
    for name, size, expected in zip(found.layers, found.sizes, found.forecast, strict=True):
        norm = seen.forecast.layer(name).log10_gradient_norm
        assert norm is not None
        assert expected is not None
        assert 10**expected * math.sqrt(size) == pytest.approx(10**norm * math.sqrt(found.sizes[-1]), rel=1e-9, abs=0)
    assert gradient_by_depth(seen.network, seen.profiles, None).forecast == ()


def test_one_probe_has_no_last_row() -> None:
    seen = observation(Recipe())
    assert gradient_by_depth(seen.network, seen.profiles[:1], None).last == ()


def test_medians_are_numpys_and_keep_what_is_missing() -> None:
    rows = np.random.default_rng(0).lognormal(size=(5, 4))
    assert medians([tuple(row) for row in rows.tolist()]) == pytest.approx(np.median(rows, axis=0), rel=1e-12, abs=0)
    assert medians([(None, 1.0), (None, 3.0)]) == (None, 2.0)
    assert medians([(math.nan, 1.0), (math.nan, 1.0), (2.0, 1.0)]) == (math.inf, 1.0)
    assert medians([]) == ()


def test_seeds_are_rows() -> None:
    one = GradientByDepth(layers=("a", "b"), sizes=(4, 1), first=((1.0, 2.0),), last=((3.0, 4.0),))
    both = over_seeds([one, replace(one, first=((5.0, 0.0),))])
    assert both is not None
    assert both.first == ((1.0, 2.0), (5.0, 0.0))
    assert both.first_over_last == pytest.approx(1.0, rel=1e-12, abs=0)  # 1/2 x sqrt(4/1); nothing over zero
    assert over_seeds([]) is None


def test_a_cure_survives_the_road_to_json() -> None:
    whole = cured()
    assert whole.evidence is not None
    assert whole.evidence.baseline.gradients is not None
    assert document.decode(whole.to_json(), Cured) == whole
