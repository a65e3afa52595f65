"""A module that is not there: a file of the user's own is never said to be a package to install alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from unvanish.script.run import run_script

INSTALL = f"{sys.executable} -m pip install parts"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a script two folders down that imports a module; the working directory is another one."""
    for folder in (tmp_path / "project" / "scripts", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = tmp_path / "project" / "scripts" / "train.py"
    path.write_text("import parts\n")
    return path


def hint(script: Path, command: str = "check") -> str:
    error = run_script(script, [], {}, command).error  # type: ignore[arg-type]
    assert error is not None
    return error.hint


@pytest.mark.parametrize("command", ["check", "replay", "watch"])
@pytest.mark.parametrize("name", ["parts.py", "parts/__init__.py"])
@pytest.mark.parametrize("folder", ["project", "elsewhere"])
def test_a_file_that_lies_where_python_does_not_look_is_named(
    script: Path, tmp_path: Path, folder: str, name: str, command: str
) -> None:
    file = tmp_path / folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    found = file if name == "parts.py" else file.parent
    where = f"PYTHONPATH={tmp_path / folder} in front of the command"
    assert hint(script, command) == f"{found} is there, where Python does not look: {where}"
    file.unlink()
    assert "is there" not in hint(script, command)


def test_of_a_run_that_is_replayed_the_file_comes_first(script: Path) -> None:
    told = hint(script, "replay")
    assert told.startswith("parts.py beside train.py, as it was when the run was watched; if parts is a package")
    assert told.endswith(INSTALL)


def test_of_a_script_that_never_ran_the_package_comes_first(script: Path) -> None:
    told = hint(script)
    assert told.startswith(f"the script runs in the Python of unvanish: {INSTALL}; ")
    assert told.endswith("if parts is a file of yours, it is looked for beside train.py")


def test_a_part_of_a_package_that_is_there_is_nothing_to_install(script: Path) -> None:
    script.write_text("import json.nothing_of_that_name\n")
    assert "pip install" not in hint(script)
