"""The benches of the forecast run: a few recipes each, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def printed(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCH / name), *arguments], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.torch
def test_accuracy_is_measured_and_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    first = printed("forecast_accuracy.py", "--half", "refine", "--share", "700", "--json", str(kept))
    assert "refine half" in first
    assert "worst ten" in first
    assert kept.exists()
    tables = first[first.index("refine half") :]
    again = printed("forecast_accuracy.py", "--half", "refine", "--share", "700", "--json", str(kept))
    assert again[again.index("refine half") :] == tables


def test_speed_is_measured() -> None:
    table = printed("forecast_speed.py", "--quick")
    assert "us a layer" in table
    assert "unvanish forecast" in table


@pytest.mark.keras
def test_the_tutorials_networks_are_measured() -> None:
    table = printed("tutorial_forecast.py", "--seeds", "2")
    assert table.count("every layer's mean within the band") == 4
