"""`unvanish compare`: saved facts of checks and cures side by side; what cannot be compared is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cured import cured

import unvanish
from unvanish.cli.main import run
from unvanish.core import document
from unvanish.core.comparison import Comparison
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
