"""`unvanish cure` from one end to the other, on the tutorial's sick network and on healthy ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unvanish

pytestmark = pytest.mark.keras
SMALL = {"depth": 3, "width": 8}
EXAMPLES = Path(__file__).parents[2] / "examples"


def cured_script(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run `unvanish cure sick.py` in a process of its own; return exit code, facts and text."""
    for name in ("sick.py", "data.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "unvanish", "cure", "sick.py", "--json", "facts.json", "-q", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    facts = tmp_path / "facts.json"
    assert facts.is_file(), done.stderr
    return done.returncode, json.loads(facts.read_text())["record"], done.stdout


def test_the_sick_network_with_learnable_labels_is_cured_by_a_small_change(tmp_path: Path) -> None:
    code, facts, text = cured_script(tmp_path)
    assert (code, facts["verdict"]) == (0, "cured"), text
    assert facts["prescription"]["invasiveness"] in ("initialisation only", "one word")
    arms = {arm["prescription"]["name"]: arm for arm in facts["evidence"]["arms"]}
    clip, untreated = arms["clip-gradient"], facts["evidence"]["baseline"]
    assert clip["transmission"] == pytest.approx(untreated["transmission"], rel=1e-3, abs=0)
    assert clip["verdict"] == untreated["verdict"] == "vanishing"
    assert any(note.startswith("clipping had no effect") for note in facts["notes"])
    page = (tmp_path / ".unvanish" / "sick" / "cure.html").read_text(encoding="utf-8")
    assert len(page) < 1_000_000
    assert all(f">{arm['prescription']['name']}" in page for arm in arms.values())
    assert "report: .unvanish/sick/cure.html" in text
    _as_steep_as_told(untreated)
    _chosen_from_the_same_trials(tmp_path, facts)
    assert_patch_gives_a_healthy_script(tmp_path, facts["patch"])
    made: dict[str, Any] = {}
    exec(facts["source"], made)
    sys.path.insert(0, str(tmp_path))
    try:
        from data import load  # type: ignore[import-not-found]

        x, y = load()
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("data", None)
    assert unvanish.check(made["build_model"](), x, y, steps=20).verdict == "healthy"


def _chosen_from_the_same_trials(folder: Path, facts: dict[str, Any]) -> None:
    """Ask for the row of clipping: nothing is trained anew, and the words are those of what is patched."""
    patch = folder / ".unvanish" / "sick" / "cure.patch"
    prescribed = patch.read_bytes()
    row = 1 + [arm["prescription"]["name"] for arm in facts["evidence"]["arms"]].index("clip-gradient")
    code, chosen, text = cured_script(folder, "--fix", str(row))
    assert (code, chosen["evidence"]) == (0, facts["evidence"]), "to the seconds"
    assert f"; by --fix {row} the patch is of what was not sufficient, global_clipnorm=1.0" in chosen["sentence"]
    assert "+model.compile(" in chosen["patch"]
    assert f"to change, by --fix {row}: global_clipnorm=1.0" in text
    assert f"from the trials of {facts['created'][:16].replace('T', ' ')}" in " ".join(text.split())
    kept = patch.read_bytes()
    code, _, text = cured_script(folder, "--fix", "7")
    assert code == 2
    assert "no patch: the table has" in text
    assert patch.read_bytes() == kept != prescribed
    patch.write_bytes(prescribed)


def _as_steep_as_told(arm: dict[str, Any]) -> None:
    """Compare the kernels' gradients with the factor per layer, which a rule took from the same probes."""
    rows = np.log10(np.asarray(arm["gradients"]["first"], dtype=float)[:, 1:-1])
    assert rows.shape[0] == len(arm["runs"])
    steps = [-np.polyfit(np.arange(row.size), row, 1)[0] for row in rows]
    assert np.median(steps) == pytest.approx(np.log10(arm["transmission"]), rel=0.05, abs=0)
    last = np.asarray(arm["gradients"]["last"], dtype=float)
    assert last.shape == (len(arm["runs"]), rows.shape[1] + 2)
    assert not np.array_equal(last, np.asarray(arm["gradients"]["first"], dtype=float))


def assert_patch_gives_a_healthy_script(folder: Path, patch: str) -> None:
    """Apply the patch that lies beside the report, and check the script that it gives."""
    kept = folder / ".unvanish" / "sick"
    assert (kept / "cure.patch").read_text() == patch
    assert "def build_model" in (kept / "cured_model.py").read_text()
    subprocess.run(["git", "apply", str(kept / "cure.patch")], cwd=folder, check=True)
    done = subprocess.run([sys.executable, "-m", "unvanish", "check", "sick.py", "-q"], cwd=folder, check=False)
    assert done.returncode == 0


@pytest.mark.soak
def test_random_labels_have_nothing_to_learn(tmp_path: Path) -> None:
    code, facts, text = cured_script(tmp_path, "--", "random")
    assert (code, facts["verdict"], facts["prescription"]) == (1, "nothing-to-learn", None), text


def test_a_healthy_network_has_nothing_to_cure_and_stays_as_it_is() -> None:
    from keras.ops import convert_to_numpy
    from looking import labelled, sick

    x, y = labelled("teacher")
    model = sick("tanh", depth=7, width=16)
    model.fit(x, y, epochs=1, verbose=0)
    kept = [convert_to_numpy(variable) for variable in (*model.variables, *model.optimizer.variables)]
    state = np.random.get_state()
    cure = unvanish.cure(model, x, y, steps=100)
    assert all(
        np.array_equal(old, convert_to_numpy(new))
        for old, new in zip(kept, (*model.variables, *model.optimizer.variables), strict=True)
    )
    assert all(np.array_equal(a, b) for a, b in zip(state, np.random.get_state(), strict=True))  # type: ignore[arg-type]
    assert (cure.verdict, cure.prescription, cure.patch, cure.source) == ("not-the-gradients", None, "", "")
    assert cure.record.healthy
    assert cure.evidence is not None
    assert cure.evidence.arms == ()
    assert "nothing to cure" in str(cure)
    with pytest.raises(unvanish.UnvanishError, match="there is no cured model"):
        _ = cure.model


def test_the_cured_model_is_fresh_compiled_and_healthy() -> None:
    from looking import labelled, sick

    x, y = labelled("teacher")
    cure = unvanish.cure(sick(depth=7, width=16), x, y, steps=100)
    assert cure.verdict == "cured", str(cure)
    first, again, other = cure.fresh(0), cure.fresh(0), cure.fresh(1)
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), again.get_weights(), strict=True))
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])
    assert cure.model is cure.model
    assert unvanish.check(cure.model, x, y, steps=20).verdict == "healthy"


def test_two_models_and_a_cure_side_by_side() -> None:
    from looking import labelled, sick

    x, y = labelled("teacher")
    before, after = sick(depth=7, width=16), sick("tanh", depth=7, width=16)
    kept = [weight.copy() for weight in before.get_weights()]
    found = unvanish.compare(before, after, x, y, steps=20)
    assert (found.before.verdict, found.after.verdict) == ("vanishing", "healthy")
    assert all(np.array_equal(old, new) for old, new in zip(kept, before.get_weights(), strict=True))
    assert found.went is not None
    assert "GF101" in {one.code for one in found.went}
    assert found.before == unvanish.compare(unvanish.check(before, x, y, steps=20), after, x, y, steps=20).before


def test_what_cannot_be_tried_is_told() -> None:
    import keras
    from looking import labelled

    class Own(keras.Model):
        def __init__(self, head: Any) -> None:
            super().__init__()
            self.hidden = [keras.layers.Dense(16, "sigmoid") for _ in range(9)]
            self.head = head

        def call(self, x: Any) -> Any:
            for layer in self.hidden:
                x = layer(x)
            return self.head(x)

    model = Own(keras.layers.Dense(1, "sigmoid"))
    model.compile("adam", "binary_crossentropy")
    x, y = labelled("teacher")
    model(x[:2])
    with pytest.raises(unvanish.UnvanishError, match="cannot be rebuilt, and not made a second time"):
        unvanish.cure(model, x, y)


@pytest.mark.torch
def test_a_torch_module_is_told_what_to_do() -> None:
    import torch

    with pytest.raises(unvanish.UnvanishError, match="cannot try cures on models of PyTorch"):
        unvanish.cure(torch.nn.Linear(2, 1), np.zeros((4, 2)), np.zeros(4))


NOTHING = np.zeros((0, 20), dtype="float32")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"seeds": "3"}, "seeds must be a whole number"),
        ({"seeds": 2}, "cannot tell a cure from luck"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"budget": "2m"}, "budget must be a number of seconds"),
        ({"budget": float("nan")}, "budget must be a number of seconds"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"progress": 3}, "progress cannot be called"),
        ({"x": None}, "there are no inputs"),
        ({"y": None}, "the labels are missing"),
        ({"x": np.zeros((1000, 5))}, "does not fit the input"),
        ({"x": np.full((1000, 20), "a")}, "x holds no numbers"),
        ({"y": np.zeros((1000, 3))}, "the loss cannot be computed"),
        ({"validation": 3}, "no pair"),
        ({"validation": (NOTHING, NOTHING[:, 0])}, "the validation data are empty"),
        ({"x": NOTHING[:0], "y": NOTHING[:0, 0]}, "the data are empty"),
        ({"x": np.zeros((1, 20)), "y": np.zeros(1)}, "nothing to compare trainings on"),
    ],
)
def test_bad_input_is_told_before_anything_is_tried(given: dict[str, Any], words: str) -> None:
    from looking import labelled, sick

    x, y = labelled("teacher")
    with pytest.raises(unvanish.UnvanishError, match=words) as told:
        unvanish.cure(sick(**SMALL), **{"x": x, "y": y, **given})
    assert told.value.found
    assert told.value.hint


@pytest.mark.parametrize("part", ["x", "y", "held out"])
def test_data_that_hold_nan_are_named(part: str) -> None:
    from looking import labelled, sick

    x, y = labelled("teacher")
    data = {"x": x.astype(float), "y": y.astype(float)}
    held = {name: values[:50].copy() for name, values in data.items()}
    spoilt = held["y"] if part == "held out" else data[part]
    spoilt.reshape(-1)[7] = np.nan
    cure = unvanish.cure(sick(**SMALL), data["x"], data["y"], validation=(held["x"], held["y"]), steps=5)
    assert cure.verdict == "not-the-gradients"
    assert cure.record.sentence.startswith(f"1 {'input values' if part == 'x' else 'labels'} are not finite")
    assert "inf" not in str(cure).replace("not finite", "")
