"""The forecasts that the README shows are what the commands print: the words to the letter, the numbers nearly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unvanish.cli.main import run

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
DRAWN = re.compile(r"[█▏▎▍▌▋▊▉●◉│┤┄ ]+")
"""Bars, curves and white space: where they lie, the numbers say."""


def shown(name: str) -> str:
    block = README.partition(f"<!-- {name} output: begin -->\n")[2].partition(f"<!-- {name} output: end -->")[0]
    return "\n".join(line[4:] for line in block.splitlines())


def printed(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    run(["forecast", *arguments])
    return capsys.readouterr().out


def assert_same(text: str, expected: str) -> None:
    words = [[DRAWN.sub(" ", NUMBER.sub("#", part)).strip() for part in told.splitlines()] for told in (text, expected)]
    assert [line for line in words[0] if line] == [line for line in words[1] if line]
    found, known = ([float(number) for number in NUMBER.findall(told)] for told in (text, expected))
    assert found == pytest.approx(known, rel=0.05, abs=0)


def test_the_first_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command, _, output = shown("forecast").partition("\n\n")
    (spec,) = re.findall(r'^\$ unvanish forecast "(.*)"$', command)
    assert_same(output, printed([spec], monkeypatch, capsys))


def test_the_curve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (spec, depth) = re.findall(r'unvanish forecast "(.*)" --depth (\S+)', README)[0]
    whole = printed([spec, "--depth", depth], monkeypatch, capsys)
    (curve,) = (part for part in whole.split("\n\n") if "first/last gradient at" in part)
    assert_same(shown("depth"), curve)
