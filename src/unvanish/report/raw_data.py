"""The diagnosis as compact JSON for embedding in a page: tables by column, within a budget of bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.document import SCHEMA
from unvanish.report.inert import shorten

BUDGET = 450_000
"""Bytes that the data may take in a page of less than 1 MB."""

NUMBERS = 16_000
"""Numbers of the recording that are embedded; of a longer one, evenly spaced steps."""

DIGITS = 6
LONGEST_NAME = 80
COMPLETE = f"numbers rounded to {DIGITS} digits; a column of equal entries is written once"


def raw_data(diagnosis: Diagnosis, budget: int = BUDGET) -> str:
    """Return the record as ASCII JSON that is inert inside a `<script>` element.

    Lists of layers become columns, missing numbers are left out, non-finite ones are strings. A long recording is
    thinned out over the steps; what then does not fit into the budget loses forecast, source lines and the ends of its
    names. `note` in the document says what was done. The whole record is in the JSON report.
    """
    recording = diagnosis.recording
    thin = recording.thinned(max(NUMBERS // max(len(recording.layers) * len(recording.rows), 1), 3))
    note = COMPLETE
    if len(thin.steps) < len(recording.steps):
        note = f"{note}; {len(thin.steps)} of {len(recording.steps)} watched steps"
    record = msgspec.to_builtins(replace(diagnosis, observation=replace(diagnosis.observation, recording=thin)))
    text = _dump(note, _columns(record))
    if len(text) > budget:
        note += (
            f"; names cut to {LONGEST_NAME} characters; forecast, later probes, weight arrays and source lines left out"
        )
        text = _dump(note, _cropped(_columns(_lean(record))))
    return text if len(text) <= budget else _dump("left out: too large; the JSON report has everything", {})


def compact(record: msgspec.Struct, left_out: Sequence[str] = ()) -> str:
    """Return another record as such JSON, without the fields named; without any where the rest is too large."""
    kept = {name: value for name, value in msgspec.to_builtins(record).items() if name not in left_out}
    note = COMPLETE + (f"; left out: {', '.join(left_out)}" if left_out else "")
    text = _dump(note, _columns(kept), type(record).__name__)
    if len(text) <= BUDGET:
        return text
    return _dump("left out: too large; the JSON report has everything", {}, type(record).__name__)


def _dump(note: str, record: Any, kind: str = "Diagnosis") -> str:
    document = {"schema": SCHEMA, "kind": kind, "layout": "columns", "note": note, "record": record}
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _columns(value: Any) -> Any:
    """Return the value with lists of structs as a dict of columns, rounded, and without what is missing."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key: _columns(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        if value and all(isinstance(item, dict) for item in value):
            return _table([_flat(item) for item in value])
        return [_columns(item) for item in value]
    return value


def _flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the struct with nested ones as dotted names: `kernel.mean`."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _table(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = {name: None for row in rows for name in row}
    columns = {name: [_columns(row.get(name)) for row in rows] for name in names}
    known = {name: column for name, column in columns.items() if any(item is not None for item in column)}
    return {name: c[0] if len(c) > 1 and all(item == c[0] for item in c) else c for name, c in known.items()}


def _lean(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record without forecast, source lines, edges and weight arrays, and with its first profile alone."""
    seen = record["observation"]
    network = seen["network"] | {"edges": [], "parameters": []}
    return record | {
        "sites": {},
        "observation": seen | {"forecast": None, "network": network, "profiles": seen["profiles"][:1]},
    }


def _cropped(value: Any) -> Any:
    if isinstance(value, dict):
        return {shorten(key, LONGEST_NAME): _cropped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cropped(item) for item in value]
    return shorten(value, LONGEST_NAME) if isinstance(value, str) else value
