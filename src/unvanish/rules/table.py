"""All rules, in the order of their codes, and the order in which causes come before their effects."""

from __future__ import annotations

from unvanish.rules import (
    gf101_gradient_vanishes_with_depth,
    gf102_gradient_explodes_with_depth,
    gf103_gradient_drops_at_one_layer,
    gf104_signal_vanishes_forward,
    gf105_signal_explodes_forward,
    gf202_dead_units,
    gf301_update_too_small,
    gf302_update_too_large,
    gf303_adam_epsilon_floor,
    gf401_non_finite_values,
    gf502_gradient_exactly_zero,
    gf601_gain_below_critical,
    gf602_gain_above_critical,
    gf901_labels_carry_no_signal,
    gf903_already_converged,
    gf905_normalisation_statistics_lag,
)
from unvanish.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    gf101_gradient_vanishes_with_depth,
    gf102_gradient_explodes_with_depth,
    gf103_gradient_drops_at_one_layer,
    gf104_signal_vanishes_forward,
    gf105_signal_explodes_forward,
    gf202_dead_units,
    gf301_update_too_small,
    gf302_update_too_large,
    gf303_adam_epsilon_floor,
    gf401_non_finite_values,
    gf502_gradient_exactly_zero,
    gf601_gain_below_critical,
    gf602_gain_above_critical,
    gf901_labels_carry_no_signal,
    gf903_already_converged,
    gf905_normalisation_statistics_lag,
)

ROOT_ORDER = (
    "GF601",  # initialisation
    "GF602",
    "GF104",  # forward signal
    "GF105",
    "GF202",  # activation
    "GF103",  # gradient
    "GF101",
    "GF102",
    "GF502",
    "GF301",  # update
    "GF302",
    "GF303",
    "GF401",  # what any of the above may end in; the root cause only where nothing else is wrong
    "GF905",  # data and evaluation
    "GF901",
    "GF903",
)
"""Causes before effects: the verdict is the word of the first error in this order."""
