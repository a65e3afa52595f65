"""The terminal report: its exact text at 80 columns, and what must hold for every diagnosis and every width."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.inert import cells
from unvanish.report.numbers import percent, plain, scientific, seconds
from unvanish.report.rows import kernel_rows, layer_rows
from unvanish.report.text import header, print_diagnosis, render_text
from unvanish.report.text_table import table_lines
from unvanish.report.time_table import time_lines
from unvanish.testing.diagnoses import deep, forgetful, healthy, sick
from unvanish.testing.hostile import HOSTILE_NAMES, hostile, rename_layers
from unvanish.testing.observations import Recipe, layer_names

TOKEN = re.compile(r"(?<![\w.^])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
SCALE = re.compile(r"^  \|  layer .*")
"""The heading of a table: names of columns and the decades of the scale, which are no measurements."""


def test_text_at_80_columns(any_diagnosis: Diagnosis, snapshot: SnapshotAssertion) -> None:
    assert render_text(any_diagnosis) == snapshot


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_line_is_wider_than_asked(any_diagnosis: Diagnosis, width: int) -> None:
    lines = render_text(any_diagnosis, width=width, report=".unvanish/train/report.html").splitlines()
    assert [line for line in lines if cells(line) > width] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_every_number_is_in_the_record(any_diagnosis: Diagnosis) -> None:
    known = _numbers(any_diagnosis)
    printed = "\n".join(line for line in render_text(any_diagnosis).splitlines() if not SCALE.match(line))
    assert [token for token in TOKEN.findall(printed) if token not in known] == []


def test_that_an_invented_number_is_seen() -> None:
    assert "0.1234" not in _numbers(sick())
    assert TOKEN.findall("a 4.2x and 1e-7, 43-98 % of GF101, dense_3 at 10^(-6.9 +- 0.09)") == [
        "4.2",
        "1e-7",
        "43",
        "98",
        "10",
        "-6.9",
        "0.09",
    ]


def test_every_layer_is_shown_or_folded(any_diagnosis: Diagnosis) -> None:
    text = render_text(any_diagnosis)
    rows = [line for line in text.splitlines() if line.startswith("  |  ") and not line.startswith("  |  measured")]
    if not rows:
        assert any_diagnosis.verdict in {"healthy", "undecided"}
        return
    if any_diagnosis.findings[0].code.startswith("GF7"):
        assert len(rows) == 1 + len(any_diagnosis.profile.through_time)
        return
    kernels = kernel_rows(layer_rows(any_diagnosis))
    folded = sum(int(line.split()[2]) for line in rows if line.startswith("  |  ... "))
    shown = len(rows) - 1 - sum(line.startswith("  |  ... ") for line in rows)
    assert shown + folded == len(kernels)
    assert not folded or len(kernels) > 30
    assert len(rows) <= 32


@pytest.mark.parametrize("width", [40, 50, 60, 80, 100])
def test_a_time_table_fits_and_shows_those_that_carry_least(width: int) -> None:
    diagnosis = forgetful()
    layers = [*(f"recurrent_layer_{i}" for i in range(13)), "last"]
    (time,) = diagnosis.profile.through_time
    factors = [0.9 - 0.03 * i for i in range(13)] + [1.0]
    profile = replace(
        diagnosis.profile,
        through_time=tuple(
            replace(time, layer=name, log10_gradient=tuple(k * math.log10(f) for k in range(49, -1, -1)))
            for name, f in zip(layers, factors, strict=True)
        ),
    )
    finding = replace(diagnosis.findings[0], layers=("recurrent_layer_12",))
    seen = replace(diagnosis.observation, profiles=(profile,))
    lines = [line.plain for line in time_lines(replace(diagnosis, observation=seen), finding, width)]
    assert max(map(cells, lines)) <= width
    assert len(lines) == 1 + 12 + 1
    assert lines[-1] == "  |  ... 2 layers that carry further"
    assert [line.endswith(" ←") for line in lines] == [False] * 12 + [True, False]
    assert "0.54x" in lines[12]
    assert ("cell" in lines[0]) == (width >= 60)


def test_a_layer_that_loses_nothing_carries_all() -> None:
    diagnosis = forgetful()
    flat = replace(diagnosis.profile.through_time[0], log10_gradient=(0.0, 0.0, 0.0))
    seen = replace(diagnosis.observation, profiles=(replace(diagnosis.profile, through_time=(flat,)),))
    lines = time_lines(replace(diagnosis, observation=seen), diagnosis.findings[0], 80)
    assert lines[1].plain.split()[1:6] == ["dense", "rnn", "3", "all", "1.00x"]
    nothing = replace(diagnosis.observation, profiles=(replace(diagnosis.profile, through_time=()),))
    assert time_lines(replace(diagnosis, observation=nothing), diagnosis.findings[0], 80) == []


def test_healthy_is_one_line_and_one_for_each_note() -> None:
    text = render_text(healthy(), width=100)
    assert text.splitlines() == [
        "✓ HEALTHY   12 layers, 0.97x per layer, first/last 0.5, no dead units, 60 steps",
        "note[GF602] the gradient grows 1.2x per layer towards the input; harmless at 12 layers, fatal at 50",
    ]
    assert render_text(replace(healthy(), findings=())).count("\n") == 1


def test_a_fold_keeps_the_ends_and_the_worst() -> None:
    diagnosis = deep(200)
    worst = "dense_77"
    marked = replace(diagnosis, findings=(replace(diagnosis.findings[0], layers=(worst,)),))
    shown = [line.split()[1] for line in render_text(marked).splitlines() if line.startswith("  |  dense")]
    assert shown == [
        "dense",
        "dense_1",
        "dense_2",
        "dense_3",
        worst,
        "dense_196",
        "dense_197",
        "dense_198",
        "dense_199",
    ]
    assert [line for line in render_text(marked).splitlines() if "..." in line] == [
        "  |  ... 73 layers",
        "  |  ... 118 layers",
    ]


def test_remedies_are_smallest_first_and_those_of_warnings_left_out() -> None:
    text = render_text(sick())
    places = [text.index(word) for word in ("one word", "initialisation only", "architecture")]  # written out: later
    assert places == sorted(places)
    assert "epsilon=1e-12" not in text


def test_colour_is_asked_for_and_no_color_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in render_text(sick())
    coloured = render_text(sick(), colour=True)
    assert "\x1b[1;31m✗ VANISHING" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_text(sick())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", render_text(sick(), colour=True))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8"])
def test_every_encoding_can_be_written(any_diagnosis: Diagnosis, encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    print_diagnosis(any_diagnosis, Console(file=stream, width=80))
    stream.flush()
    text = raw.getvalue().decode(encoding)
    assert any_diagnosis.verdict.upper() in text
    assert text.isascii() or encoding == "utf-8"
    assert [line for line in text.splitlines() if cells(line) > 80] == []


def test_ascii_report(snapshot: SnapshotAssertion) -> None:
    text = render_text(sick(), ascii_only=True)
    assert text.isascii()
    assert text == snapshot


def test_a_wide_terminal_is_not_filled() -> None:
    stream = io.StringIO()
    print_diagnosis(sick(), Console(file=stream, width=400))
    assert max(map(cells, stream.getvalue().splitlines())) <= 100


def test_header_names_what_was_looked_at() -> None:
    expected = "unvanish 0.1.0 · Keras 3.15.1 (tensorflow) · train.py · 60 steps · 4.1 s · watching cost 1.2 s"
    assert header(sick()) == expected
    assert render_text(sick()).replace("\n", " ").startswith(expected)


def test_a_report_is_named_in_the_last_line() -> None:
    last = render_text(sick(), width=100, report="out/report.html").splitlines()[-1]
    assert last == "1 error, 1 warning, 1 note · explain: unvanish explain GF101 · report: out/report.html"


def test_hostile_names_are_inert() -> None:
    text = render_text(hostile())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ud800-\udfff]", text)
    assert "[bold red]markup[/bold red]" in text
    assert "x" * 61 not in text
    text.encode()


@settings(max_examples=25)
@given(st.text(max_size=300))
def test_any_name_keeps_the_report_in_shape(name: str) -> None:
    names = layer_names(Recipe())
    rename = dict(zip(names, (f"{name}{i}" for i in range(len(names))), strict=True))
    text = render_text(rename_layers(sick(), rename, title=name))
    assert [line for line in text.split("\n") if cells(line) > 80] == []
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def _numbers(diagnosis: Diagnosis) -> set[str]:
    """Return every way in which a number of the record may be printed, and the numbers inside its texts."""
    known = {str(i) for i in range(13)}  # counts of findings, positions in a list
    values = list(_leaves(msgspec.to_builtins(diagnosis)))
    for row in layer_rows(diagnosis):
        values += [row.update_ratio, row.epsilon_share, row.movement]
    for value in values:
        if isinstance(value, str):
            known |= set(TOKEN.findall(re.sub(r"\s+", " ", value)))
        elif isinstance(value, int | float):
            forms = (scientific(value), percent(float(value)), plain(float(value)), seconds(value), str(value))
            known |= {token for form in forms for token in TOKEN.findall(form)}
    return known | {str(layers - 10) for layers in (len(kernel_rows(layer_rows(diagnosis))),)}  # folded rows


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.keys()
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def test_hostile_specimen_is_hostile() -> None:
    joined = "".join(HOSTILE_NAMES)
    assert all(part in joined for part in ("<script>", "\x1b[", "\u202e", "\ud800", "[bold", "{{", "🦖", '"', "'", "$"))
    assert max(map(len, HOSTILE_NAMES)) == 10_000


def test_a_healthy_network_says_what_was_trained_beside_it_unseen() -> None:
    diagnosis = replace(healthy(), findings=())
    beside = replace(diagnosis.observation, left_out=("Encoder: trained by the same optimizer, and not looked at",))
    assert render_text(replace(diagnosis, observation=beside)).splitlines()[1:] == [
        "not checked:",
        "  - Encoder: trained by the same optimizer, and not looked at",
    ]


def test_a_healthy_network_with_layers_of_no_theory_costs_one_line_more() -> None:
    diagnosis = healthy()
    network = diagnosis.network
    odd = tuple(replace(layer, kind="recurrent") if i in (3, 4) else layer for i, layer in enumerate(network.layers))
    names = ", ".join(f"{odd[i].name} ({odd[i].type})" for i in (3, 4))
    seen = replace(
        diagnosis.observation,
        network=replace(network, layers=odd),
        not_checked=tuple(f"{odd[i].name} (LSTM): not modelled" for i in (3, 4)),
    )
    lines = render_text(replace(diagnosis, observation=seen), width=100).splitlines()
    assert lines[2:] == [f"not modelled: {names}: measured, without a forecast"]


def test_the_numbers_of_a_table_stand_below_each_other() -> None:
    """A share of 100 % is wider than its heading."""
    diagnosis = sick()
    dead = tuple(replace(p, dead_share=1.0 if i == 3 else 0.3) for i, p in enumerate(diagnosis.profile.layers))
    seen = replace(diagnosis.observation, profiles=(replace(diagnosis.profile, layers=dead),))
    finding = replace(diagnosis.findings[0], code="GF202")
    rows = layer_rows(replace(diagnosis, observation=seen))
    lines = [line.plain for line in table_lines(finding, rows, 80)]
    assert {line.index("%") for line in lines[1:]} == {lines[4].index("%")}
    assert {line.index("█") for line in lines[1:]} == {lines[4].index("█")}


def test_the_layers_of_a_stack_by_one_name_are_told_apart() -> None:
    diagnosis = forgetful()
    (time,) = diagnosis.profile.through_time
    seen = replace(diagnosis.observation, profiles=(replace(diagnosis.profile, through_time=(time, time)),))
    lines = time_lines(replace(diagnosis, observation=seen), diagnosis.findings[0], 80)
    assert [line.plain.split("rnn")[0].strip(" |") for line in lines[1:]] == [f"{time.layer} 1/2", f"{time.layer} 2/2"]
