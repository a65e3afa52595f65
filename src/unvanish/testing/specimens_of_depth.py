"""Synthetic observations about depth: how gradient and signal change from layer to layer at the initialisation."""

from __future__ import annotations

import math

from msgspec.structs import replace

from unvanish.core.network import Layer
from unvanish.core.observation import Observation, OptimizerInfo
from unvanish.core.profile import LayerProfile
from unvanish.testing.observations import Recipe, observation
from unvanish.testing.specimen_edits import (
    edit_kernels,
    edit_profiles,
    scaled,
    with_batch_norm,
    with_evaluation,
    with_gains,
    with_gradients,
    with_losses,
    with_signal,
    with_spread,
)

LEARNABLE = {"train": 0.97, "held_out": 0.94, "held_out_batch_statistics": 0.95}


def healthy_tanh(depth: int = 12) -> Observation:
    """Return a healthy network that learns: tanh, 0.97x per layer."""
    seen = observation(Recipe(depth=depth, activation="tanh", factor=0.97, activation_part=0.96, output_norm=0.4))
    return with_evaluation(with_losses(seen, 0.71, 0.42), **LEARNABLE)


def healthy_relu(depth: int = 12) -> Observation:
    """Return a healthy ReLU network with He weights: 1.0x per layer, a third of the units silent, as by chance."""
    seen = observation(
        Recipe(depth=depth, activation="relu", factor=0.99, activation_part=0.71, saturated=None, dead=0.3)
    )
    return with_evaluation(with_gains(with_losses(seen, 0.74, 0.40), 2**0.5, 2**0.5), **LEARNABLE)


def tutorial_sigmoid() -> Observation:
    """Return the tutorial's sick network: sigmoid with Glorot weights, 4.2x per layer, 1 - c collapsing."""
    return with_spread(observation(Recipe()), 0.06)


def weight_penalty() -> Observation:
    """Return the sick network with an L2 penalty in its loss, which gives every kernel a gradient of its own."""

    def penalise(_: int, layer: LayerProfile) -> LayerProfile:
        assert layer.weight_rms is not None
        assert layer.gradient_rms is not None
        rms = math.hypot(layer.gradient_rms, 2e-4 * layer.weight_rms)
        return replace(layer, gradient_rms=rms, gradient_norm=64 * rms)

    def draw(i: int, layer: Layer) -> Layer:
        assert layer.kernel is not None  # no two drawn kernels have the very same moments
        return replace(layer, kernel=replace(layer.kernel, mean=layer.kernel.mean + 1e-6 * i))

    return edit_kernels(edit_profiles(tutorial_sigmoid(), penalise), draw)


def tutorial_batch_norm() -> Observation:
    """Return the tutorial's improved network in a long training: the gradient grows 1.2x per layer, and it learns."""
    seen = observation(Recipe(activation="relu", factor=1.21, activation_part=0.84, saturated=None, dead=0.05))
    seen = with_batch_norm(with_losses(replace(seen, planned_steps=1000), 0.75, 0.45))
    return with_evaluation(seen, **LEARNABLE)


def shallow_sigmoid() -> Observation:
    """Return two hidden sigmoid layers: 3.6x per layer, too few of them to matter."""
    return with_losses(observation(Recipe(depth=3, factor=0.28)), 0.70, 0.66)


def mild_sigmoid() -> Observation:
    """Return three hidden sigmoid layers under Adam: 1.7 decades, which only slow it."""
    return with_losses(observation(Recipe(depth=4, factor=0.27)), 0.70, 0.69)


def shallow_sigmoid_sgd() -> Observation:
    """Return the same under SGD at a learning rate of 0.01: the first layer would need a thousand times the plan."""
    sgd = OptimizerInfo(name="SGD", family="sgd", learning_rate=0.01)
    return replace(mild_sigmoid(), optimizer=sgd)


def one_layer() -> Observation:
    """Return a logistic regression: nothing has depth."""
    return with_losses(observation(Recipe(depth=1)), 0.70, 0.66)


def two_layers() -> Observation:
    """Return one hidden layer and an output: two points for a slope."""
    return with_losses(observation(Recipe(depth=2, activation="tanh", factor=0.8, activation_part=0.9)), 0.70, 0.66)


def glorot_relu_12() -> Observation:
    """Return 12 ReLU layers with Glorot weights: q loses 3.6 decades, the kernels' gradients do not shrink."""
    seen = with_gains(with_signal(healthy_relu(), 0.5), 1.0, 2**0.5)
    return with_gradients(seen, [1.0] * 12, cotangents=[0.7071 ** (11 - i) for i in range(12)])


def glorot_relu_100() -> Observation:
    """Return 100 of them: first/last is 1, and every gradient is 1e-17."""
    seen = with_spread(with_losses(with_signal(healthy_relu(100), 0.5), 0.6932, 0.6931), 0.98)
    seen = with_gains(seen, 1.0, 2**0.5)
    return with_gradients(seen, [1e-15] * 100, cotangents=[0.7071 ** (99 - i) for i in range(100)])


def narrow_by_luck() -> Observation:
    """Return a narrow network whose gradient lost 1.9 decades by the luck of one initialisation."""
    seen = with_losses(observation(Recipe(activation="tanh", factor=0.7, activation_part=0.96)), 0.71, 0.66)
    assert seen.forecast is not None
    return replace(seen, forecast=replace(seen.forecast, log10_sd=1.1, transmission_per_layer=0.99))


def tapering_widths() -> Observation:
    """Return a network whose kernels' gradient RMS shrinks with the widths while the activations' gradient does not."""
    factors = [0.7 ** (11 - i) for i in range(12)]
    return with_gradients(healthy_tanh(), factors, cotangents=[1.0] * 12)


def recovered() -> Observation:
    """Return a sigmoid network whose profile is flat after the watched steps."""
    factors = [0.25 ** -(5 - i) for i in range(6)]
    seen = with_losses(observation(Recipe(depth=6, factor=0.25)), 0.71, 0.67)
    return edit_profiles(seen, lambda i, layer: scaled(layer, factors[i], factors[i]), first=False)


def learns_anyway() -> Observation:
    """Return a sigmoid network of five layers that learns, though its gradient shrinks 2.5 decades."""
    return with_losses(observation(Recipe(depth=5, factor=0.3)), 0.71, 0.40)


def underflowing() -> Observation:
    """Return 100 sigmoid layers: float32 ends before layer 40, whose gradients read exactly zero."""
    seen = with_spread(observation(Recipe(depth=100)), 0.06)
    alive = [0.0 if i < 40 else 1.0 for i in range(100)]
    return with_gradients(seen, alive)


def exploding() -> Observation:
    """Return 30 layers whose gradient grows 1.3x each, in a training that does not get anywhere."""
    seen = observation(Recipe(depth=30, activation="relu", factor=1.3, activation_part=0.9, saturated=None, dead=0.1))
    return with_losses(with_batch_norm(replace(seen, planned_steps=1000)), 0.75, 0.74)


def drop_at_one_layer() -> Observation:
    """Return a healthy network in which the sixth layer is saturated: what lies below gets 1e-3 of the gradient."""
    factors = [1e-3 if i < 6 else 1.0 for i in range(12)]
    seen = with_gradients(with_losses(healthy_tanh(), 0.71, 0.70), factors)

    def saturate(i: int, layer: LayerProfile) -> LayerProfile:
        return replace(layer, saturated_share=0.99, activation_transmission=1e-3) if i == 5 else layer

    return edit_profiles(seen, saturate)


def branch_beside_shortcut() -> Observation:
    """Return a network in which one kernel, beside a shortcut, gets 1e-3 of the others' gradient: nothing is lost."""
    return with_gradients(healthy_tanh(), [1e-3 if i == 5 else 1.0 for i in range(12)])


def all_samples_alike() -> Observation:
    """Return a network that makes all samples alike although its gradient does not shrink."""
    return with_losses(with_spread(healthy_tanh(), 0.03), 0.71, 0.70)


def alike_inputs() -> Observation:
    """Return a healthy network on inputs that are alike already: 1 - c is small and stays as it is."""
    return with_spread(healthy_tanh(), 1.0, first=1e-7)


def swelling() -> Observation:
    """Return 20 ReLU layers drawn with gain 4: the signal grows 2.8x per layer, the first loss is 14."""
    seen = with_signal(with_gains(healthy_relu(20), 4.0, 2**0.5), 8.0)
    seen = with_losses(seen, 14.1, 13.9)
    return with_gradients(seen, [1.0] * 20, cotangents=[2.83 ** (19 - i) for i in range(20)])


def swelling_residual() -> Observation:
    """Return a network whose signal grows, as unnormalised shortcuts make it, and which learns."""
    return with_signal(healthy_relu(30), 1.4)


def swelling_quietly() -> Observation:
    """Return the same where the loss has not moved yet, and is where guessing would put it."""
    return with_losses(swelling_residual(), 0.71, 0.69)


def overflowing() -> Observation:
    """Return stacked exponentials: the third layer's output overflows before the first step."""

    def edit(i: int, layer: LayerProfile) -> LayerProfile:
        return replace(layer, output_nonfinite=0 if i < 2 else 640, gradient_norm=math.nan, gradient_rms=math.nan)

    seen = with_losses(
        observation(Recipe(activation="exponential", factor=0.99, activation_part=1.0)), math.nan, math.nan
    )
    return edit_profiles(seen, edit)
