"""`look` puts it together: the script's output apart, sites as seen from here, and nothing lost."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from unvanish.errors import UsageError
from unvanish.script import captures
from unvanish.script.check import look, shown_live
from unvanish.script.outcome import ScriptRun
from unvanish.watching.session import Plan, Progress

Factory = Callable[[], object]


def quiet(what: str, done: int, total: int) -> None:
    """Show nothing."""


@pytest.fixture
def toy(home: Path, monkeypatch: pytest.MonkeyPatch, toy_capture: Callable[[Path], object]) -> Path:
    """Let `look` watch toyframe."""

    def factories(plan: Plan, progress: Progress, script: Path, captures: object) -> Mapping[str, Factory]:
        assert (script.is_absolute(), plan.fit) == (True, 2)
        return {"toyframe": lambda: toy_capture(script)}

    monkeypatch.setattr("unvanish.script.check.factories", factories)
    return home


see = functools.partial(look, plan=Plan(fit=2), progress=quiet)


def test_output_apart_and_sites_from_here(toy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (toy / "sub").mkdir()
    (toy / "sub" / "train.py").write_text(
        "import os, toyframe\nprint('loading')\nos.chdir('/')\ntoyframe.Layer('dense')\ntoyframe.Model().fit(2)\n"
    )
    seen = see(Path("sub/train.py"), [])
    assert (seen.outcome, seen.notes, seen.tail) == ("enough", (), ("loading",))
    assert seen.output == toy / ".unvanish" / "train" / "output.txt"
    assert (seen.sites["dense"].file, seen.sites["dense"].line) == ("sub/train.py", 4)
    assert seen.cost is not None
    assert seen.cost.total_seconds > 0
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


def test_sites_outside_stay_absolute(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import toyframe\ntoyframe.Layer('dense')\ntoyframe.Model().fit(2)\n")
    assert see(Path("../train.py"), []).sites["dense"].file == str(tmp_path / "train.py")


def test_live(toy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (toy / "train.py").write_text("print('loading')\n")
    with shown_live(True):
        seen = see(Path("train.py"), [])
    assert (seen.outcome, seen.output, seen.tail) == ("finished", None, ())
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "loading\n")


def test_a_locked_folder_and_a_full_disk_are_said(
    toy: Path, full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (toy / "train.py").write_text("print('loading')\nimport toyframe\ntoyframe.Model().fit(2)\n")
    (toy / ".unvanish").write_text("a file")
    seen = see(Path("train.py"), [])
    assert (seen.outcome, seen.tail) == ("enough", ("loading",))
    assert seen.notes == (f"cannot write .unvanish/train: Not a directory; kept in {seen.output.parent} instead",)  # type: ignore[union-attr]
    (toy / ".unvanish").unlink()
    (toy / ".unvanish" / "train").mkdir(parents=True)
    (toy / ".unvanish" / "train" / "output.txt").symlink_to(full)
    seen = see(Path("train.py"), [])
    assert (seen.outcome, seen.tail) == ("enough", ("loading",))
    (note,) = seen.notes
    assert note.startswith(f"cannot write {toy}/.unvanish/train/output.txt; the script's output goes on in")


def test_no_script_makes_no_folder(toy: Path) -> None:
    with pytest.raises(UsageError):
        see(Path("train.py"), [])
    assert list(toy.iterdir()) == []


def test_the_table_of_captures_imports_nothing_until_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made = captures.factories(Plan(), quiet, Path("/x/train.py"))
    assert list(made) == [name for name, _ in captures.CAPTURES] == ["keras", "torch"]
    monkeypatch.setattr(captures.importlib, "import_module", lambda name: Module(name))
    assert made["keras"]() == ("unvanish.keras.capture", Plan(), quiet, Path("/x/train.py"))


class Module:
    """Stand in for an adapter's module."""

    def __init__(self, name: str) -> None:
        self.name = name

    def Capture(self, *arguments: object) -> tuple[object, ...]:  # noqa: N802  # a class in the real one
        return (self.name, *arguments)


def test_exit_codes(ended_run: ScriptRun) -> None:
    assert ended_run.exit_code is None
    assert ScriptRun(script=Path("x"), outcome="interrupted").exit_code == 130
    assert ScriptRun(script=Path("x"), outcome="raised").exit_code == 3
    assert ScriptRun(script=Path("x"), outcome="refused", error=UsageError("x")).exit_code == 2
