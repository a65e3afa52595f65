"""GF501, GF503, GF603 and GF904: what they say about paths, optimizers, symmetry and heads, case by case."""

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.network import Edge, Layer, Parameter
from unvanish.core.observation import Observation
from unvanish.rules import gf501_no_path_to_loss as gf501
from unvanish.rules import gf502_gradient_exactly_zero as gf502
from unvanish.rules import gf503_parameter_not_optimised as gf503
from unvanish.rules import gf603_symmetric_initialisation as gf603
from unvanish.rules import gf904_head_and_loss_mismatch as gf904
from unvanish.rules.paths import between, readers
from unvanish.testing.specimen_edits import edit_kernels, edit_profiles, edit_rows, only_start, with_losses
from unvanish.testing.specimens import SPECIMENS


def finding(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Finding), verdict
    return verdict


def test_a_cut_names_what_is_cut_off_and_what_learns_behind_it() -> None:
    found = finding(gf501.judge(SPECIMENS["cut_in_the_middle"]()))
    assert (found.severity, found.verdict) == ("error", "blocked")
    assert found.layers == ("dense", "dense_1", "dense_2", "dense_3", "dense_4", "dense_5")
    assert found.why.startswith("dense_6 learns and reads what they give out")
    cut, whole = 21 * 64 + 5 * 65 * 64, 21 * 64 + 10 * 65 * 64 + 65
    assert found.evidence["unreached_share"] == pytest.approx(cut / whole, rel=1e-9, abs=0)
    assert found.evidence["learning_behind"] == 6


def test_what_has_no_path_is_not_told_as_an_exact_zero_too() -> None:
    assert isinstance(gf502.judge(SPECIMENS["cut_in_the_middle"]()), Clear)
    assert isinstance(gf502.judge(SPECIMENS["cut_off_altogether"]()), Clear)


def test_a_loss_that_depends_on_nothing_is_blocked() -> None:
    found = finding(gf501.judge(SPECIMENS["cut_off_altogether"]()))
    assert found.severity == "error"
    assert "100 % of the weights" in found.message


def test_an_unused_part_is_a_note_and_most_of_the_weights_a_warning() -> None:
    seen = SPECIMENS["unused_pooler"]()
    assert finding(gf501.judge(seen)).severity == "note"
    large = tuple(replace(p, shape=(4096, 64)) if p.layer == "pooler" else p for p in seen.network.parameters)
    most = replace(seen, network=replace(seen.network, parameters=large))
    assert finding(gf501.judge(most)).severity == "warning"


def test_a_path_around_a_cut_makes_it_a_warning() -> None:
    found = finding(gf501.judge(SPECIMENS["cut_beside_a_path"]()))
    assert (found.severity, found.layers) == ("warning", ("dense_5",))


def test_a_gradient_at_any_step_proves_a_path() -> None:
    seen = SPECIMENS["cut_in_the_middle"]()
    moved = edit_rows(seen, "gradient_norm", lambda step, i, norm: 1e-9 if step == 2 or i > 5 else norm)
    assert isinstance(gf501.judge(moved), Clear)


def test_frozen_and_left_out_layers_need_no_path() -> None:
    seen = SPECIMENS["cut_in_the_middle"]()
    frozen = edit_kernels(seen, lambda i, layer: replace(layer, trainable=i > 5))
    still = tuple(replace(p, trainable=int(p.layer[6:] or 0) > 5) for p in seen.network.parameters)
    assert isinstance(gf501.judge(replace(frozen, network=replace(frozen.network, parameters=still))), Clear)
    left_out = tuple(replace(p, optimised=int(p.layer[6:] or 0) > 5) for p in seen.network.parameters)
    assert isinstance(gf501.judge(replace(seen, network=replace(seen.network, parameters=left_out))), Clear)


def test_shares_are_of_the_layers_where_no_array_was_listed() -> None:
    seen = SPECIMENS["cut_in_the_middle"]()
    found = finding(gf501.judge(replace(seen, network=replace(seen.network, parameters=()))))
    assert found.evidence["unreached_share"] == pytest.approx(22144 / 43009, rel=1e-9, abs=0)
    unordered = replace(seen, network=replace(seen.network, edges=()))
    assert finding(gf501.judge(unordered)).severity == "error"


def test_an_array_of_no_known_layer_is_named_itself() -> None:
    seen = SPECIMENS["healthy_tanh"]()
    stray = Parameter(name="extra.weight", shape=(8, 8), optimised=True)
    network = replace(seen.network, parameters=(*seen.network.parameters, stray))
    profiles = tuple(replace(p, unreached=("extra.weight",)) for p in seen.profiles)
    found = finding(gf501.judge(replace(seen, network=network, profiles=profiles)))
    assert (found.severity, found.layers) == ("note", ())
    assert "extra.weight" in found.message
    once = (profiles[0], replace(profiles[1], unreached=()))
    assert isinstance(gf501.judge(replace(seen, network=network, profiles=once)), Clear)


def test_paths_that_nobody_looked_for_are_undecided_only_without_a_gradient() -> None:
    verdict = gf501.judge(SPECIMENS["paths_unseen"]())
    assert isinstance(verdict, Undecided)
    assert verdict.reason.startswith("1 kernels showed no gradient")
    seen = edit_profiles(SPECIMENS["healthy_tanh"](), lambda _, layer: replace(layer, reached=None))
    assert isinstance(gf501.judge(seen), Clear)


def test_what_no_optimizer_holds_is_counted_in_arrays_and_weights() -> None:
    found = finding(gf503.judge(SPECIMENS["head_alone_optimised"]()))
    assert found.evidence["parameters_left_out"] == 22
    assert found.evidence["left_out_share"] == pytest.approx(1 - 65 / 43009, rel=1e-9, abs=0)
    assert found.layers[-1] == "dense_10"


def test_tied_arrays_are_held_where_one_of_them_is() -> None:
    seen = SPECIMENS["healthy_tanh"]()
    first = Parameter(name="embedding", layer="dense", shape=(9, 9), optimised=False)
    second = Parameter(name="head", layer="dense_11", shape=(9, 9), optimised=True, tied_to="embedding")
    tied = replace(seen, network=replace(seen.network, parameters=(*seen.network.parameters, first, second)))
    assert isinstance(gf503.judge(tied), Clear)
    alone = replace(seen, network=replace(seen.network, parameters=(*seen.network.parameters, first)))
    assert finding(gf503.judge(alone)).message.startswith("1 weight array in no optimizer: dense")


def test_unlisted_arrays_are_undecided_and_frozen_ones_clear() -> None:
    seen = SPECIMENS["healthy_tanh"]()
    assert isinstance(gf503.judge(replace(seen, network=replace(seen.network, parameters=()))), Undecided)
    frozen = tuple(replace(p, trainable=False, optimised=False) for p in seen.network.parameters)
    still = edit_kernels(seen, lambda _, layer: replace(layer, trainable=False))
    assert isinstance(gf503.judge(replace(still, network=replace(still.network, parameters=frozen))), Clear)
    assert isinstance(gf503.judge(SPECIMENS["optimizer_unseen"]()), Undecided)


def test_units_that_are_still_equal_after_steps_are_blocked() -> None:
    found = finding(gf603.judge(SPECIMENS["constant_weights"]()))
    assert (found.severity, found.verdict) == ("error", "blocked")
    assert found.message == "all units of dense, dense_1, dense_2 are equal: each works as a single unit"
    assert found.evidence["distinct_units_later"] == 1
    assert found.cures[0].change == "kernel_initializer='he_normal'"


def test_before_a_step_constant_readers_decide() -> None:
    """The third constant layer is read by random weights, which tell its units apart at the first step."""
    assert finding(gf603.judge(SPECIMENS["constant_weights_at_start"]())).layers == ("dense", "dense_1")


def test_a_dropout_in_between_tells_units_apart() -> None:
    seen = SPECIMENS["constant_weights_at_start"]()
    layers = list(seen.network.layers)
    layers.insert(2, Layer(name="dropout", kind="dropout", type="Dropout", keep=0.5))
    edges = (Edge("input", "dense"), Edge("dense", "dropout"), Edge("dropout", "dense_1"), *seen.network.edges[2:])
    seen = replace(seen, network=replace(seen.network, layers=tuple(layers), edges=edges))
    assert [layer.name for layer in between(seen.network, "dense")] == ["dropout"]
    assert [layer.name for layer in readers(seen.network, "dense")] == ["dense_1"]
    assert finding(gf603.judge(seen)).layers == ("dense_1",)


def test_equal_units_that_were_told_apart_or_never_moved_are_not_this_rules() -> None:
    assert isinstance(gf603.judge(SPECIMENS["constant_layer_told_apart"]()), Clear)
    seen = SPECIMENS["constant_weights"]()
    unmoved = edit_profiles(seen, lambda _, layer: replace(layer, gradient_norm=0.0))
    assert isinstance(gf603.judge(unmoved), Clear)


def test_constant_weights_are_seen_without_a_count() -> None:
    seen = edit_kernels(SPECIMENS["constant_weights_at_start"](), lambda _, x: replace(x, distinct_units=None))
    seen = edit_profiles(seen, lambda _, layer: replace(layer, distinct_units=None))
    assert finding(gf603.judge(seen)).layers == ("dense", "dense_1")


def test_a_reader_that_is_not_modelled_is_waited_for() -> None:
    seen = only_start(SPECIMENS["constant_layer_told_apart"]())
    layers = tuple(
        Layer(name=x.name, kind="attention", type="Attention", parameters=9) if x.name == "dense_2" else x
        for x in seen.network.layers
    )
    verdict = gf603.judge(replace(seen, network=replace(seen.network, layers=layers)))
    assert isinstance(verdict, Undecided)
    assert "not modelled" in verdict.reason


def head(
    activation: str,
    kind: str,
    *,
    from_logits: bool | None = None,
    units: int = 1,
    labels: tuple[float, float] = (0.0, 1.0),
    label_kind: str = "binary",
) -> Observation:
    """Return a network in which nothing is learnt yet, with this head, loss and labels."""
    seen = with_losses(SPECIMENS["healthy_tanh"](), 0.71, 0.69)
    seen = edit_kernels(seen, lambda i, x: replace(x, activation=activation, units=units) if i == 11 else x)
    loss = replace(seen.loss, kind=kind, head=activation, from_logits=from_logits, units=units)
    data = replace(seen.data, label_min=labels[0], label_max=labels[1], label_kind=label_kind)
    return replace(seen, loss=loss, data=data)


BINARY, CLASSES, SPARSE = "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"
SQUARED = "mean_squared_error"


@pytest.mark.parametrize(
    ("seen", "severity"),
    [
        (head("sigmoid", BINARY, from_logits=False), None),
        (head("linear", BINARY, from_logits=True), None),
        (head("sigmoid", BINARY, from_logits=True), "warning"),
        (head("linear", BINARY, from_logits=False), "warning"),
        (head("tanh", BINARY, from_logits=False), "warning"),
        (head("relu", BINARY, from_logits=False), "warning"),
        (head("sigmoid", BINARY, from_logits=False, labels=(-1.0, 1.0)), "warning"),
        (head("linear", BINARY), None),  # what the loss was told is not known
        (head("softmax", BINARY, from_logits=False), "error"),
        (head("softmax", CLASSES, from_logits=False, units=10), None),
        (head("sigmoid", CLASSES, from_logits=False, units=3), None),
        (head("softplus", CLASSES, from_logits=False, units=3), None),
        (head("relu", CLASSES, from_logits=False, units=3), "warning"),
        (head("linear", SPARSE, from_logits=True, units=10, labels=(0.0, 9.0), label_kind="classes"), None),
        (head("softmax", SPARSE, from_logits=True, units=10, labels=(0.0, 9.0), label_kind="classes"), "warning"),
        (head("relu", SPARSE, from_logits=True, units=10, labels=(0.0, 9.0), label_kind="classes"), "warning"),
        (head("linear", SPARSE, from_logits=False, units=10, labels=(0.0, 9.0), label_kind="classes"), "warning"),
        (head("sigmoid", CLASSES, from_logits=False), "error"),
        (head("linear", SPARSE, from_logits=True), "error"),
        (head("linear", SQUARED, labels=(-400.0, 300.0), label_kind="regression"), None),
        (head("tanh", SQUARED, labels=(-1.0, 1.0), label_kind="regression"), None),
        (head("tanh", SQUARED, labels=(-1.05, 1.04), label_kind="regression"), None),
        (head("tanh", SQUARED, labels=(-3.0, 3.0), label_kind="regression"), "warning"),
        (head("sigmoid", SQUARED, labels=(0.0, 255.0), label_kind="regression"), "warning"),
        (head("relu", SQUARED, labels=(0.0, 500.0), label_kind="regression"), None),
        (head("relu", SQUARED, labels=(-2.0, 2.0), label_kind="regression"), "warning"),
        (head("sigmoid", SQUARED), "note"),
        (head("softmax", SQUARED), "error"),
        (head("linear", SQUARED), None),
    ],
)
def test_heads_losses_and_labels(seen: Observation, severity: str | None) -> None:
    verdict = gf904.judge(seen)
    assert isinstance(verdict, Clear | Finding)
    assert (verdict.severity if isinstance(verdict, Finding) else None) == severity


def test_a_softmax_over_one_unit_is_blocked_by_its_form() -> None:
    found = finding(gf904.judge(head("softmax", BINARY, from_logits=False)))
    assert found.verdict == "blocked"
    assert "softmax over one unit" in found.message
    assert "the prediction stays 1" in found.note
    assert "GF904" in finding(gf502.judge(SPECIMENS["one_unit_softmax"]())).why
    assert finding(gf904.judge(SPECIMENS["one_unit_softmax"]())).note == ""


def test_every_gradient_at_zero_makes_a_mismatch_an_error() -> None:
    found = finding(gf904.judge(SPECIMENS["linear_on_probabilities_blocked"]()))
    assert (found.severity, found.verdict) == ("error", "blocked")
    assert found.evidence["kernels_zero"] == 12


def test_the_messages_say_what_disagrees() -> None:
    assert "the output (a tanh) gives -1 to 1" in finding(gf904.judge(SPECIMENS["labels_beyond_tanh"]())).message
    twice = finding(gf904.judge(SPECIMENS["softmax_twice"]()))
    assert twice.message == "the loss applies the softmax itself, and the output dense_11 is a softmax"
    assert twice.cures[0].change == "no activation in the output layer"
    linear = finding(gf904.judge(SPECIMENS["linear_on_probabilities"]()))
    assert linear.message == "the loss takes probabilities, and the output dense_11 is linear"
    assert linear.cures[0].change == "activation='sigmoid' in the output layer"
    half = finding(gf904.judge(head("relu", SQUARED, labels=(-2.0, 2.0), label_kind="regression")))
    assert half.message.endswith("gives 0 and more")


def test_a_head_behind_a_flatten_is_found_and_an_unknown_one_undecided() -> None:
    seen = head("sigmoid", BINARY, from_logits=True)
    layers = (*seen.network.layers, Layer(name="flatten", kind="flatten", type="Flatten", shape=(1,)))
    edges = (*seen.network.edges, Edge("dense_11", "flatten"))
    behind = replace(seen, network=replace(seen.network, layers=layers, edges=edges, outputs=("flatten",)))
    assert finding(gf904.judge(behind)).layers == ("dense_11",)
    cut = replace(behind, network=replace(behind.network, edges=seen.network.edges))
    assert isinstance(gf904.judge(cut), Undecided)
    assert isinstance(gf904.judge(head("other", BINARY, from_logits=False)), Undecided)
    several = replace(seen, network=replace(seen.network, outputs=("dense_10", "dense_11")))
    assert isinstance(gf904.judge(several), Undecided)
    assert isinstance(gf904.judge(SPECIMENS["custom_loss"]()), Undecided)


def test_a_softmax_that_reads_a_softmax_is_told_as_applied_twice() -> None:
    found = finding(gf904.judge(SPECIMENS["softmax_of_softmax"]()))
    assert found.severity == "warning"
    assert found.message == "the output softmax is a softmax of a softmax (dense_11)"
    assert "applied twice" in found.why
    assert isinstance(gf904.judge(SPECIMENS["softmax_of_logits"]()), Clear)


@pytest.mark.parametrize(
    ("before", "twice"),
    [("softmax", True), ("sigmoid", True), ("tanh", True), ("linear", False), ("relu", False), ("relu6", False)],
)
def test_what_is_bounded_makes_no_logits(before: str, twice: bool) -> None:
    seen = SPECIMENS["softmax_of_softmax"]()
    edited = edit_kernels(seen, lambda i, x: replace(x, activation=before) if i == 11 else x)
    assert isinstance(gf904.judge(edited), Finding) == twice


def test_a_kernel_between_makes_logits_again() -> None:
    """A gate or a tanh in front of the last kernel is no head."""
    seen = SPECIMENS["softmax_of_softmax"]()
    layers = tuple(replace(x, kind="dense") if x.name == "softmax" else x for x in seen.network.layers)
    assert isinstance(gf904.judge(replace(seen, network=replace(seen.network, layers=layers))), Clear)
