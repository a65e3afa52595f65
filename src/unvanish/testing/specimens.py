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
from unvanish.testing import specimens_of_form as form
from unvanish.testing import specimens_of_scale as scale
from unvanish.testing import specimens_of_time as time
from unvanish.testing import specimens_of_training as training

SPECIMENS: dict[str, Callable[[], Observation]] = {
    "alike_inputs": depth.alike_inputs,
    "all_samples_alike": depth.all_samples_alike,
    "branch_beside_shortcut": depth.branch_beside_shortcut,
    "constant_layer_told_apart": form.constant_layer_told_apart,
    "constant_weights": form.constant_weights,
    "constant_weights_at_start": form.constant_weights_at_start,
    "constant_weights_that_learn": form.constant_weights_that_learn,
    "converged_at_start": training.converged_at_start,
    "converged_by_training": training.converged_by_training,
    "custom_loss": form.custom_loss,
    "cut_beside_a_path": form.cut_beside_a_path,
    "cut_in_the_middle": form.cut_in_the_middle,
    "cut_off_altogether": form.cut_off_altogether,
    "cut_that_learns": form.cut_that_learns,
    "dead_in_small_batches": training.dead_in_small_batches,
    "dead_layer": training.dead_layer,
    "died_after_diverging": training.died_after_diverging,
    "died_at_chance": training.died_at_chance,
    "died_while_diverging": training.died_while_diverging,
    "drop_at_one_layer": depth.drop_at_one_layer,
    "exploding": depth.exploding,
    "features_of_many_scales": scale.features_of_many_scales,
    "few_held_out": training.few_held_out,
    "frozen_backbone": training.frozen_backbone,
    "glorot_relu_100": depth.glorot_relu_100,
    "glorot_relu_12": depth.glorot_relu_12,
    "head_alone_optimised": form.head_alone_optimised,
    "healthy_relu": depth.healthy_relu,
    "healthy_tanh": depth.healthy_tanh,
    "inputs_unseen": scale.inputs_unseen,
    "labels_beyond_tanh": form.labels_beyond_tanh,
    "lag_of_unknown_plan": training.lag_of_unknown_plan,
    "lag_without_difference": training.lag_without_difference,
    "lagging_averages": training.lagging_averages,
    "large_steps_predicted": training.large_steps_predicted,
    "large_updates": training.large_updates,
    "large_updates_that_learn": training.large_updates_that_learn,
    "learns_anyway": depth.learns_anyway,
    "linear_on_probabilities": form.linear_on_probabilities,
    "linear_on_probabilities_blocked": form.linear_on_probabilities_blocked,
    "logits_as_wanted": form.logits_as_wanted,
    "lstm_by_design": time.lstm_by_design,
    "lstm_shut": time.lstm_shut,
    "lstm_standing_still": time.lstm_standing_still,
    "many_dead_units": training.many_dead_units,
    "mild_sigmoid": depth.mild_sigmoid,
    "nan_from_step_9": training.nan_from_step_9,
    "nan_inputs": training.nan_inputs,
    "narrow_by_luck": depth.narrow_by_luck,
    "one_layer": depth.one_layer,
    "one_unit_softmax": training.one_unit_softmax,
    "ones_output": training.ones_output,
    "optimizer_unseen": form.optimizer_unseen,
    "overflowing": depth.overflowing,
    "paths_unseen": form.paths_unseen,
    "pixels_normalised_after": scale.pixels_normalised_after,
    "pixels_rescaled_inside": scale.pixels_rescaled_inside,
    "pixels_that_learn": scale.pixels_that_learn,
    "pixels_to_255": scale.pixels_to_255,
    "random_labels_learnt": training.random_labels_learnt,
    "random_labels_too_early": training.random_labels_too_early,
    "recovered": depth.recovered,
    "rnn_begins_to_learn": time.rnn_begins_to_learn,
    "rnn_explodes": time.rnn_explodes,
    "rnn_forgets": time.rnn_forgets,
    "rnn_forgets_at_start": time.rnn_forgets_at_start,
    "rnn_forgets_but_learns": time.rnn_forgets_but_learns,
    "rnn_grows": time.rnn_grows,
    "rnn_grows_but_learns": time.rnn_grows_but_learns,
    "rnn_grows_clipped": time.rnn_grows_clipped,
    "rnn_of_short_sequences": time.rnn_of_short_sequences,
    "rnn_slow_start": time.rnn_slow_start,
    "rnn_tagger": time.rnn_tagger,
    "saturated_and_learnt": scale.saturated_and_learnt,
    "saturated_by_inputs": scale.saturated_by_inputs,
    "saturated_by_steps": scale.saturated_by_steps,
    "saturated_while_diverging": scale.saturated_while_diverging,
    "saturation_unseen": scale.saturation_unseen,
    "shallow_sigmoid": depth.shallow_sigmoid,
    "shallow_sigmoid_sgd": depth.shallow_sigmoid_sgd,
    "silent_by_chance": training.silent_by_chance,
    "silent_first_sample": training.silent_first_sample,
    "small_learning_rate": training.small_learning_rate,
    "small_loss_scale": training.small_loss_scale,
    "small_weights_unmeasured": training.small_weights_unmeasured,
    "softmax_twice": form.softmax_twice,
    "squared_error_on_probability": form.squared_error_on_probability,
    "swelling": depth.swelling,
    "swelling_quietly": depth.swelling_quietly,
    "swelling_residual": depth.swelling_residual,
    "tapering_widths": depth.tapering_widths,
    "time_unseen": time.time_unseen,
    "tiny_learning_rate": training.tiny_learning_rate,
    "tokens_embedded": scale.tokens_embedded,
    "tutorial_batch_norm": depth.tutorial_batch_norm,
    "tutorial_sigmoid": depth.tutorial_sigmoid,
    "two_layers": depth.two_layers,
    "underflowing": depth.underflowing,
    "units_not_compared": form.units_not_compared,
    "unscaled_targets": scale.unscaled_targets,
    "unused_branch": training.unused_branch,
    "unused_pooler": form.unused_pooler,
    "weight_penalty": depth.weight_penalty,
    "zero_branches": training.zero_branches,
    "zero_output": training.zero_output,
    "zero_output_at_start": training.zero_output_at_start,
}
"""Name -> builder, in alphabetical order; each builder's docstring says what the specimen is."""
