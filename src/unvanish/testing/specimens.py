"""Synthetic observations that the rules are tried on: at least one that must fire and one that must not, per rule.

Each is a healthy or a sick network with one thing made wrong, or harmless though it looks wrong. Nothing is measured;
the numbers follow the laws that theory and measurements gave. The expected verdict of every rule on every specimen
is committed with the tests.

    from unvanish.rules.judge import judge
    from unvanish.testing.specimens import SPECIMENS

    print(judge(SPECIMENS["tutorial_sigmoid"]()).sentence)
"""

from __future__ import annotations

from collections.abc import Callable

from unvanish.core.observation import Observation
from unvanish.testing import specimens_of_depth as depth
from unvanish.testing import specimens_of_training as training

SPECIMENS: dict[str, Callable[[], Observation]] = {
    "alike_inputs": depth.alike_inputs,
    "all_samples_alike": depth.all_samples_alike,
    "branch_beside_shortcut": depth.branch_beside_shortcut,
    "converged_at_start": training.converged_at_start,
    "converged_by_training": training.converged_by_training,
    "dead_layer": training.dead_layer,
    "died_at_chance": training.died_at_chance,
    "died_while_diverging": training.died_while_diverging,
    "drop_at_one_layer": depth.drop_at_one_layer,
    "exploding": depth.exploding,
    "few_held_out": training.few_held_out,
    "frozen_backbone": training.frozen_backbone,
    "glorot_relu_100": depth.glorot_relu_100,
    "glorot_relu_12": depth.glorot_relu_12,
    "healthy_relu": depth.healthy_relu,
    "healthy_tanh": depth.healthy_tanh,
    "lag_of_unknown_plan": training.lag_of_unknown_plan,
    "lag_without_difference": training.lag_without_difference,
    "lagging_averages": training.lagging_averages,
    "large_steps_predicted": training.large_steps_predicted,
    "large_updates": training.large_updates,
    "large_updates_that_learn": training.large_updates_that_learn,
    "learns_anyway": depth.learns_anyway,
    "many_dead_units": training.many_dead_units,
    "mild_sigmoid": depth.mild_sigmoid,
    "nan_from_step_9": training.nan_from_step_9,
    "nan_inputs": training.nan_inputs,
    "narrow_by_luck": depth.narrow_by_luck,
    "one_layer": depth.one_layer,
    "one_unit_softmax": training.one_unit_softmax,
    "ones_output": training.ones_output,
    "overflowing": depth.overflowing,
    "random_labels_learnt": training.random_labels_learnt,
    "random_labels_too_early": training.random_labels_too_early,
    "recovered": depth.recovered,
    "shallow_sigmoid": depth.shallow_sigmoid,
    "shallow_sigmoid_sgd": depth.shallow_sigmoid_sgd,
    "silent_by_chance": training.silent_by_chance,
    "small_learning_rate": training.small_learning_rate,
    "small_loss_scale": training.small_loss_scale,
    "small_weights_unmeasured": training.small_weights_unmeasured,
    "swelling": depth.swelling,
    "swelling_quietly": depth.swelling_quietly,
    "swelling_residual": depth.swelling_residual,
    "tapering_widths": depth.tapering_widths,
    "tiny_learning_rate": training.tiny_learning_rate,
    "tutorial_batch_norm": depth.tutorial_batch_norm,
    "tutorial_sigmoid": depth.tutorial_sigmoid,
    "two_layers": depth.two_layers,
    "underflowing": depth.underflowing,
    "unused_branch": training.unused_branch,
    "weight_penalty": depth.weight_penalty,
    "zero_branches": training.zero_branches,
    "zero_output": training.zero_output,
    "zero_output_at_start": training.zero_output_at_start,
}
"""Name -> builder, in alphabetical order; each builder's docstring says what the specimen is."""
