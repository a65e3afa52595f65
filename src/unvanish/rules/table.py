"""All rules, in the order of their codes, and the order in which causes come before their effects."""

from __future__ import annotations

from unvanish.rules import (
    gf101_gradient_vanishes_with_depth,
    gf102_gradient_explodes_with_depth,
    gf103_gradient_drops_at_one_layer,
    gf104_signal_vanishes_forward,
    gf105_signal_explodes_forward,
    gf201_saturated_units,
    gf202_dead_units,
    gf301_update_too_small,
    gf302_update_too_large,
    gf303_adam_epsilon_floor,
    gf305_update_lost_to_rounding,
    gf401_non_finite_values,
    gf402_gradient_underflows_dtype,
    gf501_no_path_to_loss,
    gf502_gradient_exactly_zero,
    gf503_parameter_not_optimised,
    gf601_gain_below_critical,
    gf602_gain_above_critical,
    gf603_symmetric_initialisation,
    gf701_gradient_vanishes_through_time,
    gf702_gradient_explodes_through_time,
    gf901_labels_carry_no_signal,
    gf902_inputs_unscaled,
    gf903_already_converged,
    gf904_head_and_loss_mismatch,
    gf905_normalisation_statistics_lag,
)
from unvanish.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    gf101_gradient_vanishes_with_depth,
    gf102_gradient_explodes_with_depth,
    gf103_gradient_drops_at_one_layer,
    gf104_signal_vanishes_forward,
    gf105_signal_explodes_forward,
    gf201_saturated_units,
    gf202_dead_units,
    gf301_update_too_small,
    gf302_update_too_large,
    gf303_adam_epsilon_floor,
    gf305_update_lost_to_rounding,
    gf401_non_finite_values,
    gf402_gradient_underflows_dtype,
    gf501_no_path_to_loss,
    gf502_gradient_exactly_zero,
    gf503_parameter_not_optimised,
    gf601_gain_below_critical,
    gf602_gain_above_critical,
    gf603_symmetric_initialisation,
    gf701_gradient_vanishes_through_time,
    gf702_gradient_explodes_through_time,
    gf901_labels_carry_no_signal,
    gf902_inputs_unscaled,
    gf903_already_converged,
    gf904_head_and_loss_mismatch,
    gf905_normalisation_statistics_lag,
)

ROOT_ORDER = (
    "GF603",  # initialisation
    "GF601",
    "GF602",
    "GF104",  # forward signal
    "GF105",
    "GF201",  # activation
    "GF202",
    "GF103",  # gradient
    "GF101",
    "GF102",
    "GF701",
    "GF702",
    "GF904",
    "GF501",
    "GF402",
    "GF502",
    "GF503",  # update
    "GF301",
    "GF302",
    "GF303",
    "GF305",
    "GF401",  # what any of the above may end in; the root cause only where nothing else is wrong
    "GF902",  # data and evaluation
    "GF905",
    "GF901",
    "GF903",
)
"""Causes before effects: the verdict is the word of the first error in this order."""
