"""A recording as a table: every number of the SQLite file is there once, to the bit."""

import csv
import io
import json
import math
import sqlite3
import struct
import sys

import numpy as np
import pytest
from runs import broken_run, looked_into, numbers, write_run

import unvanish
from unvanish.core.long_table import to_csv, to_parquet
from unvanish.core.recording_file import read
from unvanish.errors import UsageError


def bits(number):
    return "nan" if math.isnan(number) else struct.pack("<d", number)


def of_sqlite(run):
    """Return (step, layer, quantity) -> the number's bits, as the file has it."""
    with sqlite3.connect(run / "recording.sqlite") as connection:
        header = json.loads(connection.execute("SELECT value FROM meta WHERE key = 'header'").fetchone()[0])
        rows = connection.execute("SELECT step, seconds, loss, numbers FROM samples").fetchall()
    found = {}
    for step, seconds, loss, blob in rows:
        found[step, "", "loss"] = bits(math.nan if loss is None else loss)
        found[step, "", "seconds"] = bits(seconds)
        table = np.frombuffer(blob, "<f4").reshape(len(header["stats"]), -1).astype(float)
        taken = 5 if np.isnan(table[5:]).all() else 10  # else activations, of a sample that was looked into
        for stat, row in zip(header["stats"][:taken], table[:taken], strict=True):
            for layer, size, number in zip(header["layers"], header["sizes"], row, strict=True):
                found[step, layer, stat] = bits(number)
                if stat == "gradient_norm":
                    found[step, layer, "gradient_rms"] = bits(number / math.sqrt(size))
    return found


@pytest.mark.parametrize("looks", [[], [0, 3]])
def test_csv_has_every_number_once(tmp_path, looks):
    run = write_run(tmp_path / "looked", looked_into(numbers(4, 6), looks)) if looks else broken_run(tmp_path / "run")
    rows = list(csv.DictReader(io.StringIO(to_csv(read(run)))))
    assert list(rows[0]) == ["step", "layer", "quantity", "value"]
    found = {(int(r["step"]), r["layer"], r["quantity"]): bits(float(r["value"])) for r in rows}
    assert len(found) == len(rows)
    assert found == of_sqlite(run)


def test_names_with_commas_quotes_and_line_breaks_stay_whole(tmp_path):
    names = ('a,"b"', "c\nd")
    text = to_csv(read(write_run(tmp_path / "run", numbers(2, 1), names=names)))
    assert {row["layer"] for row in csv.DictReader(io.StringIO(text))} == {"", *names}


def test_a_run_without_a_sample_is_a_header(tmp_path):
    assert to_csv(read(write_run(tmp_path / "run", numbers(2, 0)))) == "step,layer,quantity,value\n"


def test_save_chooses_by_the_ending(tmp_path):
    recording = unvanish.load(broken_run(tmp_path / "run"))
    assert recording.save(tmp_path / "run.csv").read_text() == to_csv(recording)
    assert recording.save(tmp_path / "run.json").read_text() == recording.to_json()
    assert recording.save(tmp_path / "run.txt").read_text() == str(recording)
    assert "<!doctype html>" in recording.save(tmp_path / "run.html").read_text()
    with pytest.raises(UsageError, match=r"\.csv, \.parquet"):
        recording.save(tmp_path / "run.xls")


def test_without_pyarrow_there_is_one_clear_error(tmp_path, monkeypatch):
    recording = read(broken_run(tmp_path / "run"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="needs the package pyarrow") as caught:
        recording.save(tmp_path / "run.parquet")
    assert "pip install pyarrow" in str(caught.value)
    assert not (tmp_path / "run.parquet").exists()


@pytest.mark.parquet
@pytest.mark.parametrize("samples", [0, 8])
def test_parquet_has_every_number_once(tmp_path, samples):
    import pyarrow.parquet as pq

    run = broken_run(tmp_path / "run") if samples else write_run(tmp_path / "run", numbers(2, 0))
    columns = pq.read_table(io.BytesIO(to_parquet(read(run)))).to_pydict()
    assert list(columns) == ["step", "layer", "quantity", "value"]
    keys = list(zip(columns["step"], columns["layer"], columns["quantity"], strict=True))
    assert len(set(keys)) == len(keys)
    assert dict(zip(keys, map(bits, columns["value"]), strict=True)) == of_sqlite(run)
