"""The import contracts hold, and each one can break."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "pyproject.toml"
CONTRACTS = tomllib.loads(CONFIG.read_text())["tool"]["importlinter"]["contracts"]

BAD_IMPORTS = [
    ("rooms", "core/network.py", "import unvanish.theory"),
    ("rooms", "theory/__init__.py", "from unvanish import rules"),
    ("rooms", "spec/build.py", "import unvanish.theory"),
    ("rooms", "watching/session.py", "import unvanish.keras"),
    ("rooms", "keras/__init__.py", "def late():\n    from unvanish import rules"),
    ("rooms", "torch/__init__.py", "import unvanish.keras"),
    ("rooms", "torch/__init__.py", "def late():\n    from unvanish import rules"),
    ("rooms", "script/__init__.py", "import unvanish.report"),
    ("rooms", "report/__init__.py", "import unvanish.api"),
    ("rooms", "script/__init__.py", "import unvanish.jobs"),
    ("rooms", "new_room/__init__.py", ""),
    ("adapters-see-no-threshold", "keras/__init__.py", "import unvanish.theory"),
    ("adapters-see-no-threshold", "torch/look.py", "import unvanish.theory"),
    ("adapters-see-no-threshold", "watching/session.py", "import unvanish.rules"),
    ("rules-see-no-tensor", "rules/__init__.py", "import unvanish.watching"),
    ("rules-see-no-tensor", "rules/__init__.py", "import unvanish.torch"),
    ("rooms", "cures/cure.py", "import unvanish.rules"),
    ("rooms", "trial/search.py", "import unvanish.report"),
    ("cures-and-trials-see-records", "cures/table.py", "import unvanish.watching"),
    ("cures-and-trials-see-records", "trial/search.py", "import unvanish.keras"),
    ("trials-are-handed-cures", "trial/search.py", "import unvanish.cures.table"),
    ("reporters-compute-nothing", "report/__init__.py", "import unvanish.theory"),
    ("frameworks", "rules/__init__.py", "def late():\n    import torch"),
    ("frameworks", "script/__init__.py", "import tensorflow.keras"),
    ("frameworks", "jobs/pool.py", "import keras"),
    ("ray-in-one-place", "jobs/pool.py", "import ray"),
    ("ray-in-one-place", "cli/cure.py", "def late():\n    from ray import init"),
    ("light-rooms", "core/network.py", "import rich.table"),
    ("light-rooms", "spec/build.py", "import click"),
    ("light-rooms", "torch/look.py", "import matplotlib"),
    ("testing-is-for-tests", "rules/__init__.py", "from unvanish import testing"),
]
"""(contract, file of the package, a line that it must not allow)."""


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the package in the folder."""
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache", "--no-logo", f"--config={CONFIG}", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_contracts_hold() -> None:
    done = lint(ROOT / "src")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_contract_has_a_way_to_break() -> None:
    assert {contract for contract, _, _ in BAD_IMPORTS} == {contract["id"] for contract in CONTRACTS}


@pytest.mark.parametrize(("contract", "file", "line"), BAD_IMPORTS)
def test_contract_can_break(tmp_path: Path, contract: str, file: str, line: str) -> None:
    shutil.copytree(ROOT / "src" / "unvanish", tmp_path / "unvanish", ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "unvanish" / file
    target.parent.mkdir(exist_ok=True)
    with target.open("a") as source:
        source.write(f"\n{line}\n")
    done = lint(tmp_path, f"--contract={contract}")
    name = next(entry["name"] for entry in CONTRACTS if entry["id"] == contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{name} BROKEN" in done.stdout or "new_room" in done.stdout
