"""`unvanish forecast SCRIPT`: told apart from a description, its exit codes, its limits said; without a framework."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.cli.main import run
from unvanish.core import document
from unvanish.core.observation import DataInfo, LossInfo, Observation, OptimizerInfo
from unvanish.core.outlook import Outlook
from unvanish.core.recording import Recording
from unvanish.errors import ScriptError
from unvanish.script.outcome import ScriptRun
from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network

TUTORIAL = build("dense(64, sigmoid)*11, dense(1, sigmoid)")
SEEN = Observation(
    network=replace(TUTORIAL, framework="Keras 3"),
    profiles=(),
    recording=Recording(layers=(), sizes=(), steps=(), losses=(), rows={}),
    optimizer=OptimizerInfo(name="Adam", family="adam", learning_rate=1e-3),
    loss=LossInfo(kind="binary_crossentropy"),
    data=DataInfo(samples=None, batch_size=10, input_second_moment=2.0, input_cross_moment=0.5),
)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "train.py"
    path.write_text("print('no training here')\n")
    return path


@pytest.fixture
def seen(script: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Let every script be about to train SEEN; what is put into the dictionary changes how it ends."""
    given: dict[str, object] = {}

    def look(path: Path, argv: list[str], plan: object, *_: object) -> ScriptRun:
        given.update(argv=argv, plan=plan)
        return ScriptRun(**{"script": path, "outcome": "enough", "observation": SEEN, **given.get("run", {})})  # type: ignore[dict-item]

    monkeypatch.setattr("unvanish.script.check.look", look)
    return given


def test_its_own_data_and_batches_count(seen: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", "train.py", "--json", "facts.json", "-q", "--fit", "2", "--", "--depth", "12"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "Keras 3 · train.py, before its first step · its own weights · measured inputs, 64 features" in out
    assert "cross-entropy of the sigmoid output, the script's own" in out
    assert seen["argv"] == ["--depth", "12"]
    assert seen["plan"].fit == 2  # type: ignore[attr-defined]
    found = document.decode(Path("facts.json").read_bytes(), Outlook)
    assert found.forecast == forecast_network(SEEN.network, batch_size=10, second_moment=2.0, cross_moment=0.5)
    assert (found.title, found.initialiser, found.inputs, found.notes) == ("train.py", "", "measured", ())


def test_what_limits_it_is_said(seen: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    trained = [
        replace(layer, initializer="GlorotUniform", kernel=replace(layer.kernel, mean=0.2))
        for layer in SEEN.network.layers
        if layer.kernel is not None
    ]
    network = replace(SEEN.network, layers=(SEEN.network.layers[0], *trained))
    less = replace(SEEN, network=network, loss=LossInfo(kind="mean_squared_error"), data=DataInfo(samples=None))
    seen["run"] = {"observation": replace(less, left_out=("Judge: trained by the same optimizer",))}
    assert run(["forecast", "train.py"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "12 of 12 kernels are not as their initialiser draws them (dense_1, dense_2, dense_3, ...)" in out
    assert "as if their entries were independent" in out
    assert "the inputs are not known before the first step: taken as uniform on (0, 1)" in out
    assert "the script's loss is mean squared error, where the forecast assumes cross-entropy of the sigmoid" in out
    assert "Judge: trained by the same optimizer" in out


def test_logits_count_with_the_loss_that_reads_them(
    seen: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    logits = replace(build("dense(64, sigmoid)*11, dense(1)"), framework="PyTorch")
    loss = LossInfo(kind="binary_crossentropy", from_logits=True)
    seen["run"] = {"observation": replace(SEEN, network=logits, loss=loss)}
    assert run(["forecast", "train.py", "--json", "facts.json", "-q"]) == 1
    assert "cross-entropy of the sigmoid output, the script's own" in " ".join(capsys.readouterr().out.split())
    found = document.decode(Path("facts.json").read_bytes(), Outlook)
    assert found.forecast == forecast_network(TUTORIAL, batch_size=10, second_moment=2.0, cross_moment=0.5)


def test_a_script_that_never_trains(script: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", str(script), "-q"]) == 3
    err = capfd.readouterr().err
    assert "ended without a training that could be looked at" in err
    assert "unvanish forecast " in err


def test_a_script_that_is_not_there_is_no_description(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", "other.py"]) == 2
    assert "other.py" in capsys.readouterr().err
    without = script.rename("train")
    assert run(["forecast", str(without), "-q"]) == 3


def test_an_interrupted_script(seen: dict[str, object]) -> None:
    error = ScriptError("train.py was interrupted", found="", hint="")
    seen["run"] = {"outcome": "interrupted", "observation": None, "error": error}
    assert run(["forecast", "train.py"]) == 130


@pytest.mark.parametrize(
    "arguments", [["--init", "he_normal"], ["--input", "normal"], ["--features", "3"], ["--batch", "8"]]
)
def test_what_a_script_brings_by_itself_is_refused(
    arguments: list[str], script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["forecast", str(script), *arguments]) == 2
    assert f"{arguments[0]} says nothing" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--fit", "2"], ["--", "--epochs"]])
def test_what_a_description_does_not_have_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", "dense(4)*3", *arguments]) == 2
    assert "a description is not run" in capsys.readouterr().err


@pytest.mark.keras
def test_the_tutorials_script_for_real(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import subprocess
    import sys

    sick = Path(__file__).parents[2] / "examples" / "sick.py"
    facts = tmp_path / "facts.json"
    command = [sys.executable, "-m", "unvanish", "forecast", str(sick), "--json", str(facts)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stderr
    found = document.decode(facts.read_bytes(), Outlook)
    assert found.forecast.log10_first_over_last == pytest.approx(-6.95, rel=0.03, abs=0)  # the tutorial's own -6.96
    assert found.batch_size == 32
    assert found.notes == ()
    assert np.isclose(found.input_second_moment, 1 / 3, rtol=0.05, atol=0)
