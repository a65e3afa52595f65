"""Labels without signal are told from a lag of the normalisation, and from not knowing: on ten seeds each."""

import pytest

keras = pytest.importorskip("keras")

import looking  # noqa: E402

from unvanish.watching.session import Plan  # noqa: E402

FIT = {"batch_size": 32, "validation_split": 0.2}


def verdict_of(diagnosis, code):
    for kind in ("findings", "clear", "undecided"):
        for verdict in getattr(diagnosis, kind):
            if verdict.code == code:
                return kind, verdict
    raise AssertionError(f"{code} gave no verdict")


def after(steps, labels, seed):
    x, y = looking.labelled(labels, seed)
    diagnosis = looking.look(looking.improved(), x, y, epochs=steps // 25, plan=Plan(steps=steps), **FIT)
    keras.backend.clear_session()
    return diagnosis


@pytest.mark.keras
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_after_125_steps_the_lag_is_named_and_the_labels_are_not_blamed(seed):
    diagnosis = after(125, "learnable", seed)
    assert verdict_of(diagnosis, "GF905")[0] == "findings"
    assert verdict_of(diagnosis, "GF901")[0] != "findings"
    assert diagnosis.verdict == "healthy"


@pytest.mark.keras
def test_after_125_steps_on_random_labels_the_power_is_stated():
    kind, verdict = verdict_of(after(125, "random", 0), "GF901")
    assert kind in ("findings", "undecided")
    assert kind == "findings" or "0.6" in verdict.reason


@pytest.mark.soak
@pytest.mark.keras
@pytest.mark.parametrize("seed", range(10))
def test_after_125_steps_always(seed):
    test_after_125_steps_the_lag_is_named_and_the_labels_are_not_blamed(seed)
    assert verdict_of(after(125, "random", seed), "GF901")[0] in ("findings", "undecided")


@pytest.mark.soak
@pytest.mark.keras
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("labels", "expected"), [("random", "findings"), ("learnable", "clear")])
def test_after_40_epochs_it_is_decided(labels, expected, seed):
    assert verdict_of(after(1000, labels, seed), "GF901")[0] == expected
