"""Documents: what is written is plain JSON with its schema version; what is not such a document is refused."""

from __future__ import annotations

import json
import math

import msgspec
import pytest

from unvanish.core import document
from unvanish.core.network import Edge, WeightStats
from unvanish.core.profile import LayerProfile, Profile


def stats(**numbers: float) -> WeightStats:
    return WeightStats(**{"mean": 0.5, "variance": 2.0, "size": 3, **numbers})


def test_what_is_written() -> None:
    text = document.encode(stats(mean=math.inf, variance=math.nan)).decode()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "schema": document.SCHEMA,
        "kind": "WeightStats",
        "record": {"mean": "inf", "variance": "nan", "size": 3, "orthogonal": False},
    }
    assert "\n" in text


def test_nonfinite_numbers_deep_inside_come_back() -> None:
    layer = LayerProfile(name="a", gradient_norm=-math.inf, weight_norm=math.nan, transmission=math.inf)
    profile = Profile(step=0, batches=1, batch_size=1, loss=math.nan, dtype="float32", layers=(layer,))
    back = document.decode(document.encode(profile), Profile)
    assert (back.layers[0].gradient_norm, back.layers[0].transmission) == (-math.inf, math.inf)
    assert math.isnan(back.loss)
    assert back.layers[0].weight_norm is not None
    assert math.isnan(back.layers[0].weight_norm)


def test_a_name_that_reads_like_a_number_stays_a_name() -> None:
    for name in ("nan", "inf", "null", "1", "true"):
        assert document.decode(document.encode(Edge(name, name)), Edge) == Edge(name, name)
        layer = LayerProfile(name=name)
        assert document.decode(document.encode(layer), LayerProfile) == layer


def test_text_and_bytes_are_read_alike() -> None:
    data = document.encode(stats())
    assert document.decode(data.decode(), WeightStats) == document.decode(data, WeightStats) == stats()


def changed(**parts: object) -> bytes:
    return json.dumps({**json.loads(document.encode(stats())), **parts}).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(schema=document.SCHEMA + 1), "schema 2, kind 'WeightStats'"),
        (changed(schema=None), "found schema None"),
        (changed(kind="Layer"), "expected schema 1 and kind 'WeightStats', found schema 1, kind 'Layer'"),
        (changed(record=None), "Expected `object`, got `null`"),
        (changed(record={"mean": 1.0, "size": 3}), "missing required field `variance`"),
        (changed(record={"mean": "wide", "variance": 1.0, "size": 3}), r"mean"),
        (changed(record={"mean": 1.0, "variance": 1.0, "size": 3.5}), r"size"),
        (b"[]", "Expected `object`, got `array`"),
    ],
)
def test_what_is_no_such_document_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        document.decode(data, WeightStats)


@pytest.mark.parametrize("data", [b"", b"{", b"not json", document.encode(stats())[:-9]])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        document.decode(data, WeightStats)
