"""The small parts of the reporters: inert text, numbers, bars, folds, rule pages, progress."""

from __future__ import annotations

import io
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from unvanish.report.bar import SHARES, bar, decades
from unvanish.report.fold import ENDS, LONGEST, WORST, fold
from unvanish.report.headline import headline
from unvanish.report.inert import HIDDEN, cells, crop, inert, place, sentence, shorten
from unvanish.report.numbers import counted, percent, plain, scientific, seconds
from unvanish.report.page import render_rule_page
from unvanish.report.progress import TerminalProgress
from unvanish.report.remedies import smallest_first
from unvanish.rules.judge import judge
from unvanish.testing.diagnoses import bare, deep, sick, undecided
from unvanish.testing.specimens import SPECIMENS


@given(st.text(), st.integers(4, 60))
def test_shortened_text_fits_and_cannot_steer(text: str, longest: int) -> None:
    import unicodedata

    for short in (shorten(text, longest), crop(text, longest), place(text, longest)):
        assert cells(short) <= longest
        assert not [c for c in short if unicodedata.category(c) in HIDDEN or c in "\n\t"]
        assert inert(short) == short or "…" in short


def test_what_is_cut() -> None:
    assert shorten("encoder/block_12/dense", 12) == "encoder/…nse"
    assert crop("encoder/block_12/dense", 12) == "encoder/blo…"
    assert place("/long/way/to/train.py", 12) == "…to/train.py"
    assert shorten("dense", 5) == "dense"
    assert shorten("a\x1b[31m\tb\r\nc\u202ed", 20) == "a?[31m b c?d"
    assert len(shorten("e" + "\u0301" * 5000, 20)) <= 80
    assert sentence("layer " + "x" * 100 + " shrinks") == "layer " + "x" * 40 + "…" + "x" * 19 + " shrinks"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.84e-9, "1.8e-09"), (0.0, "0"), (None, "-"), (math.nan, "nan"), (-math.inf, "-inf"), (1e-310, "1.0e-310")],
)
def test_scientific(value: float | None, text: str) -> None:
    assert scientific(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.98, "98 %"), (0.0, "0 %"), (1e-9, "<1 %"), (1.0, "100 %"), (0.9999, ">99 %"), (None, "-"), (math.nan, "-")],
)
def test_percent(value: float | None, text: str) -> None:
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.69314, "0.693"), (-12.13, "-12.1"), (2.3e-7, "2.3e-07"), (1234.5, "1234"), (0.0, "0"), (math.inf, "inf")],
)
def test_plain(value: float, text: str) -> None:
    assert plain(value) == text


def test_seconds_and_counts() -> None:
    assert [seconds(s) for s in (0.351, 4.13, 75.2)] == ["0.35 s", "4.1 s", "75 s"]
    assert [counted(1, "error"), counted(2, "error"), counted(2, "batch", "batches")] == [
        "1 error",
        "2 errors",
        "2 batches",
    ]


def test_scale_holds_all_numbers_and_labels_its_decades() -> None:
    scale = decades([1.8e-9, 0.1, 0.0, None, math.nan, math.inf])
    assert scale is not None
    assert (scale.low, scale.high) == (-9, -1)
    assert scale.position(1e-5) == pytest.approx(0.5, rel=1e-9, abs=0)
    assert [scale.position(v) for v in (0.0, math.nan, math.inf, 1e-300)] == [0, 0, 1, 0]
    assert scale.ticks(24) == "1e-9  1e-7  1e-5  1e-3  "
    assert decades([0.0, None, math.nan]) is None
    assert SHARES.ticks(12) == "0      100 %"


@given(st.integers(-320, 300), st.integers(1, 600), st.integers(8, 60))
def test_ticks_take_exactly_the_width(low: int, span: int, width: int) -> None:
    scale = decades([10.0 ** max(low, -320), 10.0 ** min(low + span, 300)])
    assert scale is not None
    assert len(scale.ticks(width)) == width


@given(st.floats(0, 1), st.integers(1, 60))
def test_bar_is_never_wider_than_its_room(position: float, width: int) -> None:
    assert 1 <= len(bar(position, width)) <= width


def test_bar_grows_in_eighths() -> None:
    assert [bar(p, 2) for p in (0, 0.25, 0.5, 0.75, 1)] == ["▏", "▌", "█", "█▌", "██"]


@given(st.integers(0, 400), st.lists(st.integers(-5, 500)))
def test_fold_keeps_order_ends_and_worst(size: int, worst: list[int]) -> None:
    shown = fold(size, worst)
    kept = [i for i in shown if i != "..."]
    assert kept == sorted(set(kept))
    if size <= LONGEST:
        assert shown == list(range(size))
        return
    assert {*range(ENDS), *range(size - ENDS, size), *[i for i in worst if 0 <= i < size][:WORST]} <= set(kept)
    gaps = [b - a for a, b in pairwise(kept)]
    assert shown.count("...") == sum(gap > 1 for gap in gaps)
    assert 2 not in gaps


PAGE = """Name the pattern in one sentence that is long enough to be wrapped at the width of an ordinary terminal.

What it measures
----------------
The slope `decades / layer`, *not* the norm:
see below.

  - the first item, which is long enough to need a second line when it is printed at eighty columns
  - the second

    chi = n Var(w) E f'^2

## Remedies

Change one word.
"""


def test_rule_page(snapshot: SnapshotAssertion) -> None:
    stream = io.StringIO()
    render_rule_page(PAGE, Console(file=stream, width=80))
    assert stream.getvalue() == snapshot
    assert max(map(len, stream.getvalue().splitlines())) <= 80


def test_rule_page_has_bold_headings_and_no_markup() -> None:
    stream = io.StringIO()
    render_rule_page("[red]title[/red]\n\nEvidence\n\nnone", Console(file=stream, force_terminal=True, width=80))
    assert "[red]title[/red]" in stream.getvalue()
    assert "\x1b[1;36mEvidence" in stream.getvalue()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    stream = Terminal()
    with TerminalProgress("train.py", stream=stream) as progress:
        for done in range(3):
            progress("training", done, 3)
        progress("probing [red]", 1, 0)
    text = stream.getvalue()
    assert "train.py: training" in text
    assert "train.py: probing [red]" in text
    assert "/3" in text
    assert text.endswith("\x1b[2K")  # the line was cleared


def test_progress_elsewhere_is_a_plain_line_now_and_then() -> None:
    stream = io.StringIO()
    with TerminalProgress("train.py", every=0, stream=stream) as progress:
        progress("training", 30, 60)
        progress("importing", 1, 0)
    assert stream.getvalue() == "train.py: training 30 of 60\ntrain.py: importing 1\n"
    stream = io.StringIO()
    with TerminalProgress("train.py", every=1e9, stream=stream) as progress:
        progress("training", 30, 60)
    assert stream.getvalue() == ""


def test_quiet_progress_writes_nothing() -> None:
    stream = Terminal()
    with TerminalProgress(quiet=True, stream=stream) as progress:
        progress("training", 1, 2)
    assert stream.getvalue() == ""


def test_progress_does_not_swallow() -> None:
    progress = TerminalProgress("x", stream=Terminal())
    with pytest.raises(KeyboardInterrupt), progress:
        _interrupted(progress)


def _interrupted(progress: TerminalProgress) -> None:
    progress("training", 1, 2)
    raise KeyboardInterrupt


def test_headline_is_the_evidence_of_the_rules() -> None:
    slope, floor, signal = headline(sick())
    assert (slope.value, slope.band) == ("0.24x", "forecast 0.24x; -7.5 decades over 12 layers (healthy: within 1.5)")
    assert (floor.value, floor.band) == ("3.1e-09", "the optimizer's epsilon is 1.0e-07")
    assert (signal.value, signal.band) == ("2.0e-04", "at the first layer 0.2")
    assert headline(deep())[0].value == "1.2x"  # GF101 did not look: GF102 tells
    assert [number.value for number in headline(bare())] == ["-", "-", "-"]
    assert headline(undecided())[0].band == "fewer than three layers received a gradient that could be read"


def test_a_remedy_that_two_findings_offer_is_listed_once() -> None:
    seen = SPECIMENS["swelling"]()
    judged = judge(replace(seen, optimizer=replace(seen.optimizer, family="sgd", epsilon=None)))
    names = [remedy.name for remedy in smallest_first(judged.findings)]
    assert len(names) == len(set(names))
    assert "clip-gradient" in names
