"""Every record of core/, whatever its contents, through JSON and back."""

from __future__ import annotations

import importlib
import math
import pkgutil
import types
import typing
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from unvanish import core
from unvanish.core import document
from unvanish.core.diagnosis import SEVERITIES, Clear, Diagnosis, Finding, Undecided
from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.core.observation import DataInfo, LossInfo, Observation, OptimizerInfo
from unvanish.core.profile import LayerProfile, Profile
from unvanish.core.recording import Recording
from unvanish.errors import UsageError


def record_classes() -> list[type[msgspec.Struct]]:
    """Return every record class that a module of core/ defines."""
    modules = [importlib.import_module(found.name) for found in pkgutil.iter_modules(core.__path__, "unvanish.core.")]
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    ]


RECORDS = record_classes()
WORDS = st.sampled_from(["", "dense", "nan", "inf", "null", "true", "1", "1e5", "<script>", 'a"b', "\u0000é😀", "x/y"])
"""Strings that a lenient reader could take for something else."""
NUMBERS = st.one_of(
    st.floats(), st.sampled_from([math.inf, -math.inf, math.nan, -0.0, 5e-324, 1e-45, 1e308, 0.1, 1e16])
)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a field of that type; raise TypeError for a type that is not tried."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(values_of(part) for part in parts))
    if origin is typing.Literal:
        return st.sampled_from(parts)
    if origin is tuple and parts[-1] is Ellipsis:
        return st.lists(values_of(parts[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(values_of(part) for part in parts))
    if origin is dict:
        return st.dictionaries(values_of(parts[0]), values_of(parts[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        fields = {name: values_of(hints[name]) for name in kind.__struct_fields__}
        return st.builds(lambda **given: kind(**given), **fields) if kind is not Edge else st.builds(kind, WORDS, WORDS)
    plain = {str: WORDS, bytes: st.binary(), float: NUMBERS, bool: st.booleans(), type(None): st.none()}
    plain[int] = st.integers(-(2**53), 2**53)
    if kind not in plain:
        raise TypeError(f"no values are drawn for {kind!r}")
    return plain[kind]


def same(a: Any, b: Any) -> bool:
    """Compare to the type and to the bit of every number; nan equals nan."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, msgspec.Struct):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__struct_fields__)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def test_the_comparison_can_fail() -> None:
    assert not same(1, 1.0)
    assert not same(0.0, -0.0)
    assert not same(1e-19, 1e-15)
    assert not same((1.0, math.nan), (1.0, math.inf))
    assert not same({"a": 1.0}, {"a": 2.0})
    assert not same(WeightStats(mean=1.0, variance=1.0, size=1), WeightStats(mean=1.0, variance=1.0, size=2))


def test_the_records_of_the_contract_are_all_here() -> None:
    names = {record.__name__ for record in RECORDS}
    assert names >= {"Clear", "Diagnosis", "Edge", "Finding", "Forecast", "Layer", "LayerForecast", "LayerProfile"}
    assert names >= {"Network", "Observation", "Profile", "Recording", "Undecided", "WeightStats"}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_round_trip(record: type[msgspec.Struct]) -> None:
    @settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(values_of(record))
    def there_and_back(value: msgspec.Struct) -> None:
        back = document.decode(document.encode(value), record)
        assert same(back, value)
        assert document.encode(back) == document.encode(value)

    there_and_back()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_records_are_frozen(record: type[msgspec.Struct]) -> None:
    assert record.__struct_config__.frozen


def network() -> Network:
    stats = WeightStats(mean=0.0, variance=0.1, size=12)
    layers = (
        Layer(name="x", kind="input", type="InputLayer"),
        Layer(name="a", kind="dense", type="Dense", kernel=stats, fan_in=3, fan_out=4),
        Layer(name="b", kind="other", type="Mine"),
        Layer(name="c", kind="conv", type="Conv2D", kernel=stats),
    )
    edges = (Edge("x", "a"), Edge("a", "b"), Edge("x", "c"), Edge("b", "c"))
    return Network(name="n", framework="none", layers=layers, edges=edges, outputs=("c",))


def diagnosis(*findings: Finding) -> Diagnosis:
    profile = Profile(step=0, batches=1, batch_size=2, loss=1.0, dtype="float32", layers=(LayerProfile(name="a"),))
    observation = Observation(
        network=network(),
        profiles=(profile,),
        recording=Recording(layers=(), sizes=(), steps=(), losses=(), rows={}),
        optimizer=OptimizerInfo(name="Adam", family="adam", learning_rate=1e-3),
        loss=LossInfo(kind="other"),
        data=DataInfo(samples=None),
    )
    return Diagnosis(
        verdict="healthy", sentence="s", findings=findings, clear=(), undecided=(), observation=observation
    )


def test_a_diagnosis_keeps_the_kind_of_each_verdict() -> None:
    finding = Finding(code="GF101", name="n", severity="error", message="m", evidence={"a": math.inf, "b": math.nan})
    seen = msgspec.structs.replace(
        diagnosis(finding),
        clear=(Clear(code="GF102", name="n"),),
        undecided=(Undecided(code="GF103", name="n", reason="r"),),
    )
    back = document.decode(seen.to_json(), Diagnosis)
    assert same(back, seen)
    assert [type(verdict) for verdict in (*back.findings, *back.clear, *back.undecided)] == [Finding, Clear, Undecided]


def test_a_diagnosis_reaches_into_its_observation() -> None:
    seen = diagnosis()
    assert (seen.network, seen.profile) == (seen.observation.network, seen.observation.profiles[0])
    assert (seen.recording, seen.forecast) == (seen.observation.recording, None)


@pytest.mark.parametrize(
    ("severities", "worst"),
    [([], None), (["note"], "note"), (["note", "error", "warning"], "error"), (["note", "warning"], "warning")],
)
def test_the_worst_severity(severities: list[typing.Any], worst: str | None) -> None:
    findings = [Finding(code="GF101", name="n", severity=severity, message="m") for severity in severities]
    assert diagnosis(*findings).severity == worst
    assert SEVERITIES == ("error", "warning", "note")


def test_a_network_finds_its_layers_kernels_and_sources() -> None:
    net = network()
    assert net.layer("b").type == "Mine"
    assert net.sources("c") == ("x", "b")
    assert net.sources("x") == ()
    assert [layer.name for layer in net.kernels] == ["a", "c"]
    assert net.not_modelled == ("b",)
    with pytest.raises(KeyError, match="missing"):
        net.layer("missing")


def test_a_profile_finds_its_layers() -> None:
    profile = diagnosis().profile
    assert profile.layer("a") is profile.layers[0]
    with pytest.raises(KeyError, match="missing"):
        profile.layer("missing")


@given(st.floats(-10, 10), st.floats(0, 10))
@example(0.0, 0.0)
def test_second_moment_of_weights(mean: float, variance: float) -> None:
    stats = WeightStats(mean=mean, variance=variance, size=3)
    assert stats.second_moment == pytest.approx(mean**2 + variance, rel=1e-15, abs=0)


def test_a_recording_gives_arrays() -> None:
    rows = {"gradient_norm": ((1.0, math.inf), (math.nan, 4.0), (5.0, 6.0)), "movement": ((0.0, 0.0),) * 3}
    recording = Recording(layers=("a", "b"), sizes=(4, 9), steps=(0, 1, 5), losses=(1.0, 2.0, 3.0), rows=rows)
    array = recording.array("gradient_norm")
    assert (array.shape, array.dtype) == ((3, 2), np.float64)
    assert np.array_equal(array, np.array([[1, math.inf], [math.nan, 4], [5, 6]]), equal_nan=True)
    assert recording.stats == ("gradient_norm", "movement")


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("gradient_norms", "recording.array('gradient_norm')"),
        ("zzz", "one of these, or recording.frame() for all of them"),
    ],
)
def test_a_statistic_that_was_not_recorded_is_refused_with_those_that_were(wanted: str, hint: str) -> None:
    rows = {"gradient_norm": ((1.0, 2.0),), "movement": ((0.0, 0.0),)}
    recording = Recording(layers=("a", "b"), sizes=(4, 9), steps=(0,), losses=(1.0,), rows=rows)
    with pytest.raises(UsageError) as caught:
        recording.array(wanted)
    assert str(caught.value).splitlines() == [
        f"the recording has no statistic {wanted!r}",
        "  found:  those that were recorded: gradient_norm, movement",
        "  samples: 1",
        "  layers: 2",
        f"  try:    {hint}",
    ]


@pytest.mark.parametrize(("steps", "layers"), [(0, 2), (3, 0), (0, 0)])
def test_a_recording_of_nothing_gives_an_empty_array_of_the_right_shape(steps: int, layers: int) -> None:
    recording = Recording(
        layers=("a", "b")[:layers],
        sizes=(1, 1)[:layers],
        steps=(0, 1, 2)[:steps],
        losses=(0.0,) * steps,
        rows={"movement": ((0.0,) * layers,) * steps},
    )
    assert recording.array("movement").shape == (steps, layers)
