"""Synthetic observations of trainings in half precision: weights, gradients and arithmetic of few digits."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.observation import Observation, OptimizerInfo
from unvanish.testing.specimen_edits import with_gradients, with_losses
from unvanish.testing.specimens_of_depth import healthy_tanh

LAYERS = 12


def bfloat16_weights() -> Observation:
    """Return bfloat16 weights that lie 1e-3 apart under updates of 2e-4: nothing moves."""
    return with_losses(bfloat16_weights_that_learn(), 0.71, 0.70)


def bfloat16_weights_that_learn() -> Observation:
    """Return the same where the few updates that are kept are enough."""
    seen = _weights(healthy_tanh(), "bfloat16")
    return replace(seen, optimizer=replace(seen.optimizer, learning_rate=2e-4))


def bfloat16_large_updates() -> Observation:
    """Return bfloat16 weights under updates of 1e-3, most of which they hold."""
    return _weights(with_losses(healthy_tanh(), 0.71, 0.70), "bfloat16")


def bfloat16_arithmetic() -> Observation:
    """Return the small updates on float32 weights: half precision is in the arithmetic alone."""
    return _arithmetic(_weights(bfloat16_weights(), "float32"), "bfloat16")


def float16_underflow() -> Observation:
    """Return float16 arithmetic on a loss so small that the gradients round to zero; the first kernels have none."""
    factors = [0.0 if i < 4 else 3e-7 for i in range(LAYERS)]
    seen = with_gradients(_arithmetic(with_losses(healthy_tanh(), 1e-6, 1e-6, chance=None), "float16"), factors)
    return replace(seen, optimizer=OptimizerInfo(name="SGD", family="sgd", learning_rate=1e7))


def float16_scaled() -> Observation:
    """Return the same under a dynamic loss scale, by which the gradients that are told were divided."""
    seen = float16_underflow()
    return replace(seen, optimizer=replace(seen.optimizer, dynamic_loss_scale=True))


def float16_in_range() -> Observation:
    """Return float16 arithmetic whose gradients float16 can hold."""
    return _arithmetic(healthy_tanh(), "float16")


def _weights(seen: Observation, dtype: str) -> Observation:
    parameters = tuple(replace(parameter, dtype=dtype) for parameter in seen.network.parameters)
    return replace(seen, network=replace(seen.network, parameters=parameters))


def _arithmetic(seen: Observation, dtype: str) -> Observation:
    return replace(seen, profiles=tuple(replace(profile, dtype=dtype) for profile in seen.profiles))
