"""The tutorial's scripts exactly as published, through the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.keras
PUBLISHED = Path(__file__).parents[2] / "examples" / "published"


SEEDED = "import random\nimport numpy\nrandom.seed({0})\nnumpy.random.seed({0})\n"
"""What Python runs before a script: the published ones have no seed, and one draw in thousands leaves every bound."""


def run_check(folder, script, *options, seed=0):
    """Run `unvanish check` in a folder; return (exit code, stdout, stderr, the JSON record or None)."""
    facts = folder / "facts.json"
    (folder / "before").mkdir(exist_ok=True)
    (folder / "before" / "sitecustomize.py").write_text(SEEDED.format(seed))
    path = os.pathsep.join(filter(None, [str(folder / "before"), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "unvanish", "check", str(script), "--json", str(facts), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONPATH": path},
    )
    return (
        done.returncode,
        done.stdout,
        done.stderr,
        json.loads(facts.read_text())["record"] if facts.exists() else None,
    )


def codes(record, severity=None):
    return {f["code"]: f for f in record["findings"] if severity in (None, f["severity"])}


def assert_sick(code, out, record):
    assert code == 1
    assert record["verdict"] == "vanishing"
    finding = codes(record, "error")["GF101"]
    assert 1 / finding["evidence"]["transmission_per_layer"] == pytest.approx(4.2, rel=0.15, abs=0)
    assert finding["evidence"]["saturated_share"] == 0.0
    assert record["observation"]["forecast"]["transmission_per_layer"] == pytest.approx(0.236, rel=0.05, abs=0)
    assert {"dense"} <= set(codes(record)["GF303"]["layers"])
    assert "VANISHING" in out.upper()
    assert "4." in out


def assert_improved(code, record):
    assert code == 0
    assert record["verdict"] == "healthy"
    assert "GF101" not in codes(record)
    growth = codes(record, "note")["GF102"]
    assert growth["evidence"]["transmission_per_layer"] == pytest.approx(1.2, rel=0.08, abs=0)
    assert 12 < growth["evidence"]["fatal_depth"] < 60


def test_the_sick_network_vanishes(tmp_path):
    code, out, _, record = run_check(tmp_path, PUBLISHED / "sick.py")
    assert_sick(code, out, record)


def test_the_improved_network_grows_harmlessly(tmp_path):
    code, _, _, record = run_check(tmp_path, PUBLISHED / "improved.py")
    assert_improved(code, record)


def test_the_lost_indentation_is_pythons_own_syntax_error(tmp_path):
    pasted = "\n".join(line.strip() for line in (PUBLISHED / "sick.py").read_text().splitlines())
    (tmp_path / "pasted.py").write_text(pasted)
    code, _, err, record = run_check(tmp_path, tmp_path / "pasted.py")
    assert code == 3
    assert record is None
    assert "IndentationError: expected an indented block after 'for' statement on line 13" in err
    assert "line 14" in err


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_both_verdicts_are_right_every_time(tmp_path, seed):
    code, out, _, record = run_check(tmp_path, PUBLISHED / "sick.py", seed=seed)
    assert_sick(code, out, record)
    code, _, _, record = run_check(tmp_path, PUBLISHED / "improved.py", seed=seed)
    assert_improved(code, record)
