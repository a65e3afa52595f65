"""The command line as a whole: help, version, lazy imports, pipes, interrupts, our own faults."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from unvanish import __version__
from unvanish.cli import main as command_line
from unvanish.cli.main import COMMANDS, EXAMPLES, main, run, unvanish
from unvanish.testing.diagnoses import healthy, sick

HEAVY = {"jax", "jinja2", "keras", "matplotlib", "rich", "scipy", "tensorflow", "torch", "unvanish.script.run"}


def python(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    options.setdefault("capture_output", True)
    return subprocess.run([sys.executable, "-c", code, *arguments], text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_help_shows_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for name in COMMANDS:
        assert f"\n  {name} " in text
    assert "unvanish check train.py -- --epochs 3" in text
    assert "130 interrupted" in text
    assert run(["-h"]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_says_what_the_table_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = unvanish.get_command(click.Context(unvanish), name)
    assert command is not None
    assert command.name == name
    assert COMMANDS[name][1].removesuffix(".") in (command.help or "").replace("\n", " ").replace("  ", " ")
    assert run([name, "--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"unvanish {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["check", "--help"], ["explain", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = "import sys\nfrom unvanish.cli.main import run\nrun(sys.argv[1:])\nprint(*sorted(sys.modules))"
    done = python(code, *arguments)
    assert HEAVY.isdisjoint(done.stdout.splitlines()[-1].split())


def test_that_this_test_can_fail() -> None:
    done = python("import sys, rich\nfrom unvanish.cli.main import run\nrun(['-h'])\nprint(*sorted(sys.modules))")
    assert HEAVY.intersection(done.stdout.splitlines()[-1].split()) == {"rich"}


def test_examples_in_the_help_are_commands_that_exist() -> None:
    for line in EXAMPLES.splitlines():
        if line.startswith("  unvanish "):
            assert line.split()[1] in COMMANDS


def test_no_command_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    written = capsys.readouterr()
    assert "Usage: unvanish" in written.out + written.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chekc", "train.py"], "No such command 'chekc'"),
        (["train.py"], "To check a script: unvanish check train.py"),
        (["check"], "Missing argument 'SCRIPT'"),
        (["check", "train.py", "--fail-on", "sometimes"], "'sometimes' is not one of"),
        (["report", "facts.json", "--stepps", "3"], "No such option"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    written = capsys.readouterr()
    assert said in written.err
    assert written.out == ""


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "unvanish", "explode"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "No such command 'explode'" in done.stderr


@pytest.fixture
def explodes(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    def explode(error: BaseException) -> None:
        def raises(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(command_line.unvanish, "main", raises)

    return explode


def test_interrupt_outside_a_script(
    explodes: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    explodes(KeyboardInterrupt())
    assert run(["explain"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_our_own_fault_is_never_a_finding(
    explodes: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    explodes(RuntimeError("oh"))
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith(
        f"error: unvanish itself failed\n  found:  RuntimeError: oh\n  version: {__version__}\n"
        "  try:    report this with the lines above; `--steps 1` may still give a first look\n"
    )


REPORT = "from unvanish.cli.main import main\nmain()\n"


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    return sick().save(tmp_path / "facts.json")


def test_a_reader_that_has_gone_is_no_error(facts: Path) -> None:
    command = f"'{sys.executable}' -m unvanish report '{facts}'; echo $? >&2"
    done = subprocess.run(["sh", "-c", f"({command}) | true"], capture_output=True, text=True, check=False)
    assert done.stderr == "0\n"


def shell(closed: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with standard streams that the shell closes before, for example `>&-`."""
    code = f'exec "$0" -m unvanish "$@" {closed}'
    run_it = ["sh", "-c", code, sys.executable, *arguments]
    return subprocess.run(run_it, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_error(facts: Path, closed: str) -> None:
    script = "import os, sys\nprint('here')\nopen('seen', 'w').write(str(os.fstat(1).st_mode))\nsys.exit(5)\n"
    (facts.parent / "train.py").write_text(script)
    for arguments, code in ((("report", facts.name), 0), (("explain", "GF101"), 0), (("check", "train.py"), 3)):
        done = shell(closed, *arguments, cwd=facts.parent)
        assert done.returncode == code
        assert "Traceback" not in done.stderr
        assert ("error: train.py called sys.exit" in done.stderr) == (code == 3 and "2>" not in closed)
        assert ("VANISHING" in done.stdout) == (arguments[0] == "report" and ">&-" not in closed.replace("2>&-", ""))
    assert (facts.parent / "seen").exists()
    assert "here" in (facts.parent / ".unvanish" / "train" / "output.txt").read_text()


def test_a_full_standard_output_is_said(facts: Path, full: Path) -> None:
    with full.open("w") as nowhere:
        done = python(REPORT, "report", str(facts), stdout=nowhere, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: cannot write standard output",
        "  found:  No space left on device",
        "  error number: 28",
        "  try:    make room where it is sent to, or write a file: --json FILE",
    ]


def test_an_ascii_terminal_gets_ascii(facts: Path) -> None:
    done = python(REPORT, "report", str(facts), env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "VANISHING" in done.stdout
    assert done.stdout.isascii()


def test_healthy_diagnosis_is_one_line(tmp_path: Path) -> None:
    done = python(REPORT, "report", str(healthy().save(tmp_path / "facts.json")))
    assert done.returncode == 0
    assert "HEALTHY" in done.stdout.splitlines()[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [("forecast", "bad("), ("forecast", "--none"), ("report", "none.json")])
def test_wrong_usage_has_its_code_where_nobody_hears_of_it(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "unvanish", *arguments], cwd=tmp_path, stderr=full, check=False)
    assert done.returncode == 2
