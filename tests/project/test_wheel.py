"""The wheel, built and installed in a clean environment without the repository, runs the demo."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from unvanish.cli.demo import NETWORKS

ROOT = Path(__file__).parents[2]
ELSEWHERE = ("-->", "unvanish #", "[#]")
"""Beginnings of lines that name paths or times, or stand for what is left out."""


def demo_of_the_readme() -> str:
    """Return the indented lines between the README's marks: what the demo printed."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.partition("<!-- demo output: begin -->")[2].partition("<!-- demo output: end -->")[0]
    return "\n".join(line[4:] for line in block.splitlines() if line.startswith("    "))


def without_numbers(text: str) -> list[str]:
    """Return the lines with their numbers, bars and white space taken out: these differ from machine to machine."""
    lines = (" ".join(re.sub(r"[-+]?[\d.]+(e[-+]?\d+)?|[█▏▎▍▌▋▊▉]+", "#", line).split()) for line in text.splitlines())
    return [line.replace("# #", "#") for line in lines if line and not line.startswith(ELSEWHERE)]


def test_the_readme_shows_every_network_and_both_cures() -> None:
    text = demo_of_the_readme()
    rows = {line.split()[0] for line in text.splitlines() if len(line.split()) > 6}
    assert set(NETWORKS) <= rows
    for told in ("✗ VANISHING", "✗ NOTHING-TO-LEARN", "✓ CURED", "note: clipping had no effect"):
        assert told in text


@pytest.mark.soak
@pytest.mark.keras
@pytest.mark.timeout(1200)
def test_the_installed_wheel_runs_the_demo(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "clean", with_pip=True)
    python, home = tmp_path / "clean" / "bin" / "python", tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "KERAS_BACKEND")}
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
    extra = "tensorflow-cpu" if sys.platform == "linux" and os.uname().machine == "x86_64" else "tensorflow"
    subprocess.run([*install, f"{wheel}[{extra}]"], check=True, capture_output=True, env=environment)
    demo = [python.parent / "unvanish", "demo"]
    done = subprocess.run(demo, cwd=home, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert str(ROOT) not in done.stdout
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if len(line.split()) > 6}
    assert rows["sick"] == rows["clipping"] == "vanishing"
    assert {rows[name] for name in ("improved", "relu", "leaky_relu", "elu", "tanh")} == {"healthy"}
    assert len(list((home / ".unvanish" / "demo").glob("*.html"))) == 20
    shown = set(without_numbers(done.stdout))
    assert [line for line in without_numbers(demo_of_the_readme()) if line not in shown] == []
