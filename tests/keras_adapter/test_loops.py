"""Every kind of loop gives the verdict and the numbers of fit, and is the loop that it would have been."""

import functools
import random
from pathlib import Path

import numpy as np
import pytest
from every_loop import BY_SGD, LOOPS, PATCHED, UNPROBED, UNTOLD, by_a_loop, kernels, looked, state
from loops import MADE, STEPS, by_batches, by_fit, sequential

from unvanish.diagnosing import diagnose
from unvanish.keras.capture import Capture
from unvanish.watching.session import Plan

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


def patched():
    """Return what a capture replaces, and whether it stands in the class itself."""
    return [(getattr(owner, name), name in vars(owner)) for owner, name in PATCHED]


@functools.cache
def seen_of(kind):
    """Return what a capture saw of this kind of loop, and what was patched before and after it."""
    before = patched()
    return looked(LOOPS[kind]), before, patched()


@pytest.fixture(scope="module")
def fits():
    return {name: looked(lambda name=name: by_fit(sequential(optimizer=name))).observation for name in ("adam", "sgd")}


@pytest.mark.parametrize("kind", LOOPS)
def test_every_loop_gives_the_verdict_and_the_numbers_of_fit(kind, fits):
    fitted = fits["sgd" if kind in BY_SGD else "adam"]
    seen, _, _ = seen_of(kind)
    found = seen.observation
    assert diagnose(found).verdict == diagnose(fitted).verdict == "vanishing"
    first, expected = found.profiles[0], fitted.profiles[0]
    if kind not in UNTOLD:
        assert first.loss == pytest.approx(expected.loss, rel=1e-4, abs=0)
        assert found.recording.losses == pytest.approx(fitted.recording.losses, rel=1e-4, abs=0)
    fields = ["gradient_norm", "gradient_rms", "weight_norm"]
    if kind not in UNPROBED:
        fields += ["transmission", "activation_transmission", "preactivation_gradient_norm", "correlation"]
        assert found.loss.kind == "binary_crossentropy" or kind == "train_step with its own loss"
        assert [p.step for p in found.profiles] == [0, STEPS]
    else:
        assert any("could not be computed again" in words for words in found.not_checked)
    for field in fields:
        known = kernels(first, field), kernels(expected, field)
        assert [v for v in known[0] if v] == pytest.approx([v for v in known[1] if v], rel=1e-4, abs=0), field
    assert found.recording.total_steps == STEPS
    for stat in ("gradient_norm", "update_norm", "weight_norm", "movement"):
        assert found.recording.array(stat) == pytest.approx(fitted.recording.array(stat), rel=2e-3, abs=0), stat
    assert [p.optimised for p in found.network.parameters] == [True] * 14
    assert {leaf.name for leaf in found.network.layers if leaf.kind != "input"} <= seen.sites.keys()


@pytest.mark.parametrize("kind", LOOPS)
def test_a_loop_that_is_looked_at_is_the_loop_it_would_have_been(kind):
    expected, draws = state(LOOPS[kind]()), (random.getstate(), np.random.get_state()[1].tolist())
    seen = looked(LOOPS[kind], steps=1000)
    assert seen.observation.recording.total_steps == STEPS
    assert state(MADE[-1]) == expected
    assert (random.getstate(), np.random.get_state()[1].tolist()) == draws


@pytest.mark.parametrize("kind", LOOPS)
def test_nothing_stays_patched(kind):
    _, before, after = seen_of(kind)
    assert after == before


def test_enough_ends_the_script_and_cannot_be_caught_for_long():
    steps = []

    def stubborn():
        for _ in range(3):
            try:
                by_a_loop()
            except BaseException:
                steps.append(1)

    seen = looked(stubborn, steps=2)
    assert seen.observation.recording.total_steps == 2
    assert len(steps) == 3


@pytest.mark.parametrize("train", [by_a_loop, by_batches])
def test_an_exception_keeps_what_was_measured(train):
    def broken():
        train()
        raise RuntimeError("the user's")

    seen = Capture(Plan(steps=100), lambda *_: None, Path(__file__))
    with pytest.raises(RuntimeError, match="the user's"), seen:
        broken()
    assert seen.observation.recording.total_steps == STEPS
    assert [p.step for p in seen.observation.profiles] == [0]


def test_the_second_training_is_looked_at_when_it_is_asked_for():
    def two():
        by_fit()
        by_a_loop()
        by_batches()

    seen = {number: looked(two, fit=number).observation for number in (1, 2, 3)}
    assert seen[1].network.name != seen[2].network.name
    for observation in seen.values():
        assert observation.loss.kind == "binary_crossentropy"
        assert observation.recording.total_steps == STEPS
    assert looked(two, fit=4).observation is None


def test_several_fits_of_one_model():
    model = sequential()

    def three():
        for _ in range(3):
            by_fit(model)

    start = looked(three, fit=3).observation.profiles[0]
    again = sequential()
    for _ in range(2):
        by_fit(again)
    expected = looked(lambda: by_fit(again)).observation.profiles[0]
    assert kernels(start, "gradient_norm") == pytest.approx(kernels(expected, "gradient_norm"), rel=1e-5, abs=0)
