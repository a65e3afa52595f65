"""`unvanish check`: what goes where, and which exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from unvanish.cli.main import run
from unvanish.core import document
from unvanish.core.diagnosis import Diagnosis
from unvanish.errors import ScriptError
from unvanish.testing.diagnoses import healthy, sick, undecided

pytestmark = pytest.mark.usefixtures("no_pictures")

Gives = Callable[..., Any]
FAILED = ScriptError("train.py failed", found="line 3", numbers={"training steps seen": 2}, hint="repair it")


def no_room(**_: object) -> str:
    raise OSError(28, "No space left on device")


def with_severity(*severities: str) -> Diagnosis:
    """Return a healthy diagnosis with one finding of each severity."""
    one = sick().findings[0]
    return replace(healthy(), findings=tuple(replace(one, severity=severity) for severity in severities))


def test_report_on_stdout_rest_on_stderr(called: Gives, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    called(sick(), suspended=("ModelCheckpoint", "CSVLogger"), notes=("cannot write x",))
    assert run(["check", "train.py"]) == 1
    out, err = capfd.readouterr()
    assert "VANISHING" in out
    assert "report: .unvanish/train/report.html" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert (tmp_path / ".unvanish" / "train" / "report.html").read_text() == "<p>vanishing"
    assert "note: cannot write x\nnote: not run, because they write files: ModelCheckpoint, CSVLogger\n" in err
    assert "VANISHING" not in err


def test_quiet_writes_nothing_but_the_report(called: Gives, capfd: pytest.CaptureFixture[str]) -> None:
    called(healthy(), suspended=("ModelCheckpoint",), notes=("cannot write x",))
    assert run(["check", "train.py", "--quiet"]) == 0
    out, err = capfd.readouterr()
    assert "HEALTHY" in out
    assert err == ""


def test_options_reach_the_run(called: Gives) -> None:
    record = called(healthy())
    arguments = ["check", "train.py", "--steps", "7", "--fit", "2", "--ignore", "gf303", "--", "--epochs", "3", "-q"]
    assert run(arguments) == 0
    assert (record.plan.steps, record.plan.fit, record.arguments) == (7, 2, ("--epochs", "3", "-q"))
    assert (list(record.ignore), record.live) == (["GF303"], False)
    assert run(["check", "train.py", "-v", "--steps", "all", "--ignore", "GF101,dead-units"]) == 0
    assert record.plan.steps > 10**6
    assert (list(record.ignore), record.live) == (["GF101", "GF202"], True)
    assert run(["check", "train.py"]) == 0
    assert (record.plan.steps, record.plan.fit, record.arguments) == (None, 1, ())


@pytest.mark.parametrize(
    ("diagnosis", "fail_on", "code"),
    [
        (with_severity(), "note", 0),
        (with_severity("error"), "error", 1),
        (with_severity("error"), "never", 0),
        (with_severity("warning", "note"), "error", 0),
        (with_severity("warning", "note"), "warning", 1),
        (with_severity("note"), "warning", 0),
        (with_severity("note"), "note", 1),
        (undecided(), "error", 4),
        (undecided(), "never", 4),
    ],
)
def test_exit_code_of_the_verdict(called: Gives, diagnosis: Diagnosis, fail_on: str, code: int) -> None:
    called(diagnosis)
    assert run(["check", "train.py", "--fail-on", fail_on]) == code


@pytest.mark.parametrize(("outcome", "code"), [("raised", 3), ("exited", 3), ("interrupted", 130)])
def test_a_script_that_failed_in_training_is_still_judged(
    called: Gives, outcome: str, code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = 'Traceback (most recent call last):\n  File "train.py", line 3\nValueError: no\n'
    called(healthy(), outcome, error=FAILED, traceback=text, tail=("Epoch 1/5", "loss: 0.69"))
    assert run(["check", "train.py", "--json", "facts.json"]) == code
    out, err = capfd.readouterr()
    assert "HEALTHY" in out
    assert document.decode((tmp_path / "facts.json").read_bytes(), Diagnosis) == healthy()
    assert err.endswith(
        f"the last lines that train.py wrote (all of them: {tmp_path}/.unvanish/train/output.txt):\n"
        f"  | Epoch 1/5\n  | loss: 0.69\n\n{text}\n"
        "error: train.py failed\n  found:  line 3\n  training steps seen: 2\n  try:    repair it\n"
    )


def test_a_script_that_never_trained(called: Gives, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    called(None, "finished", error=FAILED)
    assert run(["check", "train.py", "--json", "facts.json", "-q"]) == 3
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"error: {FAILED}\n")
    assert not (tmp_path / "facts.json").exists()


def test_json_file_and_html_file(called: Gives, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    called(sick())
    (tmp_path / "old.html").write_text("old")
    (tmp_path / "link.html").symlink_to("old.html")
    assert run(["check", "train.py", "--json", "fäcts.json", "--html", "link.html"]) == 1
    facts = json.loads((tmp_path / "fäcts.json").read_text(encoding="utf-8"))
    assert (facts["schema"], facts["kind"], facts["record"]["verdict"]) == (1, "Diagnosis", "vanishing")
    assert (tmp_path / "old.html").read_text() == "<p>vanishing"
    assert (tmp_path / "link.html").is_symlink()
    assert not (tmp_path / ".unvanish" / "train" / "report.html").exists()
    assert "report: link.html" in " ".join(capfd.readouterr().out.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == [".unvanish", "fäcts.json", "link.html", "old.html"]


def test_json_on_stdout_is_all_of_stdout(called: Gives, capfd: pytest.CaptureFixture[str]) -> None:
    called(sick())
    assert run(["check", "train.py", "--json", "-"]) == 1
    assert document.decode(capfd.readouterr().out, Diagnosis) == sick()


def test_nowhere_to_keep_the_report(called: Gives, capfd: pytest.CaptureFixture[str]) -> None:
    called(sick(), folder=None)
    assert run(["check", "train.py"]) == 1
    assert "report:" not in capfd.readouterr().out


# --- wrong usage -----------------------------------------------------------------------------------------------------


def parts(err: str) -> list[str]:
    """Return the lines of an error in four parts: what, found, one number or more, try."""
    lines = err.splitlines()
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("  found:  ")
    assert len(lines) >= 4
    assert lines[-1].startswith("  try:    ")
    return [lines[0][7:], lines[1][10:], *(line.strip() for line in lines[2:-1]), lines[-1][10:]]


@pytest.mark.parametrize("option", ["--json", "--html"])
@pytest.mark.parametrize(
    ("path", "found"),
    [("none/facts", "No such file or directory"), ("folder", "it is a folder"), ("a_file/facts", "Not a directory")],
)
def test_unwritable_file_is_said_before_the_run(
    called: Gives, tmp_path: Path, option: str, path: str, found: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a_file").touch()
    record = called(sick())
    assert run(["check", "train.py", option, path]) == 2
    folder = (tmp_path / path).parent
    hint = "name a file in a folder that exists and can be written"
    assert parts(capfd.readouterr().err) == [f"cannot write {path}", found, f"folder: {folder}", hint]
    assert record.times == 0


def test_disk_that_fills_up_loses_nothing(
    called: Gives, full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    called(sick())
    assert run(["check", "train.py", "-q", "--json", str(full)]) == 2
    out, err = capfd.readouterr()
    (kept,) = tmp_path.glob("unvanish-*/full")
    assert parts(err) == [
        f"cannot write {full}",
        f"No space left on device; kept as {kept} instead",
        f"bytes: {len(sick().to_json())}",
        "make room on the disk, or name a file elsewhere",
    ]
    assert document.decode(kept.read_bytes(), Diagnosis) == sick()
    assert "VANISHING" in out
    assert (tmp_path / ".unvanish" / "train" / "report.html").exists()


def test_default_report_that_cannot_be_written_leaves_the_exit_code(
    called: Gives, full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", no_room)
    called(sick())
    (tmp_path / ".unvanish" / "train" / "report.html").symlink_to(full)
    assert run(["check", "train.py", "-q"]) == 1
    assert parts(capfd.readouterr().err)[1] == "No space left on device"


def test_file_stays_as_it_was_when_writing_fails(
    called: Gives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    called(sick())
    (tmp_path / "facts.json").write_text("old")
    monkeypatch.setattr(Path, "write_bytes", full)
    assert run(["check", "train.py", "--json", "facts.json"]) == 2
    assert (tmp_path / "facts.json").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".unvanish", "facts.json"]


@pytest.mark.parametrize("steps", ["0", "-1", "many", "1.5", ""])
def test_steps_that_are_no_number(called: Gives, steps: str, capfd: pytest.CaptureFixture[str]) -> None:
    record = called(healthy())
    assert run(["check", "train.py", "--steps", steps]) == 2
    assert "neither a number of steps (1 or more) nor 'all'" in capfd.readouterr().err
    assert record.times == 0


def test_unknown_rule_to_ignore(called: Gives, capfd: pytest.CaptureFixture[str]) -> None:
    record = called(healthy())
    assert run(["check", "train.py", "--ignore", "GF1O1"]) == 2
    what, found, _, hint = parts(capfd.readouterr().err)
    assert what == "there is no rule 'GF1O1'"
    assert found.startswith("close to it: GF101")
    assert hint == "unvanish explain GF101"
    assert record.times == 0


@pytest.mark.parametrize(
    ("arguments", "what", "found"),
    [
        (["--json", "train.py"], "cannot write train.py", "it is the script itself"),
        (["--html", "./train.py"], "cannot write train.py", "it is the script itself"),
        (["--json", ""], "cannot write .", "it is a folder"),
        (["--html", "facts", "--json", "./facts"], "cannot write facts", "it is asked for twice"),
    ],
)
def test_files_that_a_report_must_not_be_written_to(
    called: Gives, tmp_path: Path, arguments: list[str], what: str, found: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.py").write_text("the script")
    record = called(sick())
    assert run(["check", "train.py", *arguments]) == 2
    assert parts(capfd.readouterr().err)[:2] == [what, found]
    assert (record.times, (tmp_path / "train.py").read_text()) == (0, "the script")


def test_a_page_is_not_for_standard_output(called: Gives, capfd: pytest.CaptureFixture[str]) -> None:
    record = called(sick())
    assert run(["check", "train.py", "--html", "-"]) == 2
    assert "--html takes a file" in capfd.readouterr().err
    assert record.times == 0


def test_a_name_that_no_file_can_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["check", "a" * 300 + ".py", "-q"]) == 2
    assert parts(capfd.readouterr().err)[1] == "File name too long"


def test_option_of_the_script_before_the_dashes(called: Gives, capfd: pytest.CaptureFixture[str]) -> None:
    called(healthy())
    assert run(["check", "train.py", "--epochs", "3"]) == 2
    err = capfd.readouterr().err
    assert "No such option" in err
    assert "unvanish check train.py -- --epochs 3" in err


def test_no_such_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").touch()
    assert run(["check", "trian.py", "-q"]) == 2
    assert parts(capfd.readouterr().err) == [
        "there is no script 'trian.py'",
        f"in {tmp_path}: train.py",
        "Python files there: 1",
        "unvanish check train.py",
    ]


def test_a_healthy_report_that_was_asked_for_is_named(called: Gives, capfd: pytest.CaptureFixture[str]) -> None:
    called(healthy())
    assert run(["check", "train.py", "--html", "mine.html"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "report: mine.html"
    assert run(["check", "train.py"]) == 0
    assert "report" not in capfd.readouterr().out
