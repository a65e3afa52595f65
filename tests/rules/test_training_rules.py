"""GF202, GF301 to GF303, GF401, GF502 and the GF9xx: what they say, number by number."""

import math

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.network import Edge, Layer
from unvanish.core.observation import Observation
from unvanish.rules import gf202_dead_units as gf202
from unvanish.rules import gf301_update_too_small as gf301
from unvanish.rules import gf302_update_too_large as gf302
from unvanish.rules import gf303_adam_epsilon_floor as gf303
from unvanish.rules import gf401_non_finite_values as gf401
from unvanish.rules import gf502_gradient_exactly_zero as gf502
from unvanish.rules import gf901_labels_carry_no_signal as gf901
from unvanish.rules import gf903_already_converged as gf903
from unvanish.rules import gf905_normalisation_statistics_lag as gf905
from unvanish.rules.step_sizes import step_sizes
from unvanish.testing.specimen_edits import (
    edit_profiles,
    edit_rows,
    only_start,
    with_evaluation,
    with_losses,
)
from unvanish.testing.specimens import SPECIMENS


def finding(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Finding), verdict
    return verdict


def dead(share: float, units: int = 64, samples: int = 128) -> Observation:
    seen = SPECIMENS["healthy_relu"]()
    layers = tuple(replace(x, units=units) if x.activation == "relu" else x for x in seen.network.layers)
    seen = edit_profiles(seen, lambda i, x: replace(x, dead_share=share if i == 3 else 0.1))
    profiles = tuple(replace(profile, batches=1, batch_size=samples) for profile in seen.profiles)
    return with_losses(replace(seen, network=replace(seen.network, layers=layers), profiles=profiles), 0.6931, 0.6931)


@pytest.mark.parametrize(
    ("share", "units", "severity"),
    [
        (0.68, 64, None),
        (0.72, 64, "warning"),
        (0.92, 64, "error"),
        (0.8, 5, None),
        (1.0, 5, "error"),
        (0.54, 1000, None),
        (0.56, 1000, "warning"),
    ],
)
def test_dead_shares_are_judged_at_the_layers_width(share: float, units: int, severity: str | None) -> None:
    verdict = gf202.judge(dead(share, units))
    assert (verdict.severity if isinstance(verdict, Finding) else None) == severity


def test_a_few_samples_do_not_make_units_dead() -> None:
    assert isinstance(gf202.judge(dead(0.95, samples=3)), Clear)
    assert isinstance(gf202.judge(dead(1.0, samples=3)), Undecided)
    assert isinstance(gf202.judge(dead(1.0, samples=30)), Finding)


def test_steps_without_a_gradient_confirm_that_a_layer_is_silent() -> None:
    """Of three samples a look, one step in two was sampled; those since the death say the same of three more each."""
    seen = SPECIMENS["dead_in_small_batches"]()
    found, later = finding(gf202.judge(seen)), len(seen.recording.steps) - 1
    assert found.severity == "error"
    assert found.evidence["samples"] == 3 + 3 * later
    alive = edit_rows(seen, "gradient_norm", lambda step, _, norm: norm if step < 50 else 1e-30)
    assert isinstance(gf202.judge(alive), Undecided)


def test_units_that_died_of_a_step_are_the_steps_fault_wherever_the_loss_stands() -> None:
    for name in ("died_while_diverging", "died_after_diverging"):
        found = finding(gf202.judge(SPECIMENS[name]()))
        assert found.severity == "warning"
        assert "see GF302" in found.note
    assert "the loss rose to 1e+09 on the way" in finding(gf302.judge(SPECIMENS["died_after_diverging"]())).why


def test_a_shortcut_leads_around_a_dead_layer() -> None:
    seen = dead(1.0)
    assert finding(gf202.judge(seen)).severity == "error"
    network = seen.network
    around = replace(
        network,
        layers=(*network.layers, Layer(name="add", kind="add", type="Add")),
        edges=(*network.edges, Edge("dense_2", "add")),
    )
    found = finding(gf202.judge(replace(seen, network=around)))
    assert found.severity == "warning"
    assert "a shortcut leads around it" in found.note


def test_relu_layers_that_were_not_seen_are_undecided() -> None:
    seen = edit_profiles(SPECIMENS["healthy_relu"](), lambda _, x: replace(x, dead_share=None))
    assert isinstance(gf202.judge(seen), Undecided)


def test_the_message_counts_units() -> None:
    assert (
        finding(gf202.judge(dead(1.0))).message
        == "all 64 units of dense_3 are zero on every sample after 60 steps (100 % at step 0)"
    )
    assert finding(gf202.judge(dead(0.92))).message == (
        "92 % of the 64 units of dense_3 are zero on every sample after 60 steps (92 % at step 0)"
    )


def test_the_fastest_layer_decides_whether_the_step_is_too_small() -> None:
    found = finding(gf301.judge(SPECIMENS["tiny_learning_rate"]()))
    assert (found.severity, found.verdict) == ("error", "untrainable-step")
    assert found.evidence["planned_steps"] == 125
    assert found.evidence["steps_to_learn"] == pytest.approx(0.125 / 1e-7, rel=1e-3, abs=0)
    assert isinstance(gf301.judge(SPECIMENS["tutorial_sigmoid"]()), Clear)


def test_an_unknown_plan_is_said_to_be_assumed() -> None:
    found = finding(gf301.judge(replace(SPECIMENS["tiny_learning_rate"](), planned_steps=None)))
    assert found.message.endswith("10,000 are assumed to be planned")


def test_a_fading_signal_is_named_as_the_cause_of_small_steps() -> None:
    assert "GF104" in finding(gf301.judge(SPECIMENS["glorot_relu_100"]())).note


def test_large_steps_are_predicted_for_sgd() -> None:
    found = finding(gf302.judge(SPECIMENS["large_steps_predicted"]()))
    assert "predicted" in found.why
    gentle = replace(
        SPECIMENS["large_steps_predicted"](),
        optimizer=replace(SPECIMENS["large_steps_predicted"]().optimizer, learning_rate=0.1),
    )
    assert isinstance(gf302.judge(gentle), Clear)


def test_a_single_large_step_counts_only_where_steps_follow_the_gradient() -> None:
    seen = with_losses(SPECIMENS["healthy_tanh"](), 0.71, 0.70)
    norms = seen.recording.rows["weight_norm"][0]
    once = edit_rows(seen, "update_norm", lambda step, i, n: 3 * norms[i] if step == 0 else n)
    assert isinstance(gf302.judge(once), Clear)
    sgd = replace(once, optimizer=replace(once.optimizer, family="sgd"))
    assert finding(gf302.judge(sgd)).severity == "error"


def test_a_rising_loss_is_too_large_a_step_whatever_the_ratio() -> None:
    found = finding(gf302.judge(with_losses(SPECIMENS["healthy_tanh"](), 0.71, 2.0)))
    assert "the loss rose to 2" in found.why


def test_steps_that_move_nothing_are_not_too_large_whatever_the_batches_say() -> None:
    seen = with_losses(SPECIMENS["one_unit_softmax"](), 0.71, 2.0)
    assert isinstance(gf302.judge(edit_rows(seen, "update_norm", lambda *_: 0.0)), Clear)


def test_not_a_number_without_large_steps_is_not_the_steps() -> None:
    seen = SPECIMENS["nan_from_step_9"]()
    assert isinstance(gf302.judge(seen), Clear)
    norms = seen.recording.rows["weight_norm"][0]
    thrown = edit_rows(seen, "update_norm", lambda _, i, __: 0.5 * norms[i])
    found = finding(gf302.judge(thrown))
    assert found.verdict == "untrainable-step"
    assert found.evidence["nonfinite_from_step"] == 10


def test_the_epsilon_share_is_told_as_a_range_of_layers() -> None:
    found = finding(gf303.judge(SPECIMENS["tutorial_sigmoid"]()))
    assert found.message == "Adam's epsilon (1e-7) is 42-97 % of the denominator in dense..dense_3 (4 layers)"
    assert (found.severity, found.verdict) == ("warning", None)
    assert found.cures[0].change == "epsilon=1e-12"


@pytest.mark.parametrize("change", [{"family": "sgd"}, {"epsilon": None}, {"epsilon": 1e-15}])
def test_no_epsilon_no_floor(change: dict[str, object]) -> None:
    seen = SPECIMENS["tutorial_sigmoid"]()
    assert isinstance(gf303.judge(replace(seen, optimizer=replace(seen.optimizer, **change))), Clear)


def test_the_earliest_place_is_named() -> None:
    seen = SPECIMENS["nan_inputs"]()
    assert finding(gf401.judge(seen)).message == "17 input values are not finite"
    labels = replace(seen, data=replace(seen.data, input_nonfinite=0, label_nonfinite=3))
    assert finding(gf401.judge(labels)).message == "3 labels are not finite"
    outputs = replace(seen, data=replace(seen.data, input_nonfinite=0))
    assert finding(gf401.judge(outputs)).message == "640 output values of dense are not finite before the first step"
    later = finding(gf401.judge(SPECIMENS["nan_from_step_9"]()))
    assert later.message == "the loss is nan from step 10 on"
    assert later.evidence["first_step"] == 10


def test_broken_weights_losses_and_gradients_are_found() -> None:
    seen = SPECIMENS["healthy_tanh"]()
    weights = edit_profiles(seen, lambda i, x: replace(x, weight_norm=math.inf) if i == 2 else x)
    assert "the weights of dense_2 are not finite" in finding(gf401.judge(weights)).message
    loss = with_losses(seen, math.nan, math.nan)
    assert "all outputs are finite" in finding(gf401.judge(loss)).message
    gradient = edit_profiles(seen, lambda i, x: replace(x, gradient_nonfinite=5) if i in (2, 4) else x, last=False)
    assert finding(gf401.judge(gradient)).layers == ("dense_4",)
    stepped = edit_rows(seen, "gradient_nonfinite", lambda step, i, _: 7.0 if step == 4 and i == 1 else 0.0)
    assert finding(gf401.judge(stepped)).message == "7 gradient entries of dense_1 are not finite at step 4"
    after = replace(seen, profiles=(seen.profiles[0], replace(seen.profiles[1], loss=math.inf)))
    assert "the loss is inf after step 60" in finding(gf401.judge(after)).message


def test_one_kernel_without_gradient_is_enough() -> None:
    found = finding(gf502.judge(SPECIMENS["unused_branch"]()))
    assert found.layers == ("dense_5",)
    assert found.evidence["kernels_zero"] == 1
    assert found.evidence["zero_at_start"] == 1


def test_a_kernel_that_moved_at_the_last_step_is_not_blocked() -> None:
    seen = SPECIMENS["unused_branch"]()
    moved = edit_rows(seen, "gradient_norm", lambda _, i, norm: 1e-3 if i == 5 else norm)
    assert isinstance(gf502.judge(moved), Clear)


def test_a_converged_network_is_not_blocked() -> None:
    seen = with_losses(SPECIMENS["unused_branch"](), 0.71, 0.001)
    assert isinstance(gf502.judge(seen), Clear)


@pytest.mark.parametrize(("chance", "last", "kind"), [(None, 0.0, Undecided), (None, 0.5, Finding), (1.0, 0.0, Clear)])
def test_a_loss_of_exactly_0_may_be_all_there_is_to_reach(chance: float | None, last: float, kind: type) -> None:
    seen = with_losses(SPECIMENS["dead_layer"](), 1.0, last)
    assert isinstance(gf502.judge(replace(seen, loss=replace(seen.loss, chance=chance))), kind)


def test_zero_by_design_is_undecided_before_the_first_step() -> None:
    verdict = gf502.judge(only_start(SPECIMENS["zero_branches"]()))
    assert isinstance(verdict, Undecided)
    assert "weights that start at zero" in verdict.reason


def test_labels_without_signal_state_their_power() -> None:
    found = finding(gf901.judge(SPECIMENS["random_labels_learnt"]()))
    assert found.severity == "warning"
    assert found.evidence["smallest_detectable"] == pytest.approx(0.5 + 3.0902 * 0.041, rel=1e-9, abs=0)
    assert "0.63" in found.note
    early = gf901.judge(SPECIMENS["random_labels_too_early"]())
    assert isinstance(early, Undecided)
    assert "200 held-out samples tell scores from 0.63 on from chance, the score is 0.51" in early.reason
    few = gf901.judge(SPECIMENS["few_held_out"]())
    assert isinstance(few, Undecided)
    assert "too few to tell any score" in few.reason


@pytest.mark.parametrize(
    ("moving", "batch", "train", "expected"),
    [
        (0.50, 0.50, 0.99, Finding),
        (0.50, 0.60, 0.99, Finding),  # up to 0.727, below halfway (0.745)
        (0.50, 0.62, 0.99, Undecided),  # up to 0.747
        (0.50, 0.64, 0.99, Clear),  # from 0.513 on
        (0.64, 0.50, 0.99, Undecided),  # the two scores contradict each other: luck, or averages that know better
        (0.64, 0.64, 0.99, Clear),
        (0.50, 0.50, 0.94, Undecided),
        (None, None, 0.99, Undecided),
    ],
)
def test_the_edges_of_the_score(
    moving: float | None, batch: float | None, train: float, expected: type[Verdict]
) -> None:
    seen = with_evaluation(
        SPECIMENS["random_labels_learnt"](), train=train, held_out=moving, held_out_batch_statistics=batch
    )
    assert isinstance(gf901.judge(seen), expected)


@pytest.mark.parametrize(("batches", "expected"), [(0.03, Finding), (0.04, Undecided)])
def test_batches_known_by_heart_are_enough(batches: float, expected: type[Verdict]) -> None:
    """Five per cent of chance: 0.035. Batched otherwise the same samples may score far less."""
    seen = with_evaluation(SPECIMENS["random_labels_learnt"](), train=0.80)
    losses = tuple(batches for _ in seen.recording.losses)
    verdict = gf901.judge(replace(seen, recording=replace(seen.recording, losses=losses)))
    assert isinstance(verdict, expected)
    if isinstance(verdict, Finding):
        assert "a loss of 0.03 on the training's own batches" in verdict.message
        assert verdict.evidence["halfway"] == 0.75


def test_sick_gradients_excuse_the_labels() -> None:
    scores = {"train": 0.99, "held_out": 0.5, "held_out_batch_statistics": 0.5}
    verdict = gf901.judge(with_evaluation(SPECIMENS["tutorial_sigmoid"](), **scores))
    assert isinstance(verdict, Undecided)
    assert "the gradients are not healthy" in verdict.reason


def test_convergence_is_told_with_its_share_of_chance() -> None:
    at_start = finding(gf903.judge(SPECIMENS["converged_at_start"]()))
    assert "before the first step, 1 % of what guessing gives" in at_start.message
    by_training = finding(gf903.judge(SPECIMENS["converged_by_training"]()))
    assert "after 60 steps" in by_training.message
    assert by_training.evidence["gradient_fell_decades"] == pytest.approx(2 + math.log10(1 / 1.31), rel=1e-6, abs=0)


def test_convergence_needs_the_chance_loss_and_enough_samples() -> None:
    seen = SPECIMENS["converged_at_start"]()
    assert isinstance(gf903.judge(replace(seen, loss=replace(seen.loss, chance=None))), Undecided)
    few = replace(seen, profiles=tuple(replace(p, batches=3, batch_size=1) for p in seen.profiles))
    assert isinstance(gf903.judge(few), Clear)


@pytest.mark.parametrize(
    ("chance", "loss", "reason"),
    [
        (None, -0.6, "the loss of a guess is not known for this loss and these labels"),
        (0.0, 0.7, "guessing alone brings the loss to 0: all labels are the same"),
        (0.693, -0.6, "the loss is -0.6, and what guessing gives says nothing of one below 0"),
    ],
)
def test_what_cannot_be_compared_with_guessing_is_said(chance: float | None, loss: float, reason: str) -> None:
    seen = with_losses(SPECIMENS["converged_at_start"](), loss, loss)
    verdict = gf903.judge(replace(seen, loss=replace(seen.loss, chance=chance)))
    assert isinstance(verdict, Undecided)
    assert verdict.reason == reason


def test_the_lag_is_momentum_to_the_power_of_the_steps() -> None:
    found = finding(gf905.judge(SPECIMENS["lagging_averages"]()))
    assert found.evidence["initial_share"] == pytest.approx(0.99**125, rel=1e-9, abs=0)
    assert found.evidence["steps_needed"] == 230
    assert "still hold 28 %" in found.message
    assert "held-out score 0.53, with batch statistics 0.72" in found.effect
    assert len(found.layers) == 11


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ({"held_out_batch_statistics": 0.60}, ""),
        ({"held_out_batch_statistics": 0.66}, "score"),
        ({"held_out_accuracy": 0.5, "held_out_accuracy_batch_statistics": 0.62}, "accuracy"),
        ({"held_out_accuracy": 0.5, "held_out_accuracy_batch_statistics": 0.58}, ""),
        ({"held_out_loss": 0.70, "held_out_loss_batch_statistics": 0.68}, "loss"),
        ({"held_out_loss": 0.70, "held_out_loss_batch_statistics": 0.69}, ""),
    ],
)
def test_the_lag_must_show_somewhere(numbers: dict[str, float], shown: str) -> None:
    same = {"held_out": 0.53, "held_out_batch_statistics": 0.53, "held_out_loss": None, "held_out_accuracy": None}
    verdict = gf905.judge(with_evaluation(SPECIMENS["lagging_averages"](), **(same | numbers)))
    assert isinstance(verdict, Finding) == bool(shown)
    if isinstance(verdict, Finding):
        assert shown in verdict.effect


def test_a_long_training_or_no_batch_norm_does_not_lag() -> None:
    seen = SPECIMENS["lagging_averages"]()
    assert isinstance(gf905.judge(replace(seen, planned_steps=1000)), Clear)
    assert isinstance(gf905.judge(SPECIMENS["healthy_relu"]()), Clear)
    assert isinstance(gf905.judge(replace(seen, evaluation=None)), Undecided)
    watched_long = replace(seen, planned_steps=None, recording=replace(seen.recording, total_steps=300))
    assert isinstance(gf905.judge(watched_long), Clear)


def test_a_lag_of_an_unknown_plan_is_told_as_what_it_is_now() -> None:
    found = finding(gf905.judge(SPECIMENS["lag_of_unknown_plan"]()))
    assert found.severity == "note"
    assert "its length is not known" in found.note
    same = {"held_out": 0.7, "held_out_batch_statistics": 0.7, "held_out_loss": 0.6, "held_out_accuracy": 0.6}
    same |= {"held_out_loss_batch_statistics": 0.6, "held_out_accuracy_batch_statistics": 0.6}
    assert isinstance(gf905.judge(with_evaluation(SPECIMENS["lag_of_unknown_plan"](), **same)), Clear)
    unseen = replace(SPECIMENS["lag_of_unknown_plan"](), evaluation=None)
    assert isinstance(gf905.judge(unseen), Undecided)


def test_units_that_died_while_training_have_a_suspect() -> None:
    seen = dead(1.0)
    start = replace(seen.profiles[0], layers=tuple(replace(x, dead_share=0.1) for x in seen.profiles[0].layers))
    seen = replace(seen, profiles=(start, *seen.profiles[1:]), optimizer=replace(seen.optimizer, learning_rate=0.01))
    last = seen.recording.steps[-3]
    seen = edit_rows(seen, "gradient_norm", lambda step, _, number: 0.0 if step >= last else number)
    found = finding(gf202.judge(seen))
    assert "the units were alive at step 0 and died while training: the likely cause is a learning rate of 0.01" in (
        found.why
    )
    assert f"from step {last} on every gradient is exactly zero" in found.why
    assert found.evidence["all_gradients_zero_from_step"] == last
    ratios = step_sizes(seen)
    assert found.evidence["largest_update_over_weight"] == max(ratios.values())
    assert ratios[int(found.evidence["largest_update_step"])] == max(ratios.values())
    assert [cure.change for cure in found.cures if cure.name == "lower-learning-rate"] == ["learning_rate=0.001"]


def test_units_that_were_dead_from_the_start_have_none() -> None:
    found = finding(gf202.judge(dead(1.0)))
    assert "learning rate" not in found.why
    assert "lower-learning-rate" not in [cure.name for cure in found.cures]
