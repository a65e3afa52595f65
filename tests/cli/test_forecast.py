"""`unvanish forecast`: exit codes, what it prints, and the number itself against backpropagation."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from rich.console import Console

from unvanish.api import forecast_spec
from unvanish.cli.main import run
from unvanish.core import document
from unvanish.core.outlook import Outlook
from unvanish.report.forecast_text import print_outlook
from unvanish.report.forecast_words import facts

TUTORIAL = "dense(64, sigmoid)*11, dense(1)"


def backpropagated(seed: int) -> float:
    """Return log10 of the first kernel's gradient norm over the last's, in float64: glorot, U(0, 1), 64 features."""
    rng = np.random.default_rng(seed)
    x = [rng.uniform(size=(32, 64))]
    shapes = [(64, 64)] * 11 + [(64, 1)]
    weights = [rng.uniform(-1, 1, size=s) * math.sqrt(6 / sum(s)) for s in shapes]
    for w in weights[:-1]:
        x.append(1 / (1 + np.exp(-(x[-1] @ w))))
    out = x[-1] @ weights[-1]
    d = (1 / (1 + np.exp(-out)) - rng.integers(0, 2, size=out.shape)) / 32
    norms = []
    for h, w in zip(reversed(x), reversed(weights), strict=True):
        norms.append(float(np.linalg.norm(h.T @ d)))
        d = (d @ w.T) * h * (1 - h)
    return math.log10(norms[-1] / norms[0])


def test_the_tutorials_network_against_backpropagation() -> None:
    found = forecast_spec(TUTORIAL).forecast
    measured = [backpropagated(seed) for seed in range(8)]
    assert found.log10_first_over_last == pytest.approx(np.mean(measured), rel=0.03, abs=0)
    assert found.log10_sd is not None
    assert max(abs(m - np.mean(measured)) for m in measured) < 4 * found.log10_sd


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([TUTORIAL], 1, "VANISHES"),
        (["dense(64, relu)*12, dense(1)", "--init", "he_normal"], 0, "FINE"),
        (["(dense(64), batch_norm, relu)*40, dense(1)", "--init", "he_normal"], 1, "EXPLODES"),
        (["dense(64, relu)*12, dense(1)", "--init", "lecun_normal"], 4, "the signal changes by 10^("),
        (["dense(4, tanh)"], 4, "two layers with weights"),
        (["dense(4), softmax, dense(1)"], 4, "does not model softmax_1"),
    ],
)
def test_exit_codes(arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", *arguments]) == code
    out = capsys.readouterr().out
    assert said in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", "dense(64, sigmiod)"]) == 2
    assert "\n            " in capsys.readouterr().err
    assert run(["forecast", TUTORIAL, "--init", "best"]) == 2
    assert run(["forecast", TUTORIAL, "--json", "no/such/folder.json"]) == 2
    assert run(["forecast"]) == 2


@pytest.mark.parametrize(
    ("spec", "width"), [(TUTORIAL, 40), ("dense(4, linear)*2000, dense(1)", 80), ("residual(dense(4), relu)*9", 60)]
)
def test_narrow_and_in_ascii(spec: str, width: int) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_outlook(forecast_spec(spec, initialiser="torch"), Console(file=stream, width=width))
    stream.seek(0)
    text = stream.read()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= width


def test_what_it_prints(snapshot: object, capsys: pytest.CaptureFixture[str]) -> None:
    run(["forecast", TUTORIAL])
    assert capsys.readouterr().out == snapshot


def test_a_safe_depth_that_the_verdict_seems_to_contradict_is_explained() -> None:
    found = forecast_spec(TUTORIAL)
    assert "the rest" not in dict(facts(found))["safe depth"]
    for safe in (None, found.kernels + 1):
        told = dict(facts(replace(found, forecast=replace(found.forecast, safe_depth=safe))))["safe depth"]
        assert told.endswith("the rest is made at the first and the last layer")


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize(
    "spec", [TUTORIAL, "(dense(64), batch_norm, relu)*10, dense(1)", "dense(64, relu)*3, dense(1)", "dense(64, elu)*9"]
)
def test_the_curve_at_every_width(
    spec: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    run(["forecast", spec, "--depth", "3..300"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= max(width, 38)  # the table has a width of its own
    assert ("◉" in text) == (width >= 30)
    assert "here, " in text


def test_the_curve(snapshot: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", TUTORIAL, "--depth", "5..200"]) == 1
    assert capsys.readouterr().out == snapshot


@pytest.mark.parametrize("depth", ["5", "5..", "200..5", "5..5", "1..9", "5..5001", "-5..9", "5...9", "a..b"])
def test_depths_that_are_refused(depth: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", TUTORIAL, "--depth", depth]) == 2
    assert "as in 5..200" in capsys.readouterr().err


def test_a_network_without_a_repeated_block_has_no_other_depth(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", "dense(4), dense(3), dense(1)", "--depth", "5..9"]) == 2
    assert "no block of layers that is repeated" in capsys.readouterr().err


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "facts.json"
    assert run(["forecast", TUTORIAL, "--json", str(file)]) == 1
    capsys.readouterr()
    assert run(["forecast", TUTORIAL, "--json", "-"]) == 1
    assert capsys.readouterr().out.strip() == file.read_text().strip()
    assert document.decode(file.read_text(), Outlook) == forecast_spec(TUTORIAL)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from unvanish.cli.main import run; run(['forecast', 'dense(4)*3']);"
        "heavy = 'keras', 'tensorflow', 'torch', 'jax', 'matplotlib', 'libcst', 'jinja2';"
        "print([module for module in heavy if module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
