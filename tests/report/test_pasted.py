"""What is pasted into a question: one picture of any record, and its text as Markdown."""

from __future__ import annotations

import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cured import cured
from runs import broken_run, numbers, write_run

import unvanish
from unvanish.api import forecast_spec
from unvanish.core.recording_file import read
from unvanish.core.run_comparison import RunComparison
from unvanish.report.image import draw_image
from unvanish.report.markdown import to_markdown
from unvanish.testing.diagnoses import healthy, sick
from unvanish.testing.hostile import hostile


def records(folder: Path) -> dict[str, object]:
    run = read(broken_run(folder / "run"))
    other = read(write_run(folder / "other", numbers(3, 4)))
    return {
        "diagnosis": sick(),
        "hostile": hostile(),
        "cure": cured(),
        "comparison": unvanish.compare(sick(), healthy()),
        "forecast": forecast_spec("dense(64, sigmoid)*11, dense(1)", depth="usual"),
        "recording": run,
        "runs": RunComparison(before=run, after=other, version="0.1.0"),
    }


@pytest.mark.parametrize("kind", ["diagnosis", "hostile", "cure", "comparison", "forecast", "recording", "runs"])
def test_every_kind_of_record_has_its_picture(kind: str, tmp_path: Path) -> None:
    record = records(tmp_path)[kind]
    png, svg = draw_image(record, ".png"), draw_image(record, ".svg")
    assert png is not None
    assert svg is not None
    assert png[0][:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[0][16:24])
    assert width == pytest.approx(1180, rel=0.01, abs=0)
    assert 300 < height < 2500
    assert ElementTree.fromstring(svg[0]).tag == "{http://www.w3.org/2000/svg}svg"
    assert png[1] == svg[1] != ""


def test_a_recording_without_a_sample_has_none(tmp_path: Path) -> None:
    assert draw_image(read(write_run(tmp_path / "run", numbers(3, 0))), ".png") is None


@pytest.mark.parametrize("text", ["one\n  two", "a ``` fence ````\n````` and a longer one", "", "`"])
def test_nothing_in_the_text_ends_the_block(text: str) -> None:
    first, *lines, last = to_markdown(text).splitlines()
    fence = first.removesuffix("text")
    assert set(fence) == {"`"}
    assert last == fence
    assert lines == (text.splitlines() or [""])
    assert not any(line.strip().startswith(fence) for line in lines)


def test_the_picture_stands_above_and_its_words_are_only_words() -> None:
    found = to_markdown("text", "a folder/a picture.png", "raw [x](y) *not* <b>")
    assert found.startswith(r"![raw \[x\](y) \*not\* \<b\>](<a folder/a picture.png>)")
    assert found.endswith("```text\ntext\n```\n")
