"""`unvanish cure`: what it calls, where it writes, what it exits with. Nothing is trained here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from trials import FakeTrainer, Outcome, change, evidence, plain

from unvanish.cli.main import run
from unvanish.core.cured import Cured
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.patch import FileChange, Patch
from unvanish.errors import ScriptError
from unvanish.script.outcome import ScriptRun
from unvanish.testing import diagnoses
from unvanish.trial.cure import Cure
from unvanish.trial.plan import Plan
from unvanish.watching.session import Progress

WORD = change("swap-activation", variant="tanh")


def cured(word: str = "cured", *, cut: str = "", diagnosis: Diagnosis | None = None) -> Cured:
    prescribed = WORD if word == "cured" else None
    return Cured(
        verdict=word,  # type: ignore[arg-type]
        sentence="a sentence",
        prescription=prescribed,
        evidence=evidence((0.5, 0.5, 0.5), {WORD: (0.84, 0.85, 0.86)}),
        diagnosis=diagnosis or diagnoses.sick(),
        cut=cut,
        source="model = 1\n" if prescribed else "",
        title="train.py",
    )


class Called:
    plan: Plan
    fit: int
    fix: int | None
    jobs: int | None
    on: str | None
    reuse: bool
    arguments: tuple[str, ...]


@pytest.fixture
def gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Called]:
    """Return a function that sets what the cure of a script gives."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    def set_up(record: Cured | None, outcome: str = "enough", changes: Patch | None = None, **fields: Any) -> Called:
        called = Called()

        def cure_script(
            path: Path,
            argv: Sequence[str],
            *,
            plan: Plan,
            fit: int,
            fix: int | None,
            jobs: int | None,
            on: str | None,
            reuse: bool,
            progress: Progress,
            tell: Callable[[str], None],
        ) -> tuple[ScriptRun, Cure | None]:
            called.plan, called.fit, called.fix, called.jobs, called.on = plan, fit, fix, jobs, on
            called.reuse, called.arguments = reuse, tuple(argv)
            tell("what is known before")
            progress("learning rates", 1, 2)
            ran = replace(ScriptRun(script=path, outcome=outcome), **fields)  # type: ignore[arg-type]
            trainer = FakeTrainer({"": plain(), WORD.label: Outcome(0.8)})
            return ran, None if record is None else Cure(record, trainer, changes)

        monkeypatch.setattr("unvanish.curing.cure_script", cure_script)
        return called

    return set_up


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("cured", 0),
        ("optional", 0),
        ("nothing-to-learn", 1),
        ("no-cure-helped", 1),
        ("not-the-gradients", 1),
        ("undecided", 4),
    ],
)
def test_exit_codes(gives: Callable[..., Called], word: str, code: int) -> None:
    gives(cured(word))
    assert run(["cure", "train.py"]) == code


def test_nothing_to_cure_is_a_success(gives: Callable[..., Called]) -> None:
    gives(cured("not-the-gradients", diagnosis=diagnoses.healthy()))
    assert run(["cure", "train.py"]) == 0


def test_interrupted_and_failed(gives: Callable[..., Called], capsys: pytest.CaptureFixture[str]) -> None:
    gives(cured("undecided", cut="interrupted"))
    assert run(["cure", "train.py"]) == 130
    assert "interrupted: what was measured until then is shown" in capsys.readouterr().out
    gives(None, outcome="finished", error=ScriptError("train.py ended", hint="train"))
    assert run(["cure", "train.py"]) == 3
    assert "error: train.py ended" in capsys.readouterr().err


def test_what_it_is_called_with(gives: Callable[..., Called]) -> None:
    called = gives(cured())
    assert run(["cure", "train.py", "--budget", "2m", "--seeds", "5", "--steps", "300", "--fit", "2", "--", "-x"]) == 0
    assert called.plan == Plan(seeds=5, steps=300, seconds=120.0)
    assert (called.fit, called.jobs, called.on, called.arguments) == (2, None, None, ("-x",))
    run(["cure", "train.py", "--jobs", "4", "--on", "ray:127.0.0.1:6379"])
    assert (called.jobs, called.on) == (4, "ray:127.0.0.1:6379")


@pytest.mark.parametrize(("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("1.5h", 5400.0)])
def test_budgets(gives: Callable[..., Called], text: str, seconds: float) -> None:
    called = gives(cured())
    run(["cure", "train.py", "--budget", text])
    assert called.plan.seconds == seconds


@pytest.mark.parametrize(
    "bad", [["--budget", "soon"], ["--budget", "0"], ["--seeds", "2"], ["--steps", "0"], ["--jobs", "0"]]
)
def test_wrong_usage(gives: Callable[..., Called], bad: list[str]) -> None:
    gives(cured())
    assert run(["cure", "train.py", *bad]) == 2


def test_json(gives: Callable[..., Called], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gives(cured())
    assert run(["cure", "train.py", "--json", "facts.json"]) == 0
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert (facts["kind"], facts["record"]["verdict"]) == ("Cured", "cured")
    assert facts["record"]["evidence"]["arms"][0]["runs"][0]["score"] == 0.84
    assert "CURED" in capsys.readouterr().out
    assert run(["cure", "train.py", "--json", "-", "-q"]) == 0
    assert json.loads(capsys.readouterr().out) == facts


def test_the_page_is_written_beside_the_output(
    gives: Callable[..., Called], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").mkdir()
    gives(cured(), folder=tmp_path / "kept")
    assert run(["cure", "train.py"]) == 0
    page = (tmp_path / "kept" / "cure.html").read_text(encoding="utf-8")
    assert "CURED" in page
    assert 'id="ablation"' in page
    assert "\nreport: kept/cure.html\n" in capsys.readouterr().out
    assert run(["cure", "train.py", "--html", "elsewhere.html"]) == 0
    assert (tmp_path / "elsewhere.html").read_text(encoding="utf-8") == page


def test_a_page_that_cannot_be_written_loses_nothing(
    gives: Callable[..., Called], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gives(cured(), folder=tmp_path / "gone")
    assert run(["cure", "train.py", "--json", "facts.json"]) == 2
    written = capsys.readouterr()
    assert "CURED" in written.out
    assert "error: cannot write" in written.err
    assert (tmp_path / "facts.json").is_file()
    assert run(["cure", "train.py", "--html", "-"]) == 2
    assert run(["cure", "train.py", "--html", "no/page.html"]) == 2


def test_from_python_it_shows_and_saves_itself(tmp_path: Path) -> None:
    cure = Cure(cured(), FakeTrainer({"": plain(), WORD.label: Outcome(0.8)}))
    assert cure.save(tmp_path / "cure.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "CURED" in cure._repr_html_()


BEFORE, AFTER = b"model = 1\r\nfit(model)\r\n", b"model = 2\r\nfit(model)\r\n"
DIFF = b"--- a/train.py\n+++ b/train.py\n@@ -1,2 +1,2 @@\n-model = 1\r\n+model = 2\r\n fit(model)\r\n"


@pytest.fixture
def patched(gives: Callable[..., Called], tmp_path: Path) -> Called:
    """Let the cure have a patch of `train.py`, which is there as it was run."""
    (tmp_path / "train.py").write_bytes(BEFORE)
    (tmp_path / ".unvanish" / "train").mkdir(parents=True)
    change = FileChange(path=str(tmp_path / "train.py"), name="train.py", before=BEFORE, after=AFTER)
    changes = Patch(files=(change,), home=str(tmp_path))
    record = replace(cured(), patch=changes.text)
    return gives(record, changes=changes, folder=tmp_path / ".unvanish" / "train")


def test_patch_and_source_lie_beside_the_report(
    patched: Called, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cure", "train.py"]) == 0
    kept = tmp_path / ".unvanish" / "train"
    assert (kept / "cure.patch").read_bytes() == DIFF
    assert (kept / "cured_model.py").read_text() == "model = 1\n"
    out = capsys.readouterr().out
    assert "    -model = 1\n    +model = 2\n" in out
    assert "patch: .unvanish/train/cure.patch   (to apply it: git apply .unvanish/train/cure.patch)" in out
    assert (tmp_path / "train.py").read_bytes() == BEFORE
    assert not (tmp_path / "train.py.orig").exists()


def test_diff_prints_the_diff_alone(patched: Called, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["cure", "train.py", "--diff"]) == 0
    told = capfdbinary.readouterr()
    assert told.out == DIFF
    assert b"CURED" in told.err
    assert (tmp_path / "train.py").read_bytes() == BEFORE


def test_apply_writes_the_script_and_keeps_what_it_was(
    patched: Called, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cure", "train.py", "--apply"]) == 0
    assert (tmp_path / "train.py").read_bytes() == AFTER
    assert (tmp_path / "train.py.orig").read_bytes() == BEFORE
    assert "applied: train.py   (as it was: train.py.orig)" in capsys.readouterr().out


def test_apply_refuses_a_file_that_was_changed(
    patched: Called, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.py").write_bytes(b"something else\n")
    assert run(["cure", "train.py", "--apply"]) == 2
    assert (tmp_path / "train.py").read_bytes() == b"something else\n"
    told = capsys.readouterr()
    assert "train.py is not patched" in told.err
    assert "the file was changed since it was run" in told.err
    assert "CURED" in told.out


def test_a_patch_that_was_asked_for_and_is_not_there(gives: Callable[..., Called], tmp_path: Path) -> None:
    kept = tmp_path / ".unvanish" / "train"
    kept.mkdir(parents=True)
    (kept / "cure.patch").write_text("of an earlier run")
    gives(cured(), folder=kept)
    assert run(["cure", "train.py"]) == 0
    assert not (kept / "cure.patch").exists()
    assert [run(["cure", "train.py", option]) for option in ("--diff", "--apply")] == [2, 2]
    called = gives(cured("optional"))
    assert run(["cure", "train.py", "--apply"]) == 0, "there is nothing to write"
    assert run(["cure", "train.py", "--fix", "7"]) == 2
    assert called.fix == 7


def test_a_row_that_gives_no_patch_leaves_what_is_kept(
    gives: Callable[..., Called], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / ".unvanish" / "train"
    kept.mkdir(parents=True)
    for name in ("cure.patch", "cured_model.py"):
        (kept / name).write_text("of an earlier run")
    gives(replace(cured(), no_patch="the table has 1 rows"), folder=kept)
    assert run(["cure", "train.py", "--fix", "2"]) == 2
    assert {(kept / name).read_text() for name in ("cure.patch", "cured_model.py")} == {"of an earlier run"}
    assert "no patch: the table has 1 rows" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "shown"), [((), True), (("-v",), True), (("-q",), False)])
def test_what_is_known_before_the_trials_is_told_before_them(
    gives: Callable[..., Called], options: tuple[str, ...], shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    gives(cured())
    run(["cure", "train.py", *options])
    assert ("note: what is known before\n" in capsys.readouterr().err) is shown


def test_only_what_asks_for_a_patch_takes_earlier_trials(patched: Called) -> None:
    run(["cure", "train.py"])
    assert not patched.reuse
    for asked in (["--fix", "1"], ["--diff"], ["--apply"]):
        run(["cure", "train.py", *asked])
        assert patched.reuse


@pytest.mark.parametrize("bad", [["--diff", "--apply"], ["--diff", "--json", "-"], ["--fix", "0"], ["--fix", "99"]])
def test_wrong_usage_of_patches(patched: Called, bad: list[str]) -> None:
    assert run(["cure", "train.py", *bad]) == 2
