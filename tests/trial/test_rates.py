from __future__ import annotations

import math

import pytest
from msgspec.structs import replace
from trials import evidence

from unvanish.core.evidence import Run
from unvanish.trial.rates import MOST, best_of, chosen, following
from unvanish.trial.trials import Trained

RATES = (1.0, 3.0, 1 / 3)
RUN: Run = evidence((0.5,), {}).baseline.runs[0]


def short(score: float, word: str = "healthy", loss: float | None = None) -> Trained:
    return Trained(replace(RUN, score=score, loss=1 - score if loss is None else loss), word, 1.0, None)


def test_the_plans_rates_come_first_in_their_order() -> None:
    tried: dict[float, Trained] = {}
    for rate in RATES:
        assert following(tried, RATES) == rate
        tried[rate] = short(0.5 + 0.1 * (rate == 1.0))
    assert following(tried, RATES) is None


def test_smaller_ones_follow_while_they_are_better_and_larger_ones_never() -> None:
    """A thousand layers of width 64 stand a tenth of Adam's usual rate."""
    tried = {1.0: short(0.1), 3.0: short(0.1), 1 / 3: short(0.2)}
    assert following(tried, RATES) == pytest.approx(1 / 9, rel=1e-12, abs=0)
    tried[1 / 9] = short(0.4)
    assert following(tried, RATES) == pytest.approx(1 / 27, rel=1e-12, abs=0)
    tried[1 / 27] = short(0.5)
    assert len(tried) == MOST
    assert following(tried, RATES) is None
    assert following({1.0: short(0.5), 3.0: short(0.9), 1 / 3: short(0.1)}, RATES) is None


def test_a_larger_rate_has_to_score_higher_and_a_smaller_one_not_lower() -> None:
    """Of .5 measured on 400 samples one standard error is .025."""
    for rate, errors in ((3.0, 3.0), (1 / 3, -1.0)):
        for score, expected in ((0.5 + errors * 0.025 - 0.001, 1.0), (0.5 + errors * 0.025 + 0.001, rate)):
            tried = {1.0: short(0.5), rate: short(score, loss=0.4)}
            assert chosen(tried, exact=False, held_out=400) == expected
    assert chosen({1.0: short(-0.5), 3.0: short(-0.4)}, exact=True, held_out=0) == 3.0


def test_rates_are_told_apart_by_the_held_out_loss() -> None:
    """As measured of a hundred layers after 50 steps."""
    tried = {1.0: short(0.422, loss=1.469), 1 / 3: short(0.407, loss=1.428), 1 / 9: short(0.351, loss=1.583)}
    assert best_of(tried) == 1 / 3
    assert chosen(tried, exact=False, held_out=800) == 1 / 3
    at_chance = {1.0: short(0.5, loss=0.6932), 1 / 3: short(0.5, loss=0.6931)}
    assert (best_of(at_chance), chosen(at_chance, exact=False, held_out=200)) == (1 / 3, 1.0)
    assert best_of({1.0: short(0.5, loss=math.nan), 3.0: short(0.1, loss=9.0)}) == 3.0


def test_healthy_gradients_come_before_any_score() -> None:
    tried = {1.0: short(0.9, "dead"), 1 / 3: short(0.5)}
    assert best_of(tried) == 1 / 3
    assert chosen(tried, exact=False, held_out=400) == 1 / 3
