"""What each cure proposes, and where it proposes nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from nets import dense, other, plain, row

from unvanish.core.edit import (
    INVASIVENESS,
    AddNorm,
    AddResidual,
    Clip,
    Prescription,
    Redraw,
    SwapActivation,
    UnitVariance,
)
from unvanish.core.network import Edge, Network
from unvanish.cures import (
    add_batch_norm,
    add_layer_norm,
    add_residual,
    centred_orthogonal_init,
    clip_gradient,
    data_driven_init,
    looks_linear_init,
    orthogonal_init,
    rescale_init,
    swap_activation,
)
from unvanish.cures.anatomy import head, hidden
from unvanish.cures.cure import Cure
from unvanish.cures.table import CURES
from unvanish.rules.table import RULES
from unvanish.testing.observations import Recipe, observation

HIDDEN = ("l1", "l2", "l3", "l4")
RELU = plain("relu")
SEEN = observation(Recipe())


def proposed(cure: Cure, network: Network) -> tuple[Prescription, ...]:
    return cure.propose(replace(SEEN, network=network))


def labels(cure: Cure, network: Network) -> list[str]:
    return [one.label for one in proposed(cure, network)]


def after(network: Network, kind: str) -> Network:
    """Return the plain network with a layer of that kind behind its first hidden one."""
    first, *rest = network.layers[1:]
    return row(first, other(kind), *rest)


def shared(network: Network) -> Network:
    first = network.layers[1]
    return replace(
        network, layers=(*network.layers[:2], replace(network.layers[2], shares=first.name), *network.layers[3:])
    )


def test_the_table_is_in_order_and_complete() -> None:
    names = [cure.NAME for cure in CURES]
    assert names == sorted(names)
    assert all(cure.__name__.rpartition(".")[2] == cure.NAME.replace("-", "_") for cure in CURES)  # type: ignore[attr-defined]


@pytest.mark.parametrize("cure", CURES, ids=lambda cure: cure.NAME)
def test_every_cure_answers_rules_that_there_are(cure: Cure) -> None:
    known = {rule.CODE for rule in RULES}
    assert cure.ANSWERS
    assert set(cure.ANSWERS) <= known
    assert cure.__doc__
    assert "oes harm" in cure.__doc__


@pytest.mark.parametrize("cure", CURES, ids=lambda cure: cure.NAME)
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh", "linear", "other"])
def test_the_output_layer_keeps_its_activation_and_every_edit_names_layers_that_are_there(
    cure: Cure, activation: str
) -> None:
    network = plain(activation)
    smallest = min((INVASIVENESS.index(one.invasiveness) for one in proposed(cure, network)), default=None)
    assert smallest is None or smallest >= INVASIVENESS.index(cure.INVASIVENESS)
    for one in proposed(cure, network):
        assert (one.name, one.answers) == (cure.NAME, cure.ANSWERS)
        assert one.change
        for edit in one.edits:
            names = getattr(edit, "layers", ())
            assert set(names) <= {layer.name for layer in network.layers}
            mirrored = isinstance(edit, Redraw) and edit.scheme == "looks_linear"
            assert mirrored or "l5" not in names


def test_labels_are_told_apart() -> None:
    for activation in ("sigmoid", "relu", "tanh", "linear"):
        found = [one.label for cure in CURES for one in proposed(cure, plain(activation))]
        assert len(found) == len(set(found))


def test_swaps_alone_and_with_what_belongs_to_them() -> None:
    found = {one.label: one for one in proposed(swap_activation, plain())}
    assert list(found) == [
        *(f"swap-activation ({name})" for name in ("tanh", "elu", "selu", "relu", "leaky_relu", "gelu", "silu")),
        "swap-activation (gelu + looks-linear-init)",
        "swap-activation (relu + looks-linear-init)",
        *(f"swap-activation ({name} + he_normal)" for name in ("relu", "leaky_relu", "gelu", "silu")),
    ]
    tanh = found["swap-activation (tanh)"]
    assert (tanh.change, tanh.invasiveness) == ("activation='tanh'", "one word")
    assert tanh.edits == (SwapActivation(layers=HIDDEN, activation="tanh"),)
    relu = found["swap-activation (relu + he_normal)"]
    assert relu.invasiveness == "one line"
    assert relu.edits[1] == Redraw(layers=HIDDEN, scheme="normal", gain=2**0.5)
    mirrored = found["swap-activation (gelu + looks-linear-init)"]
    assert mirrored.edits[1] == Redraw(layers=(*HIDDEN, "l5"), scheme="looks_linear")
    assert mirrored.transmission == 1.0


def test_a_swap_touches_only_those_that_apply_the_common_activation() -> None:
    mixed = row(dense("relu"), dense("sigmoid"), dense("sigmoid"), dense("softmax", 10))
    assert proposed(swap_activation, mixed)[0].edits == (SwapActivation(layers=("l2", "l3"), activation="tanh"),)


def test_activation_layers_are_swapped_as_well() -> None:
    network = row(dense("linear"), other("activation", activation="sigmoid"), dense("linear", 1))
    assert proposed(swap_activation, network)[0].edits == (SwapActivation(layers=("l2",), activation="tanh"),)


def test_no_swap_without_an_activation_and_none_to_itself() -> None:
    assert proposed(swap_activation, plain("linear")) == ()
    assert proposed(swap_activation, plain("other")) == ()
    assert "swap-activation (tanh)" not in labels(swap_activation, plain("tanh"))


def test_the_head_reaches_back_to_the_last_kernel() -> None:
    network = row(dense("tanh"), dense("linear", 10), other("activation", activation="softmax"))
    assert head(network) == {"l2", "l3"}
    assert [layer.name for layer in hidden(network)] == ["l0", "l1"]


def test_frozen_and_shared_layers_are_left_out() -> None:
    network = plain("relu")
    frozen = replace(
        network, layers=tuple(replace(x, trainable=False) if x.name == "l1" else x for x in network.layers)
    )
    assert proposed(rescale_init, frozen)[0].edits[0].layers == ("l2", "l3", "l4")  # type: ignore[union-attr]
    assert proposed(rescale_init, shared(network))[0].edits[0].layers == ("l1", "l3", "l4")  # type: ignore[union-attr]
    assert proposed(looks_linear_init, frozen) == ()


def test_rescale_init() -> None:
    (found,) = proposed(rescale_init, RELU)
    assert found.change == "kernel_initializer='he_normal'"
    assert found.invasiveness == "initialisation only"
    assert found.edits == (Redraw(layers=HIDDEN, scheme="normal", gain=2**0.5),)
    assert proposed(rescale_init, plain("relu", gain=1.4)) == ()
    assert proposed(rescale_init, plain("sigmoid")) == ()
    assert proposed(rescale_init, after(RELU, "batch_norm")) == ()
    assert labels(rescale_init, plain("tanh", gain=2.0)) == ["rescale-init (lecun_normal)"]


def test_units_that_are_alike_are_drawn_again() -> None:
    network = plain("tanh")
    alike = replace(network, layers=tuple(replace(x, distinct_units=1) if x.kernel else x for x in network.layers))
    assert proposed(rescale_init, network) == ()
    assert labels(rescale_init, alike) == ["rescale-init (lecun_normal)"]


def test_orthogonal_init() -> None:
    (found,) = proposed(orthogonal_init, RELU)
    assert found.edits == (Redraw(layers=HIDDEN, scheme="orthogonal", gain=2**0.5),)
    assert proposed(orthogonal_init, plain("sigmoid")) == ()
    assert proposed(orthogonal_init, after(RELU, "layer_norm")) == ()


def test_data_driven_init() -> None:
    (found,) = proposed(data_driven_init, RELU)
    assert found.edits == (Redraw(layers=HIDDEN, scheme="orthogonal"), UnitVariance(layers=HIDDEN))
    assert found.invasiveness == "initialisation only"
    assert proposed(data_driven_init, plain("sigmoid")) == ()
    assert proposed(data_driven_init, after(RELU, "batch_norm")) == ()


def test_centred_orthogonal_init() -> None:
    (found,) = proposed(centred_orthogonal_init, plain())
    assert found.edits == (
        Redraw(layers=("l1",), scheme="orthogonal", gain=4.0),
        Redraw(layers=("l2", "l3", "l4"), scheme="centred_orthogonal", gain=4.0),
    )


@pytest.mark.parametrize("kind", ["batch_norm", "dropout", "add", "other", "pool"])
def test_nothing_is_centred_behind(kind: str) -> None:
    assert proposed(centred_orthogonal_init, after(plain(), kind)) == ()


def test_nothing_is_centred_without_a_sigmoid_or_a_bias() -> None:
    assert proposed(centred_orthogonal_init, RELU) == ()
    network = plain()
    bare = replace(network, layers=tuple(replace(layer, bias=None) for layer in network.layers))
    assert proposed(centred_orthogonal_init, bare) == ()


def test_looks_linear_init() -> None:
    (found,) = proposed(looks_linear_init, RELU)
    assert found.edits == (Redraw(layers=(*HIDDEN, "l5"), scheme="looks_linear"),)
    assert found.transmission == 1.0
    assert proposed(looks_linear_init, plain("tanh")) == ()
    assert proposed(looks_linear_init, plain("relu", units=63)) == ()


@pytest.mark.parametrize("kind", ["batch_norm", "dropout", "add", "conv", "other"])
def test_nothing_looks_linear_behind(kind: str) -> None:
    network = after(RELU, kind)
    assert proposed(looks_linear_init, network) == ()
    assert not [label for label in labels(swap_activation, after(plain(), kind)) if "looks-linear" in label]


def test_what_narrows_does_not_look_linear() -> None:
    def of(*widths: int) -> Network:
        sides = zip((20, *widths), widths, strict=False)
        return row(*(dense("relu", units, before) for before, units in sides), dense("linear", 1, widths[-1]))

    assert len(proposed(looks_linear_init, of(64, 64, 64))) == 1
    assert len(proposed(looks_linear_init, of(16, 32, 64))) == 1
    assert proposed(looks_linear_init, of(64, 32, 16)) == ()


def test_a_branch_does_not_look_linear() -> None:
    assert proposed(looks_linear_init, replace(RELU, edges=(*RELU.edges, Edge("l1", "l3")))) == ()


@pytest.mark.parametrize(("cure", "kind"), [(add_batch_norm, "batch_norm"), (add_layer_norm, "layer_norm")])
def test_norms(cure: Cure, kind: str) -> None:
    found = proposed(cure, plain())
    assert {one.variant: one.edits for one in found} == {
        "before": (AddNorm(layers=HIDDEN, kind=kind, before=True),),  # type: ignore[arg-type]
        "after": (AddNorm(layers=HIDDEN, kind=kind, before=False),),  # type: ignore[arg-type]
    }
    assert proposed(cure, after(plain(), "rms_norm")) == ()
    assert all(one.invasiveness == "architecture" for one in found)


def test_residual_where_the_width_stays() -> None:
    network = row(
        dense(units=32),
        dense(units=32, fan_in=32),
        dense(units=16, fan_in=32),
        dense(units=16, fan_in=16),
        dense("linear", 1, 16),
    )
    network = replace(
        network, layers=tuple(replace(x, shape=(20,)) if x.kind == "input" else x for x in network.layers)
    )
    assert proposed(add_residual, network)[0].edits == (AddResidual(layers=("l2", "l4")),)
    assert proposed(add_residual, after(plain(), "add")) == ()


def test_clip() -> None:
    """Of all together first: the bound that stands in every table. None where the optimizer clips already."""
    assert [one.edits[0] for one in proposed(clip_gradient, plain())] == [
        Clip(kind="global_norm", bound=1.0),
        Clip(kind="norm", bound=1.0),
        Clip(kind="value", bound=0.5),
    ]
    clipped = replace(SEEN, optimizer=replace(SEEN.optimizer, clipping="clipnorm 1"))
    assert clip_gradient.propose(clipped) == ()
