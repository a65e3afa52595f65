"""The page of a recording: its numbers are those of the SQLite file, read here without unvanish."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import statistics
from pathlib import Path

import numpy as np
import pytest
from page import Page, assert_every_reference_has_its_target, assert_strict_policy, assert_whole_and_self_contained
from runs import FOUND, broken_run, looked_into, numbers, write_run

from unvanish.core.recording import Event
from unvanish.core.recording_file import read
from unvanish.report.figures import by_step
from unvanish.report.figures.canvas import settings
from unvanish.report.recording_html import render_recording_html
from unvanish.report.svg import to_svg


def page_of(run: Path) -> str:
    return render_recording_html(read(run))


def of_sqlite(run: Path) -> tuple[list[int], np.ndarray]:
    """Return steps and (samples, statistics, layers) as the file has them."""
    with sqlite3.connect(run / "recording.sqlite") as connection:
        header = json.loads(connection.execute("SELECT value FROM meta WHERE key = 'header'").fetchone()[0])
        rows = connection.execute("SELECT step, numbers FROM samples ORDER BY id").fetchall()
    shape = len(header["stats"]), len(header["layers"])
    return [step for step, _ in rows], np.array([np.frombuffer(blob, "<f4").reshape(shape) for _, blob in rows])


def cells(text: str) -> list[list[str]]:
    table = text[text.index('<table id="layer-table"') :]
    body = table[table.index("<tbody>") : table.index("</tbody>")]
    return [re.findall(r"<td>([^<]*)", row) for row in body.split("<tr>")[1:]]


def test_page_is_whole_and_needs_nothing(tmp_path: Path) -> None:
    text = page_of(broken_run(tmp_path / "run"))
    assert_whole_and_self_contained(text)
    assert_strict_policy(text)
    assert_every_reference_has_its_target(text)


@pytest.mark.parametrize("seed", range(2))
def test_numbers_of_the_table_are_those_of_the_file(tmp_path: Path, seed: int) -> None:
    run = write_run(tmp_path / "run", numbers(5, 11, seed=seed))
    _, table = of_sqlite(run)
    rows = cells(page_of(run))
    assert len(rows) == 5
    for i, row in enumerate(rows):
        gradients = [float(norm) / math.sqrt(64) for norm in table[:, 0, i]]
        expected = (gradients[0], statistics.median(gradients), gradients[-1])
        assert row[1] == f"dense_{i}"
        assert [float(text) for text in row[3:6]] == pytest.approx(expected, rel=0.06, abs=0)  # two digits are shown
        weights = [float(norm) for norm in table[:, 1, i]]
        expected = (weights[0], statistics.median(weights), weights[-1])
        assert [float(text) for text in row[6:9]] == pytest.approx(expected, rel=0.006, abs=0)
        ratios = [float(u) / w for u, w in zip(table[:, 2, i], weights, strict=True)]
        expected = (ratios[0], statistics.median(ratios), ratios[-1])
        assert [float(text) for text in row[9:12]] == pytest.approx(expected, rel=0.06, abs=0)


def test_activations_of_the_last_look_stand_in_the_table(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", looked_into(numbers(4, 9), [0, 3, 5]))
    text, (_, table) = page_of(run), of_sqlite(run)
    assert "the samples that were looked into (3 in all)" in text
    for i, row in enumerate(cells(text)):
        _, moment, dead, saturated, passes = table[5, 5:, i]
        assert float(row[14]) == pytest.approx(float(moment), rel=0.06, abs=0)
        assert row[15] == ("-" if math.isnan(passes) else f"{passes:.3g}")
        for shown, share in zip(row[16:], (dead, saturated), strict=True):
            assert shown == ("-" if math.isnan(share) else f"{100 * share:.0f} %")
    plain = page_of(write_run(tmp_path / "plain", numbers(4, 9)))
    assert len(cells(plain)[0]) == 14
    assert "looked into" not in plain


def test_embedded_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    run = broken_run(tmp_path / "run")
    steps, table = of_sqlite(run)
    record = json.loads(re.findall(r'id="data">(.*?)</script>', page_of(run))[0])["record"]
    assert record["steps"] == steps
    found = np.array(record["rows"]["gradient_norm"], dtype=float)
    np.testing.assert_allclose(found, table[:, 0], rtol=1e-5, atol=0)


def test_events_stand_with_their_step_and_what_was_told_first_in_the_card(tmp_path: Path) -> None:
    text = page_of(broken_run(tmp_path / "run"))
    told = FOUND.replace("  ", " ")
    assert text.index(told) < text.index("<main>")
    assert "<td>2</td><td>50</td><td><b>nonfinite</b></td>" in text
    assert "Hatched: not finite. Black: exactly zero. Speckled: no gradient was taken." in text


def test_what_is_not_drawn_is_not_explained(tmp_path: Path) -> None:
    text = page_of(write_run(tmp_path / "run", numbers(3, 4)))
    assert "No finding was told while it ran." in text
    for word in ("Hatched", "Black", "Speckled", "Dotted", "Drawn are"):
        assert word not in text


def test_a_loss_that_nobody_saw_and_a_run_without_a_sample(tmp_path: Path) -> None:
    unseen = page_of(write_run(tmp_path / "unseen", numbers(3, 4), losses=[math.nan] * 4))
    assert "not finite, or nobody saw it" in unseen
    empty = page_of(write_run(tmp_path / "empty", numbers(3, 0)))
    assert "No sample was taken yet." in empty
    assert "<figure>" not in empty
    assert_whole_and_self_contained(empty)


def test_page_of_many_layers_and_samples_stays_small_and_says_what_it_left_out(tmp_path: Path) -> None:
    text = page_of(write_run(tmp_path / "run", numbers(300, 2500, decades=0.05)))
    assert len(text.encode()) < 1_000_000
    assert "Drawn are 600 of 2500 samples" in text
    assert len(cells(text)) == 300


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\u202e" * 3
    event = Event(step=0, seconds=0.0, kind=name, text=name, layer=name)
    text = page_of(write_run(tmp_path / "run", numbers(2, 3), names=(name, "b"), events=(event,), title=name))
    assert [tag for tag, _ in Page(text).tags].count("script") == 2
    assert "<script>alert" not in text
    assert "\u202e" not in text


def test_steps_that_stand_still_are_drawn(tmp_path: Path) -> None:
    assert "<svg" in page_of(write_run(tmp_path / "run", numbers(2, 4), steps=[0, 5, 5, 3]))


def test_cells_have_the_colours_of_their_numbers(tmp_path: Path) -> None:
    run = broken_run(tmp_path / "run")
    recording = read(run)
    _, table = of_sqlite(run)
    with settings():
        figure = by_step.draw(recording)
        assert figure is not None
        (image,) = figure.axes[1].get_images()
        to_svg(figure, "x-", "x")
    drawn = np.ma.filled(image.get_array(), np.nan).T
    good = np.isfinite(table[:, 0]) & (table[:, 0] > 0)
    np.testing.assert_allclose(drawn[good], np.log10(table[:, 0][good] / 8), rtol=1e-5, atol=0)
    low, high = image.get_clim()
    assert low <= drawn[good].min() < low + 1
    assert high - 1 < drawn[good].max() <= high
    assert drawn[0, 2] < low  # exactly zero: black
    assert np.isnan(drawn[5, 2:]).all()
    assert np.isnan(drawn[:2, 1]).all()
