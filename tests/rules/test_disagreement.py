"""Forecast and measurement more than three of its standard deviations apart: said, with the layers not modelled."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.report.html import render_html
from unvanish.report.text import render_text
from unvanish.rules import gf101_gradient_vanishes_with_depth as gf101
from unvanish.rules.evidence import DISAGREES_SD, disagreement, forecast_apart
from unvanish.rules.gradients import at_start
from unvanish.testing.diagnoses import healthy, sick
from unvanish.testing.specimens import SPECIMENS


def shifted(seen: Observation, sds: float) -> Observation:
    """Return the observation with a forecast so many of its standard deviations below what was measured."""
    assert seen.forecast is not None
    first, last = (seen.profiles[0].layer(seen.network.kernels[i].name).gradient_norm for i in (0, -1))
    assert first
    assert last
    sd = 0.2
    log = math.log10(first / last) - sds * sd
    return replace(seen, forecast=replace(seen.forecast, log10_first_over_last=log, log10_sd=sd))


@pytest.mark.parametrize("sds", [-9.0, -3.1, -2.9, 0.0, 2.9, 3.1, 9.0])
def test_the_limit_is_three_standard_deviations(sds: float) -> None:
    seen = shifted(SPECIMENS["tutorial_sigmoid"](), sds)
    assert forecast_apart(seen, at_start(seen)) == pytest.approx(sds, rel=1e-9, abs=0)
    assert bool(disagreement(seen)) == (abs(sds) > DISAGREES_SD)
    assert gf101.judge(seen).evidence["forecast_apart_sd"] == pytest.approx(sds, rel=1e-9, abs=0)  # type: ignore[union-attr]


def test_the_layers_that_are_not_modelled_are_named() -> None:
    seen = shifted(SPECIMENS["tutorial_sigmoid"](), 5.0)
    assert disagreement(seen).endswith(
        "an operation the forecast does not model, weights that are no random draw, or a bug"
    )
    assert "5 standard deviations apart" in disagreement(seen)
    odd = Layer(name="lambda_7", kind="other", type="Lambda")
    more = replace(seen, network=replace(seen.network, layers=(*seen.network.layers, odd)))
    assert disagreement(more).endswith("an operation the forecast does not model (lambda_7), or a bug")


def test_what_is_not_of_the_same_is_not_compared() -> None:
    seen = shifted(SPECIMENS["tutorial_sigmoid"](), 9.0)
    first = seen.network.kernels[0].name
    layers = tuple(replace(x, trainable=x.name != first) for x in seen.network.layers)
    late = tuple(replace(profile, step=profile.step + 1) for profile in seen.profiles)
    assert seen.forecast is not None
    others = (
        replace(seen, network=replace(seen.network, layers=layers)),
        replace(seen, profiles=late),
        replace(seen, forecast=None),
        replace(seen, forecast=replace(seen.forecast, log10_sd=None)),
        replace(seen, forecast=replace(seen.forecast, log10_first_over_last=-math.inf)),
    )
    assert [disagreement(other) for other in others] == [""] * len(others)


@pytest.mark.parametrize("build", [sick, healthy])
def test_the_report_says_it_in_one_line_and_the_page_too(build: object) -> None:
    diagnosis = build()  # type: ignore[operator]
    apart = replace(diagnosis, observation=shifted(diagnosis.observation, 8.0))
    assert "apart" not in render_text(diagnosis)
    assert "\n! forecast and measurement are 8 standard deviations apart" in "\n" + render_text(apart)
    assert "8 standard deviations apart" in render_html(apart)
    assert "standard deviations apart" not in render_html(diagnosis)
    assert "Forecast beside measurement" in render_html(diagnosis)
