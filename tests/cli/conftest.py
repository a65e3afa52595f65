"""A `check_script` that runs nothing, so that the command line is tested without a framework."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Diagnosis
from unvanish.script.check import _LIVE
from unvanish.script.outcome import ScriptRun
from unvanish.watching.session import Plan, Progress


class Called:
    """What `check_script` was called with."""

    plan: Plan
    arguments: tuple[str, ...]
    ignore: Sequence[str]
    live: bool
    times = 0


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Called]:
    """Return a function that sets what the script run gives; the working directory is empty and colours are off."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    def gives(diagnosis: Diagnosis | None, outcome: str = "enough", **fields: Any) -> Called:
        record = Called()
        folder = tmp_path / ".unvanish" / "train"
        folder.mkdir(parents=True, exist_ok=True)

        def check_script(
            path: Path, argv: Sequence[str], *, plan: Plan, progress: Progress, ignore: Sequence[str]
        ) -> tuple[ScriptRun, Diagnosis | None]:
            record.plan, record.arguments, record.ignore, record.live = plan, tuple(argv), ignore, _LIVE.get()
            record.times += 1
            progress("training", 1, 2)
            run = ScriptRun(script=path, outcome=outcome, folder=folder, output=folder / "output.txt")  # type: ignore[arg-type]
            return replace(run, **fields), diagnosis

        monkeypatch.setattr("unvanish.api.check_script", check_script)
        return record

    return gives


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the HTML report a word: drawing takes a second."""
    monkeypatch.setattr("unvanish.report.html.render_html", lambda diagnosis: f"<p>{diagnosis.verdict}")


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """Return a device that is always full; one of our own where that can be made: broken code could replace it."""
    device = tmp_path / "full"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        device.open("wb").close()
    except OSError:
        device = Path("/dev/full")
    if not device.exists():
        pytest.skip("this system has no full device")
    return device
