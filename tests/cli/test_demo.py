"""`unvanish demo`: what can be said before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from unvanish.cli.main import run


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
