"""Records as JSON documents: schema-versioned, validated when read, non-finite numbers kept as strings."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec

SCHEMA = 1

T = TypeVar("T")


def encode(record: msgspec.Struct, **said: Any) -> bytes:
    """Return `{"schema": 1, "kind": ..., "record": ...}` as UTF-8 JSON; inf and nan become "inf", "nan".

    said: what follows from the record, to be found beside its fields; it is not read again.
    """
    plain = _plain(msgspec.to_builtins(record) | msgspec.to_builtins(said))
    document = {"schema": SCHEMA, "kind": type(record).__name__, "record": plain}
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def kind_of(data: bytes | str) -> str:
    """Return the name of the record's kind; empty where it names none. Raise msgspec.DecodeError for no JSON."""
    document = msgspec.json.decode(data)
    kind = document.get("kind") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) else ""


def decode(data: bytes | str, kind: type[T]) -> T:
    """Return the record of that kind; raise msgspec.ValidationError when the document is not one."""
    document: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    if document.get("schema") != SCHEMA or document.get("kind") != kind.__name__:
        found = f"schema {document.get('schema')!r}, kind {document.get('kind')!r}"
        raise msgspec.ValidationError(f"expected schema {SCHEMA} and kind {kind.__name__!r}, found {found}")
    return msgspec.convert(document.get("record"), kind, strict=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # a lone surrogate in a name has no place in UTF-8
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
