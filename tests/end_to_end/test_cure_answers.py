"""`cure` loses gracefully: where the favourite would do harm, or nothing is to be cured, it answers otherwise.

Real trials of small networks. The favourites, by what was measured: looks-linear kernels, and centred sigmoids.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import pytest
from looking import labelled

from unvanish.curing import try_cures
from unvanish.keras.trial import trainer_of
from unvanish.trial.cure import Cure
from unvanish.trial.plan import Plan

pytestmark = pytest.mark.keras
L = keras.layers
BCE = keras.losses.BinaryCrossentropy


def network(*hidden: Any, head: str = "sigmoid", loss: Any = "binary_crossentropy") -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((20,)), *hidden, L.Dense(1, head)])
    model.compile("adam", loss)
    return model


def sigmoids(*widths: int) -> list[Any]:
    return [L.Dense(width, "sigmoid") for width in widths]


def answer(model: Any, *, kind: str = "teacher", without: tuple[str, ...] = ()) -> Cure:
    x, y = labelled(kind)
    return try_cures(trainer_of(model, x, y), Plan(steps=100), lambda *_: None, without=without)


def named(cure: Cure) -> list[str]:
    """Return the labels of everything that was tried, or dropped before."""
    assert cure.evidence is not None
    return [one.prescription.label for one in (*cure.evidence.arms, *cure.evidence.dropped) if one.prescription]


def none_of(cure: Cure, *words: str) -> bool:
    return not [label for label in named(cure) if any(word in label for word in words)]


def with_between(between: Callable[[], Any]) -> Any:
    return network(*[layer for _ in range(7) for layer in (*sigmoids(16), between())])


def test_dropout_between_breaks_pairs_and_centres() -> None:
    others = ("add-batch-norm", "add-layer-norm", "add-residual")
    cure = answer(with_between(lambda: L.Dropout(0.1)), without=others)
    assert cure.verdict == "cured", str(cure)
    assert none_of(cure, "looks-linear", "centred"), named(cure)
    assert "dropout" in cure.source.lower()


def test_batch_normalised_networks_are_healthy_and_no_gain_is_proposed() -> None:
    relu = answer(network(*[one for _ in range(7) for one in (L.Dense(16), L.BatchNormalization(), L.ReLU())]))
    assert (relu.verdict, relu.prescription) == ("not-the-gradients", None), str(relu)
    assert relu.record.healthy
    sigmoid = answer(with_between(L.BatchNormalization))
    assert (sigmoid.verdict, sigmoid.prescription) == ("not-the-gradients", None), str(sigmoid)
    assert "nothing to cure" in sigmoid.record.sentence


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"head": "softmax"}, "no cure answers what was found: the output"),
        ({"loss": BCE(from_logits=True)}, "it does not train"),
    ],
)
def test_a_wrong_head_is_not_the_gradients(options: dict[str, Any], words: str) -> None:
    cure = answer(network(*[L.Dense(16, "relu") for _ in range(3)], **options))
    assert (cure.verdict, cure.prescription) == ("not-the-gradients", None), str(cure)
    assert words in cure.record.sentence
    assert "GF904" in [finding.code for finding in cure.record.diagnosis.findings]
    assert cure.evidence is not None
    assert cure.evidence.arms == ()


def small(activation: str, optimizer: Any) -> Any:
    model = network(*[L.Dense(32, activation) for _ in range(3)])
    model.compile(optimizer, "binary_crossentropy")
    return model


def test_inputs_off_scale_are_scaled_and_no_layer_is_changed() -> None:
    x, y = labelled("teacher")
    left = ("data-driven-init",)  # it divides the inputs' size out of the first kernel, and is smaller
    cure = try_cures(trainer_of(small("tanh", "adam"), x * 255, y), Plan(steps=100), lambda *_: None, without=left)
    assert cure.verdict == "cured", str(cure)
    assert cure.prescription is not None
    assert cure.prescription.name == "scale-inputs"
    mean = re.search(r"layers\.Normalization\(.*mean=([\d.]+)", cure.source)
    assert mean is not None, cure.source
    assert float(mean[1]) == pytest.approx(255 * x.mean(), rel=0.02, abs=0)  # a fifth is held out


def test_a_warning_alone_is_answered_by_its_own_cure() -> None:
    cure = answer(small("relu", keras.optimizers.Adam(epsilon=1.0)))
    assert [finding.severity for finding in cure.record.diagnosis.findings] == ["warning"]
    assert cure.verdict == "cured", str(cure)  # it does not train as it is
    assert {label.partition(" ")[0] for label in named(cure)} == {"lower-epsilon"}
    assert "epsilon=" in cure.source


def test_an_arm_that_is_left_out_is_not_prescribed() -> None:
    model = network(*sigmoids(*[16] * 7))
    left = ("swap-activation", "centred-orthogonal-init", "add-residual")
    cure = answer(model, without=left)
    assert cure.verdict == "cured", str(cure)
    assert cure.prescription is not None
    assert cure.prescription.name in ("add-batch-norm", "add-layer-norm")
    assert none_of(cure, *left)


@pytest.mark.soak
def test_every_arm_that_is_left_out_changes_the_prescription() -> None:
    model, left = network(*sigmoids(*[16] * 7)), []
    while (cure := answer(model, without=tuple(left))).prescription is not None and len(left) < 4:
        assert cure.prescription.name not in left
        left.append(cure.prescription.name)
    assert len(left) >= 3, str(cure)
    nothing = answer(
        model,
        without=(
            "swap-activation",
            "centred-orthogonal-init",
            "add-residual",
            "add-batch-norm",
            "add-layer-norm",
            "learning-rate",
        ),
    )
    assert (nothing.verdict, nothing.prescription) == ("no-cure-helped", None), str(nothing)


@pytest.mark.soak
@pytest.mark.parametrize("widths", [[17] * 7, [64, 48, 32, 24, 16, 12, 8]], ids=["odd", "narrowing"])
def test_odd_and_narrowing_widths_have_no_pairs(widths: list[int]) -> None:
    cure = answer(network(*sigmoids(*widths)))
    assert cure.verdict == "cured", str(cure)
    assert none_of(cure, "looks-linear"), named(cure)


@pytest.mark.soak
def test_labels_without_signal_are_named_and_nothing_is_sold() -> None:
    cure = answer(network(*sigmoids(*[16] * 7)), kind="random")
    assert (cure.verdict in ("nothing-to-learn", "no-cure-helped"), cure.prescription) == (True, None), str(cure)


class Own(keras.Model):
    """A stack of the user's own class."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = sigmoids(*[16] * 7)
        self.head = L.Dense(1, "sigmoid")

    def call(self, x: Any) -> Any:
        for layer in self.hidden:
            x = layer(x)
        return self.head(x)


@pytest.mark.soak
def test_a_subclassed_model_gets_what_can_be_done_in_place() -> None:
    model = Own()
    model.compile("adam", "binary_crossentropy")
    model(labelled("teacher")[0][:2])
    cure = answer(model)
    assert cure.verdict == "cured", str(cure)
    assert cure.prescription is not None
    assert cure.prescription.invasiveness != "architecture"
    assert isinstance(cure.model, Own)
    assert cure.source == ""
    assert any("its own code" in note for note in cure.record.notes)
    assert cure.evidence is not None
    norms = [one for one in cure.evidence.dropped if one.prescription.name == "add-batch-norm"]
    assert norms
    assert all("does not fit" in one.reason for one in norms)
