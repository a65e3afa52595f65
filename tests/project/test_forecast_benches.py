"""The benches of the forecast run: a few recipes each, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unvanish.spec.build import build

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


@pytest.mark.torch
def test_the_arm_of_dks_is_right_where_its_assumption_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orthogonal linear layers keep q = 1 on the way; the package is not needed for their means, which are 1."""
    monkeypatch.syspath_prepend(str(BENCH))
    from data import dks_signal
    from data.drawn import gradient_norms

    network = build("dense(64, linear)*6, dense(64)", initialiser="orthogonal", features=64)
    monkeypatch.setattr(dks_signal, "means", lambda _: (1.0, 1.0))
    found = dks_signal.log10_first_over_last(network, 1.0)
    norms = gradient_norms(network, 64, 1, "normal", 0)
    drawn = norms[:, 0] - norms[:, -1]
    assert found == pytest.approx(drawn.mean(), rel=0, abs=0.02)  # decades; of every draw, too
    assert np.abs(drawn - found).max() < 0.05


def test_speed_is_measured() -> None:
    table = printed("forecast_speed.py", "--quick")
    assert "us a layer" in table
    assert "unvanish forecast" in table


@pytest.mark.soak
@pytest.mark.keras
def test_the_tutorials_networks_are_measured() -> None:
    table = printed("tutorial_forecast.py", "--seeds", "2")
    assert table.count("every layer's mean within the band") == 4
