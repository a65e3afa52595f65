"""A recording on disk: what was written is read, broken files give what is whole or one error, sizes stay bounded."""

import os
import random
import sqlite3

import numpy as np
import pytest

from unvanish.core.nonfinite import CODE, VERDICT
from unvanish.core.recording import WATCH_STATS, About, Event
from unvanish.core.recording_file import LARGEST, SCHEMA, Header, RecordingFile, Row, read
from unvanish.core.run_folder import make_run_folder
from unvanish.core.watch_cost import WatchCost
from unvanish.errors import DataError, UnvanishError, UsageError
from unvanish.rules import gf401_non_finite_values

ABOUT = About(title="train.py", framework="Keras", optimizer="Adam", started="2026-01-01T00:00:00+00:00")


def header(layers=3):
    return Header(about=ABOUT, layers=tuple(f"dense_{i}" for i in range(layers)), sizes=(8,) * layers)


def row(step, layers=3, loss=0.5):
    return Row(step, step / 10, loss, np.random.default_rng(step).random((len(WATCH_STATS), layers)).astype("f4"))


def written(path, steps, layers=3, **settings):
    file = RecordingFile(path, header(layers), **settings)
    for step in range(steps):
        file.append([row(step, layers)], [Event(step=step, seconds=0.1, kind="jump", text="x")] if step == 2 else [])
    return file


def test_what_was_written_is_read(tmp_path):
    file = written(tmp_path / "recording.sqlite", 5)
    cost = WatchCost(
        samples=5, seconds=2.0, added_seconds=0.5, warm_up_seconds=0.25, step_seconds=None, sample_seconds=None
    )
    file.finish(17, cost)
    file.close()
    found = read(tmp_path)  # the run's folder
    assert (found.layers, found.sizes, found.about, found.cost) == (header().layers, (8,) * 3, ABOUT, cost)
    assert found.steps == (0, 1, 2, 3, 4)
    assert found.total_steps == 17
    assert [event.step for event in found.events] == [2]
    assert found.seconds == (0.0, 0.1, 0.2, 0.3, 0.4)
    for place, stat in enumerate(WATCH_STATS):
        expected = np.array([row(step).numbers[place] for step in range(5)])
        np.testing.assert_array_equal(found.array(stat), expected)  # float32, to the bit


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e-45, 1e38])
def test_numbers_at_the_edges_stay_what_they_are(tmp_path, number):
    file = RecordingFile(tmp_path / "recording.sqlite", header(1))
    file.append([Row(0, 0.0, number, np.full((len(WATCH_STATS), 1), number, dtype="f4"))])
    file.close()
    found = read(tmp_path)
    np.testing.assert_array_equal(found.array("gradient_norm")[0, 0], np.float64(np.float32(number)))
    np.testing.assert_array_equal(found.losses[0], number)


def test_it_is_read_while_it_is_written(tmp_path):
    file = written(tmp_path / "recording.sqlite", 3)
    assert read(tmp_path).steps == (0, 1, 2)
    file.append([row(3)])
    assert read(tmp_path).steps == (0, 1, 2, 3)
    assert read(tmp_path).total_steps == 4
    file.close()


def test_nothing_is_written_over(tmp_path):
    written(tmp_path / "recording.sqlite", 1).close()
    with pytest.raises(FileExistsError):
        RecordingFile(tmp_path / "recording.sqlite", header())


def test_every_second_sample_goes_where_it_becomes_too_large(tmp_path):
    largest = 4 * len(WATCH_STATS) * 3 * 40
    file = written(tmp_path / "recording.sqlite", 1000, largest=largest)
    file.finish(1000, None)
    file.close()
    steps = read(tmp_path).steps
    assert 15 <= len(steps) <= 42
    assert (steps[0], steps[-1]) == (0, 999)
    gaps = np.diff(steps)
    assert gaps.max() == np.median(gaps)  # spread over the whole training
    assert os.path.getsize(tmp_path / "recording.sqlite") < 20 * largest


@pytest.mark.soak
@pytest.mark.parametrize("layers", [12, 300])
def test_a_million_steps_stay_bounded(tmp_path, layers):
    file = RecordingFile(tmp_path / "recording.sqlite", header(layers))
    numbers, sizes = row(7, layers).numbers, []
    for first in range(0, 1_000_000, 1000):
        file.append([Row(step, step / 1e3, 0.5, numbers) for step in range(first, first + 1000)])
        sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
    file.finish(1_000_000, None)
    file.close()
    assert max(sizes) < 2 * LARGEST  # the file, and the log that is folded into it
    found = read(tmp_path)
    each = 4 * len(WATCH_STATS) * layers
    assert LARGEST / each / 2 - 1 <= len(found.steps) <= LARGEST / each + 1
    assert (found.steps[0], found.steps[-1], found.total_steps) == (0, 999_999, 1_000_000)
    gaps = np.diff(found.steps)
    assert gaps.max() == np.median(gaps)
    np.testing.assert_array_equal(found.array("gradient_norm")[-1], numbers[0])


def test_ten_thousand_layers(tmp_path):
    file = written(tmp_path / "recording.sqlite", 3, layers=10_000)
    file.close()
    assert read(tmp_path).array("gradient_norm").shape == (3, 10_000)


def test_a_folder_that_cannot_be_written_is_read_with_its_log(tmp_path, monkeypatch):
    file = written(tmp_path / "recording.sqlite", 4)  # open: what was committed is in its log
    before = sorted(os.listdir(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert read(tmp_path).steps == (0, 1, 2, 3)
    assert sorted(os.listdir(tmp_path)) == before
    file.close()


def test_runs_that_begin_at_once_have_folders_of_their_own(tmp_path):
    folders = [make_run_folder("train: it?.py", tmp_path) for _ in range(3)]
    assert [folder.name for folder in folders] == ["run-1", "run-2", "run-3"]
    assert folders[0].parent.name == "train-it-.py"
    (folders[1]).rmdir()
    assert make_run_folder("train: it?.py", tmp_path).name == "run-4"  # never one that was there
    assert make_run_folder("../..", tmp_path).parent.name == "model"


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(100)])
def test_another_file_is_one_error(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a recording that can be read"):
        read(path)


def test_another_database_is_one_error(tmp_path):
    path = tmp_path / "x"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE meta (key, value)")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match="a database of application 0x0"):
        read(path)


def test_a_view_that_never_ends_is_not_asked(tmp_path):
    written(tmp_path / "recording.sqlite", 2).close()
    connection = sqlite3.connect(tmp_path / "recording.sqlite")
    connection.execute("DROP TABLE samples")
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x, x * 0.1, x, x'00' FROM n"
    connection.execute(f"CREATE VIEW samples (id, step, seconds, loss) AS {endless}")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match="the tables events, meta"):
        read(tmp_path)


def test_no_file_is_one_error(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="there is no recording"):
            read(path)


def corrupted(data, draws):
    """Return the bytes with something wrong: flipped, cut, filled, moved."""
    data = bytearray(data)
    for _ in range(draws.choice([1, 1, 2, 8, 64])):
        at = draws.randrange(len(data))
        way = draws.randrange(5)
        if way == 0:
            data[at] ^= 1 << draws.randrange(8)
        elif way == 1:
            data[at : at + 4] = draws.randbytes(len(data[at : at + 4]))
        elif way == 2:
            data[at : at + 256] = bytes(len(data[at : at + 256]))
        elif way == 3 and at > 100:
            del data[at:]
        else:
            end, other = at + draws.randrange(1, 600), draws.randrange(len(data))
            piece = data[at:end]
            data[other : other + len(piece)] = piece[: len(data) - other]
    return bytes(data)


def survive(tmp_path, count, seed):
    file = written(tmp_path / "recording.sqlite", 40)
    file.finish(40, None)
    file.close()
    whole, draws = (tmp_path / "recording.sqlite").read_bytes(), random.Random(seed)
    path, readable = tmp_path / "broken.sqlite", 0
    for _ in range(count):
        for left in tmp_path.glob("broken*"):
            left.unlink()
        path.write_bytes(corrupted(whole, draws))
        try:
            found = read(path)
        except UnvanishError:
            continue
        readable += 1
        assert len(found.steps) <= 40
        assert found.array("gradient_norm").shape == (len(found.steps), len(found.layers))
    return readable


def test_what_is_broken_is_readable_or_one_error(tmp_path):
    assert 50 < survive(tmp_path, 300, seed=1) < 300


@pytest.mark.soak
def test_ten_thousand_corruptions(tmp_path):
    assert 0 < survive(tmp_path, 10_000, seed=2) < 10_000


@pytest.mark.parametrize("schema", [1, SCHEMA + 1])
def test_a_recording_of_another_schema_is_one_error(schema, tmp_path):
    written(tmp_path / "recording.sqlite", 3).close()
    connection = sqlite3.connect(tmp_path / "recording.sqlite")
    connection.execute(f"PRAGMA user_version={schema}")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match="is not a recording that can be read") as caught:
        read(tmp_path)
    assert caught.value.found == f"a recording of schema {schema}; this version reads schema {SCHEMA} alone"


def test_what_is_wrong_is_kept_with_its_rule(tmp_path):
    file = RecordingFile(tmp_path / "recording.sqlite", header())
    found = Event(step=1, seconds=0.1, kind="finding", text="x", layer="a", code="GF101", verdict="vanishing")
    file.append([row(1)], [found])
    file.close()
    assert read(tmp_path).events == (found,)
    assert read(tmp_path).alarm == found


def test_a_value_that_is_no_number_is_the_matter_of_a_rule_that_there_is():
    assert CODE == gf401_non_finite_values.CODE
    assert VERDICT == "nonfinite"
