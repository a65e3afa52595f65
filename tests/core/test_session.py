"""Which steps of a training are sampled, and what is kept of them. (Session lives in watching/.)"""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unvanish.core.recording import LAYER_STATS
from unvanish.watching.session import Enough, Plan, Session


def session(plan: Plan, planned: int | None, shown: list | None = None) -> Session:
    return Session(plan, ["a", "b"], [4, 9], planned, lambda *step: shown.append(step) if shown is not None else None)


def rows(value: float) -> dict[str, tuple[float, float]]:
    return {stat: (value + i, -value) for i, stat in enumerate(LAYER_STATS)}


@pytest.mark.parametrize(
    ("steps", "planned", "limit"),
    [
        (None, None, 60),
        (None, 30, 30),
        (None, 200, 200),
        (None, 201, 60),
        (None, 100_000, 60),
        (500, None, 500),
        (500, 100, 100),
        (10, 100, 10),
        (500, 1000, 500),
    ],
)
def test_how_many_steps_are_seen(steps: int | None, planned: int | None, limit: int) -> None:
    assert Plan(steps=steps).limit(planned) == limit
    assert session(Plan(steps=steps), planned).limit == limit


@given(st.integers(1, 5000), st.integers(1, 100))
def test_sampled_steps(limit: int, samples: int) -> None:
    seen = session(Plan(steps=limit, samples=samples), None)
    wanted = [step for step in range(limit) if seen.wants(step)]
    assert wanted[: min(3, limit)] == list(range(min(3, limit)))
    assert wanted[-1] == limit - 1
    assert len(wanted) <= samples + 4
    assert len(wanted) >= min(limit, samples / 2)
    between = [b - a for a, b in itertools.pairwise(wanted)]
    assert max(between, default=0) <= seen.interval


def test_a_short_training_is_sampled_at_every_step() -> None:
    seen = session(Plan(), 40)
    assert all(seen.wants(step) for step in range(40))


def test_what_is_kept() -> None:
    seen = session(Plan(steps=5), None)
    for step in range(4):
        if step != 1:
            seen.add(step, 0.5 * step, rows(float(step)))
        seen.advance()
    recording = seen.recording()
    assert (recording.layers, recording.sizes) == (("a", "b"), (4, 9))
    assert (recording.steps, recording.losses, recording.total_steps) == ((0, 2, 3), (0.0, 1.0, 1.5), 4)
    assert recording.stats == LAYER_STATS
    for i, stat in enumerate(LAYER_STATS):
        assert recording.array(stat).tolist() == [[0.0 + i, 0.0], [2.0 + i, -2.0], [3.0 + i, -3.0]]


def test_a_recording_is_not_changed_by_later_steps() -> None:
    seen = session(Plan(steps=5), None)
    seen.add(0, 1.0, rows(1.0))
    early = seen.recording()
    seen.add(1, math.nan, rows(math.inf))
    seen.advance()
    assert (early.steps, early.total_steps, len(early.rows["movement"])) == ((0,), 0, 1)
    assert math.isnan(seen.recording().losses[1])
    assert seen.recording().array("gradient_norm")[1].tolist() == [math.inf, -math.inf]


def test_a_sample_that_lacks_a_statistic_is_refused() -> None:
    with pytest.raises(KeyError, match="movement"):
        session(Plan(), None).add(0, 1.0, {stat: (0.0, 0.0) for stat in LAYER_STATS if stat != "movement"})


def test_enough_and_progress() -> None:
    shown: list[tuple[str, int, int]] = []
    seen = session(Plan(steps=3), None, shown)
    states = []
    for _ in range(4):
        states.append(seen.enough)
        seen.advance()
    assert states == [False, False, False, True]
    assert shown == [("training", done, 3) for done in (1, 2, 3, 4)]


def test_enough_is_not_caught_by_a_script_that_catches_exceptions() -> None:
    assert not issubclass(Enough, Exception)
    assert issubclass(Enough, BaseException)


def test_a_training_of_unknown_length_is_sampled_to_its_end_ever_more_thinly() -> None:
    seen = session(Plan(steps=10**9, samples=40), None)
    taken = []
    for step in range(20_000):
        if seen.wants(step):
            seen.add(step, 0.5, rows(1.0))
            taken.append(step)
    assert 100 < len(taken) < 1000
    assert taken[-1] > 15_000
