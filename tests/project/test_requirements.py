"""A missing backend skips; UNVANISH_REQUIRE makes it fail; the last lines say what ran."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INI = "[pytest]\nmarkers =\n    keras: needs TensorFlow\n    browser: needs a browser\n"
MARKED = """
import pytest

@pytest.mark.keras
def test_marked():
    import tensorflow

@pytest.mark.browser
def test_browser():
    pass

@pytest.mark.browser
def test_own_skip():
    pytest.skip("a reason of its own")

def test_plain():
    pass
"""


def run_suite(folder: Path, required: str, *, hidden: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run two small test files under a copy of our conftest, in a Python that does not find the hidden modules."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "pytest.ini").write_text(INI)
    (folder / "test_marked.py").write_text(MARKED)
    (folder / "test_whole_file.py").write_text("import tensorflow\n\ndef test_needs_it():\n    pass\n")
    code = f"import sys; sys.modules.update(dict.fromkeys({hidden!r})); import pytest; sys.exit(pytest.main(['-ra']))"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "UNVANISH_REQUIRE": required, "PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_missing_needs_skip_and_are_named(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "", hidden=("tensorflow",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 4 skipped" in done.stdout
    assert "tensorflow is not installed: tensorflow" in done.stdout
    assert "browser is not on the path: chromium, chromedriver" in done.stdout


def test_required_needs_fail(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "tensorflow,browser", hidden=("tensorflow",))
    assert done.returncode != 0
    assert "error" in done.stdout
    assert "1 passed" not in done.stdout


def test_required_browser_fails_while_keras_passes(tmp_path: Path) -> None:
    for name in ("keras", "tensorflow"):
        (tmp_path / f"{name}.py").write_text("")  # stands for the real one, which takes seconds to import
    done = run_suite(tmp_path, "browser")
    assert done.returncode == 1
    assert "3 passed" in done.stdout
    assert "2 errors" in done.stdout
    assert "UNVANISH_REQUIRE=browser: Skipped: browser is not on the path" in done.stdout
    assert "tensorflow: 1 tests marked keras passed (keras " in done.stdout


def test_skip_of_its_own_fails_when_required(tmp_path: Path) -> None:
    for name in ("chromium", "chromedriver"):
        (tmp_path / name).write_text("#!/bin/sh\necho Chromium 1.0\n")
        (tmp_path / name).chmod(0o755)
    done = run_suite(tmp_path, "browser", hidden=("tensorflow",))
    assert done.returncode == 1
    assert "UNVANISH_REQUIRE=browser: Skipped: a reason of its own" in done.stdout
    assert "browser: 1 tests marked browser passed (Chromium 1.0)" in done.stdout


def test_unknown_requirement_is_refused(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "tensorflow,lynx", hidden=("tensorflow",))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "lynx" in done.stdout + done.stderr
