"""`unvanish compare`: saved facts of checks and cures side by side; what cannot be compared is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cured import cured
from runs import broken_run, numbers, write_run

import unvanish
from unvanish.cli.main import run
from unvanish.core import document
from unvanish.core.comparison import Comparison
from unvanish.core.recording_file import read
from unvanish.core.run_comparison import RunComparison
from unvanish.testing.diagnoses import healthy, sick


@pytest.fixture(autouse=True)
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    sick().save("before.json")
    healthy().save("after.json")
    cured().save("cure.json")


def test_two_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "before.json", "after.json", "--html", "page.html", "--json", "facts.json"]) == 0
    out = capsys.readouterr().out
    assert "before  ✗ VANISHING" in out
    assert "error[GF101]" in out.partition("went")[2].partition("came")[0]
    assert "B●" in out
    assert Path("page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    found = document.decode(Path("facts.json").read_bytes(), Comparison)
    assert found == unvanish.compare(sick(), healthy())


def test_facts_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "before.json", "after.json", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "Comparison"


def test_a_check_beside_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "before.json", "cure.json"]) == 0
    out = capsys.readouterr().out
    assert "train.py, swap-activation (tanh)" in out
    assert "findings: not compared" in out
    assert "of held-out samples and the probed batches (chance 0.693), not the same thing" in " ".join(out.split())


@pytest.mark.parametrize("file", ["cure.json", "pair.json"])
def test_report_renders_them_again(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    unvanish.compare(sick(), healthy()).save("pair.json")
    assert run(["report", file, "--html", "again.html", "--json", "again.json"]) == 0
    assert "B●" in capsys.readouterr().out
    assert Path("again.json").read_bytes() == Path(file).read_bytes()
    assert "before-after" in Path("again.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "error: cannot read the facts 'odd.json'"),
        ("{}", "error: odd.json holds no saved facts"),
        ("[1]", "error: odd.json holds no saved facts"),
        ("\x00", "error: odd.json holds no saved facts"),
        ("pair", "error: odd.json holds two networks already"),
    ],
)
def test_what_cannot_be_compared(content: str | None, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    if content == "pair":
        content = unvanish.compare(sick(), sick()).to_json()
    if content is not None:
        Path("odd.json").write_text(content)
    assert run(["compare", "before.json", "odd.json"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(told)
    assert "Traceback" not in err
    assert "  try:    " in err


def test_a_folder_that_is_not_there_is_told_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "before.json", "after.json", "--html", "no/page.html"]) == 2
    assert capsys.readouterr().out == ""


@pytest.fixture
def runs(tmp_path: Path) -> None:
    broken_run(tmp_path / "run-1")
    write_run(tmp_path / "run-2", numbers(5, 6, decades=0.1))


def test_two_recordings(runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "run-1", "run-2/recording.sqlite", "--html", "page.html", "--json", "pair.json"]) == 0
    out = capsys.readouterr().out
    assert "went    · step 0: VANISHING" in out
    assert "loss at step 0" in out
    found = document.decode(Path("pair.json").read_bytes(), RunComparison)
    assert found.after.to_json() == read(Path("run-2")).to_json()  # nan equals nothing
    assert run(["report", "pair.json", "--html", "again.html"]) == 0
    assert capsys.readouterr().out == out
    assert Path("again.html").read_bytes() == Path("page.html").read_bytes()


def test_recordings_that_were_written_as_json(runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "run-1", "run-2"]) == 0
    out = capsys.readouterr().out
    for name in ("run-1", "run-2"):
        assert run(["report", name, "-q", "--json", f"{name}.json"]) == 0
    assert run(["compare", "run-1.json", "run-2.json"]) == 0
    assert capsys.readouterr().out == out


@pytest.mark.parametrize("files", [("run-1", "before.json"), ("cure.json", "run-2")])
def test_a_recording_beside_something_else(
    runs: None, files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", *files]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: a recording can be compared with another recording alone\n  found:  ")
    assert f"{files[0]}: a {'recording' if files[0] == 'run-1' else 'cure'}" in written.err


def test_recordings_that_cannot_be_read(runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run-3").mkdir()
    Path("run-3/recording.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 4000)
    Path("run-4").mkdir()
    lacking = json.loads(read(Path("run-2")).to_json())
    lacking["record"]["steps"].append(1)
    Path("uneven.json").write_text(json.dumps(lacking))
    del lacking["record"]["rows"]["gradient_norm"]
    Path("lacking.json").write_text(json.dumps(lacking))
    earlier = json.loads(read(Path("run-1")).to_json())
    del earlier["record"]["events"][0]["code"]
    Path("earlier.json").write_text(json.dumps(earlier))
    for name, told in (
        ("run-3", "is not a recording that can be read"),
        ("run-4", "there is no recording 'run-4'"),
        ("lacking.json", "lacks numbers that a recording has"),
        ("uneven.json", "lacks numbers that a recording has"),
        ("earlier.json", "names no rule for what was found"),
    ):
        assert run(["compare", "run-2", name]) == 2
        err = capsys.readouterr().err
        assert told in err.splitlines()[0]
        assert "Traceback" not in err


def test_a_forecast_has_no_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", "dense(8)*3", "--json", "outlook.json"]) == 0
    capsys.readouterr()
    assert run(["compare", "before.json", "outlook.json"]) == 2
    assert "outlook.json holds a forecast" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["before.json", "after.json"])
def test_what_is_compared_is_not_written_over(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path(source).read_bytes()
    assert run(["compare", "before.json", "after.json", "--html", source]) == 2
    assert "it is what is read" in capsys.readouterr().err
    assert Path(source).read_bytes() == before
