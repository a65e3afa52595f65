"""Recurrent scripts: what explodes is rescued, also by clipping alone; what forgets is not, and the table says so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from unvanish.core.evidence import Arm
from unvanish.curing import try_cures
from unvanish.keras.trial import trainer_of
from unvanish.trial.better import is_better
from unvanish.trial.cure import Cure
from unvanish.trial.plan import Plan

pytestmark = pytest.mark.keras
EXAMPLES = Path(__file__).parents[2] / "examples"


def cured(gain: float, optimizer: Any, target: str, *, steps: int = 100, without: tuple[str, ...] = ()) -> Cure:
    """Return the cure of a ReLU recurrence of this gain over 50 steps, whose last or first ones matter."""
    random = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    x = random.normal(size=(800, 50, 3)).astype("float32")
    y = x[:, -5:].mean(axis=(1, 2)) if target == "last" else x[:, 0, 0]
    drawn = keras.initializers.Orthogonal(gain)
    layer = keras.layers.SimpleRNN(24, activation="relu", recurrent_initializer=drawn)
    model = keras.Sequential([keras.Input((50, 3)), layer, keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    plan = Plan(steps=steps)
    return try_cures(trainer_of(model, x, (y / y.std())[:, None]), plan, lambda *_: None, without=without)


def clipped(cure: Cure) -> Arm:
    assert cure.evidence is not None
    return next(arm for arm in cure.evidence.arms if arm.label == "clip-gradient (global norm 1)")


def test_what_explodes_is_rescued_by_clipping_where_nothing_smaller_may_be_tried() -> None:
    cure = cured(1.5, keras.optimizers.SGD(0.1), "last", without=("orthogonal-recurrence", "learning-rate"))
    assert cure.record.diagnosis.verdict == "exploding"
    assert (cure.verdict, cure.prescription and cure.prescription.name) == ("cured", "clip-gradient"), str(cure)
    assert cure.evidence is not None
    assert is_better(cure.evidence, clipped(cure))
    assert clipped(cure).verdict == "healthy"
    assert all(run.score > -0.5 for run in clipped(cure).runs), "the targets have variance one"
    assert cure.evidence.baseline.stuck == len(cure.evidence.seeds)
    assert "global_clipnorm=1.0" in cure.source


def run(tmp_path: Path, name: str) -> tuple[int, dict[str, Any], str]:
    shutil.copy(EXAMPLES / name, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "unvanish", "cure", name, "--json", "facts.json", "-q"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    facts = tmp_path / "facts.json"
    assert facts.is_file(), done.stderr
    return done.returncode, json.loads(facts.read_text())["record"], done.stdout


@pytest.mark.soak
def test_the_exploding_script(tmp_path: Path) -> None:
    code, facts, text = run(tmp_path, "rnn_exploding.py")
    assert (code, facts["verdict"]) == (0, "cured"), text
    arms = {arm["prescription"]["name"]: arm for arm in facts["evidence"]["arms"]}
    # The orthogonal recurrence stands at the edge of too large a step: which seeds run away differs between processors,
    # and with them which of the two is prescribed.
    assert facts["prescription"]["name"] in ("orthogonal-recurrence", "clip-gradient"), text
    for name in ("clip-gradient", facts["prescription"]["name"]):
        assert arms[name]["verdict"] == "healthy", text
        assert all(run["score"] > -0.5 for run in arms[name]["runs"]), "the targets have variance one"
    assert all(run["stuck"] for run in facts["evidence"]["baseline"]["runs"])


@pytest.mark.soak
def test_the_script_that_forgets(tmp_path: Path) -> None:
    code, facts, text = run(tmp_path, "rnn_memory.py")
    assert (code, facts["verdict"], facts["prescription"]) == (1, "no-cure-helped", None), text
    assert facts["diagnosis"]["verdict"] == "vanishing"
    clip = next(arm for arm in facts["evidence"]["arms"] if arm["prescription"]["name"] == "clip-gradient")
    assert clip["verdict"] == "vanishing"
    assert all(run["stuck"] for run in clip["runs"]), text
    assert any(note.startswith("clipping had no effect") for note in facts["notes"]), text
