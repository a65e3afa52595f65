"""The house rules that a machine can hold: sizes, docstrings, clean paths, exact pins, a complete wheel."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "unvanish"
FILE_LINES, FUNCTION_LINES = 400, 60

# Spelled in two parts, so that this file does not name them itself.
PRIVATE = re.compile(
    "|".join(
        ["/wo" + "rk/", "/ro" + "ot/", "/ho" + r"me/\w", "/opt/" + "pypi", "file:/" + "//[^<]", r"\.\./sh" + "ared"]
    )
    + r"|\b(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\.?\d*\b(?=[:/])"
    + r"|https?://[\w.-]+\.(?:internal|corp|lan|local)\b"
)


def tracked(*patterns: str) -> list[Path]:
    """Return the tracked files that still exist and match the patterns."""
    done = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def long_functions(source: str) -> Iterator[str]:
    """Yield the functions of more than FUNCTION_LINES lines, docstring included, decorators not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.name}: {lines} lines"


def test_no_file_is_too_long() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert {name: lines for name, lines in sizes.items() if lines > FILE_LINES and "bench/data" not in name} == {}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_is_documented_and_its_functions_are_short(path: Path) -> None:
    source = path.read_text()
    assert ast.get_docstring(ast.parse(source))
    assert list(long_functions(source)) == []


def test_that_the_length_of_functions_is_seen() -> None:
    body = "    x = 1\n" * FUNCTION_LINES
    assert list(long_functions(f"def f():\n{body}")) == [f"f: {FUNCTION_LINES + 1} lines"]
    assert list(long_functions(f"def f():\n{body[10:]}")) == []


def test_no_private_path_or_host_in_tracked_files() -> None:
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in PRIVATE.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    "text", ["/wo" + "rk/x", "/ho" + "me/me", "http://pypi." + "corp/simple", "10.1." + "2.3:80", "../sh" + "ared/A.md"]
)
def test_that_private_paths_are_seen(text: str) -> None:
    assert PRIVATE.search(text)


def test_links_of_the_pages_lead_somewhere() -> None:
    broken = []
    for page in tracked("*.md"):
        links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
        broken += [f"{page.relative_to(ROOT)}: {link}" for link in links if not (page.parent / link).exists()]
    assert broken == []


def test_every_dependency_is_pinned_exactly() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9A-Za-z.+]*", line)] == []
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [name for group in project["project"]["optional-dependencies"].values() for name in group]
    wanted = [*project["project"]["dependencies"], *extras, *project["dependency-groups"]["dev"]]
    names = {re.split(r"[<>=!~\[ ;]", wish)[0] for wish in [*wanted, *project["build-system"]["requires"]]}
    assert names <= {line.split("==")[0] for line in lines}


def test_wheel_holds_what_the_package_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {str(path.relative_to(ROOT / "src")) for path in tracked("src/unvanish")}
    wanted |= {f"unvanish/{path.relative_to(ROOT)}" for path in tracked("examples")}
    assert {"unvanish/py.typed", "unvanish/examples/sick.py"} <= wanted
    assert any(name.endswith((".html", ".j2")) for name in wanted)
    assert sorted(wanted - names) == []
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests", "bench", "docs"))]
