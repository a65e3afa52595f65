"""The public names are a decision; `import unvanish` stays free of frameworks and of heavy modules."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import unvanish

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "Comparison",
    "Cure",
    "Diagnosis",
    "Forecast",
    "Recording",
    "UnvanishError",
    "__version__",
    "check",
    "compare",
    "cure",
    "forecast",
    "load",
    "plot_grad_flow",
    "watch",
}
FRAMEWORKS = ("jax", "keras", "tensorflow", "torch")
HEAVY = ("jinja2", "matplotlib", "numpy", "rich", "scipy", "sklearn")


def forbidden_after(code: str, path: Path | None = None) -> list[str]:
    """Return which frameworks and heavy modules a fresh Python holds after running the code."""
    names = (*FRAMEWORKS, *HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(set({names!r}) & set(sys.modules)))"],
        cwd=path,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1].split()


def test_public_names() -> None:
    assert set(unvanish.__all__) == PUBLIC
    assert [name for name in PUBLIC if not hasattr(unvanish, name)] == []


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert unvanish.__version__ == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_import_is_free_of_frameworks_and_light() -> None:
    assert forbidden_after("import unvanish") == []


def test_that_test_can_fail(tmp_path: Path) -> None:
    (tmp_path / "unvanish.py").write_text("import rich\n")
    (tmp_path / "torch.py").write_text("")
    assert forbidden_after("import unvanish, torch", tmp_path) == ["rich", "torch"]


def test_help_imports_no_framework() -> None:
    code = "import sys; sys.argv = ['unvanish', '--help']\ntry:\n    import unvanish.cli.main as m; m.main()\n"
    assert not {*FRAMEWORKS, "jinja2", "matplotlib", "numpy"}.intersection(
        forbidden_after(code + "except SystemExit: pass")
    )


def test_our_own_warnings_are_errors() -> None:
    import warnings

    with pytest.raises(UserWarning, match="ours"):
        warnings.warn_explicit("ours", UserWarning, "file.py", 1, module="unvanish.core.network")
