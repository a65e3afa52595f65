"""A recording as one long table, a row for each number: step, layer, quantity, value. As CSV, or as Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from unvanish.core.recording import ACTIVATION_STATS, Recording
from unvanish.errors import UsageError


class Entry(NamedTuple):
    """Hold one number of a recording."""

    step: int
    layer: str
    """Empty where the number is of the whole network."""
    quantity: str
    """`loss`, `seconds` since the recording began, `gradient_rms`, or one of the recorded statistics."""
    value: float
    """nan where it was not taken, or was no number."""


def entries(recording: Recording) -> Iterator[Entry]:
    """Yield every number of the recording, sample by sample; activations of those samples that were looked into."""
    tables = [("gradient_rms", recording.gradient_rms())]
    tables += [(stat, recording.array(stat)) for stat in recording.stats]
    into = recording.looked_into()
    for sample, step in enumerate(recording.steps):
        yield Entry(step, "", "loss", recording.losses[sample])
        if recording.seconds:
            yield Entry(step, "", "seconds", recording.seconds[sample])
        for quantity, table in tables:
            if quantity in ACTIVATION_STATS and not into[sample]:
                continue
            for layer, value in zip(recording.layers, table[sample].tolist(), strict=True):
                yield Entry(step, layer, quantity, value)


def to_csv(recording: Recording) -> str:
    """Return the table as CSV with a header; a number reads back to the bit, `nan` and `inf` as they are."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Entry._fields)
    writer.writerows(entries(recording))
    return out.getvalue()


def to_parquet(recording: Recording) -> bytes:
    """Return the table as a Parquet file: int64, two dictionaries of strings, float64.

    Raise UsageError where pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError(
            "a Parquet file needs the package pyarrow",
            found=str(error),
            hint="pip install pyarrow, or write CSV",
        ) from None
    rows = list(entries(recording))
    table = pa.table(
        {
            "step": pa.array([row.step for row in rows], pa.int64()),
            "layer": pa.array([row.layer for row in rows], pa.string()).dictionary_encode(),
            "quantity": pa.array([row.quantity for row in rows], pa.string()).dictionary_encode(),
            "value": pa.array([row.value for row in rows], pa.float64()),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()
