"""`unvanish demo`: what its table and its last lines say; that it runs is the wheel's test."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from unvanish.cli.demo import LEGEND, _numbers, command_words, demo
from unvanish.cli.main import run
from unvanish.testing.diagnoses import sick


def test_the_losses_say_that_they_are_not_those_of_the_report() -> None:
    """A training batch has another loss than the probe's batches: both are printed, so both are named."""
    losses = sick().observation.recording.losses
    assert f"{losses[0]:.2f} > {losses[-1]:.2f}" in _numbers(sick())
    assert "batch loss: of the first and the last training batch (the loss in a report is" in LEGEND


def test_the_next_command_is_one_that_the_shell_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    script = folder / "unvanish"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_words() == str(Path(".venv/bin/unvanish"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command_words() == str(script)
    monkeypatch.setenv("PATH", str(folder))
    assert command_words() == "unvanish"


def test_help_promises_what_was_measured() -> None:
    assert isinstance(demo, click.Command)
    text = " ".join(CliRunner().invoke(demo, ["--help"]).output.split())
    assert "takes about two minutes" in text


def test_a_file_is_no_folder_for_the_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").touch()
    assert run(["demo", "--output", "taken"]) == 2
    err = capfd.readouterr().err
    assert err.startswith("error: cannot make the folder taken\n  found:  File exists\n")
    assert "  try:    name a folder" in err
    assert "Traceback" not in err
