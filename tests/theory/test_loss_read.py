"""What a loss makes of the output layer, and that the forecast is then that of the fused head."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from unvanish.core.observation import LossInfo
from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network
from unvanish.theory.loss_read import as_read

BODY = "dense(32, tanh)*6, "


@pytest.mark.parametrize(
    ("kind", "units", "applied"),
    [
        ("binary_crossentropy", 1, "sigmoid"),
        ("binary_crossentropy", 4, "sigmoid"),
        ("categorical_crossentropy", 10, "softmax"),
        ("sparse_categorical_crossentropy", 10, "softmax"),
    ],
)
def test_logits_count_as_the_fused_head(kind: str, units: int, applied: str) -> None:
    logits, fused = build(f"{BODY}dense({units})"), build(f"{BODY}dense({units}, {applied})")
    read = as_read(logits, LossInfo(kind=kind, from_logits=True, units=units))
    assert [layer.activation for layer in read.layers] == [layer.activation for layer in fused.layers]
    assert forecast_network(read, batch_size=100) == forecast_network(fused, batch_size=100)
    assert forecast_network(read, batch_size=100) != forecast_network(logits, batch_size=100)


@pytest.mark.parametrize(
    ("spec", "loss"),
    [
        (f"{BODY}dense(10)", LossInfo(kind="mean_squared_error")),
        (f"{BODY}dense(10)", LossInfo(kind="sparse_categorical_crossentropy", from_logits=False)),
        (f"{BODY}dense(10)", LossInfo(kind="sparse_categorical_crossentropy")),
        (f"{BODY}dense(10, softmax)", LossInfo(kind="sparse_categorical_crossentropy", from_logits=True)),
        (f"{BODY}dense(10, relu)", LossInfo(kind="sparse_categorical_crossentropy", from_logits=True)),
    ],
)
def test_what_applies_nothing_changes_nothing(spec: str, loss: LossInfo) -> None:
    network = build(spec)
    assert as_read(network, loss) is network


def test_of_several_outputs_nothing_is_changed() -> None:
    network = build(f"{BODY}dense(10)")
    two = replace(network, outputs=(network.layers[-2].name, network.layers[-1].name))
    assert as_read(two, LossInfo(kind="binary_crossentropy", from_logits=True)) is two
