"""Synthetic observations about training: units, steps, values, labels and evaluation, on networks of healthy depth."""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

from unvanish.core.network import Layer, WeightStats
from unvanish.core.observation import Observation, OptimizerInfo
from unvanish.core.profile import LayerProfile
from unvanish.testing.specimen_edits import (
    edit_kernels,
    edit_profiles,
    edit_rows,
    only_start,
    scaled,
    with_evaluation,
    with_gains,
    with_gradients,
    with_losses,
)
from unvanish.testing.specimens_of_depth import healthy_relu, healthy_tanh, tutorial_batch_norm, tutorial_sigmoid

LAYERS = 12


def zero_output() -> Observation:
    """Return a healthy network whose output kernel starts at zero: at the start nothing behind it has a gradient."""
    return edit_profiles(_constant_output(healthy_tanh(), 0.0), _hidden_behind_output, last=False)


def zero_output_at_start() -> Observation:
    """Return the same before its first step: nobody can tell yet."""
    return only_start(zero_output())


def ones_output() -> Observation:
    """Return a healthy network whose output kernel starts as ones: the classes cancel, and 1e-7 is left behind it."""

    def edit(i: int, layer: LayerProfile) -> LayerProfile:
        return layer if i == LAYERS - 1 else scaled(layer, 1e-7, 1e-7)

    return edit_profiles(_constant_output(healthy_tanh(), 1.0), edit, last=False)


def zero_branches() -> Observation:
    """Return a network every second kernel of which starts at zero, so that the one before it has no gradient then."""

    def edit(i: int, layer: Layer) -> Layer:
        zero = 0 < i < LAYERS - 1 and i % 2 == 0
        return replace(layer, kernel=_constant(layer, 0.0)) if zero else layer

    def hide(i: int, layer: LayerProfile) -> LayerProfile:
        return scaled(layer, 0.0, 0.0) if i % 2 == 1 and i < LAYERS - 1 else layer

    return edit_profiles(edit_kernels(healthy_tanh(), edit), hide, last=False)


def frozen_backbone() -> Observation:
    """Return a network of which only the last two kernels are trained."""

    def thaw(i: int, layer: Layer) -> Layer:
        return replace(layer, trainable=i >= LAYERS - 2)

    def hide(i: int, layer: LayerProfile) -> LayerProfile:
        none = dict.fromkeys(("gradient_norm", "gradient_rms", "gradient_zero_share", "weight_norm", "weight_rms"))
        return layer if i >= LAYERS - 2 else replace(layer, **none)

    return edit_profiles(edit_kernels(healthy_tanh(), thaw), hide)


def converged_at_start() -> Observation:
    """Return a trained network: loss and gradients are next to nothing, in all layers alike."""
    return with_losses(with_gradients(healthy_tanh(), [1e-6] * LAYERS), 0.004, 0.004)


def converged_by_training() -> Observation:
    """Return a network that learns all there is: every gradient falls a hundredfold together."""
    seen = with_losses(healthy_tanh(), 0.71, 0.01)
    return edit_profiles(seen, lambda _, layer: scaled(layer, 1e-2, 1e-2), first=False)


def dead_layer() -> Observation:
    """Return a ReLU network in which the fourth layer is dead from the start: nothing passes."""
    seen = with_losses(healthy_relu(), 0.6931, 0.6931)
    return _killed(seen, first=True)


def silenced_by_bias() -> Observation:
    """Return the same where the fourth layer's biases start at -0.6, three times what its weights make of the input."""

    def sink(i: int, layer: Layer) -> Layer:
        low = WeightStats(mean=-0.6, variance=0.0, size=layer.units or 1)
        return replace(layer, bias=low) if i == 3 else layer

    def shift(i: int, layer: LayerProfile) -> LayerProfile:
        return replace(layer, preactivation_second_moment=0.36 + 0.04) if i == 3 else layer

    return edit_kernels(edit_profiles(dead_layer(), shift), sink)


def died_at_chance() -> Observation:
    """Return a ReLU network that one large step killed; the loss stands at chance since."""
    seen = with_losses(_with_sgd(healthy_relu()), 2.1, 0.6931)
    seen = _with_updates(_killed(seen, first=False), lambda step: 8.0 if step == 0 else 0.0)
    return edit_rows(seen, "gradient_norm", lambda step, _, norm: norm if step == 0 else 0.0)


def died_while_diverging() -> Observation:
    """Return a ReLU network that a huge learning rate threw about until its units died and the loss stayed far up."""
    seen = with_losses(_with_sgd(healthy_relu()), 0.74, 14.5)
    seen = _with_updates(_killed(seen, first=False), lambda step: 0.8 if step < 20 else 0.0)
    return edit_rows(seen, "gradient_norm", lambda step, _, norm: norm if step < 20 else 0.0)


def died_after_diverging() -> Observation:
    """Return the same with a loss on logits: up a billionfold, and back at chance by the biases since units died."""
    seen = died_while_diverging()
    seen = with_losses(seen, 0.74, 0.70)
    recorded = zip(seen.recording.steps, seen.recording.losses, strict=True)
    losses = tuple(1e9 if 0 < step < 20 else loss for step, loss in recorded)
    return replace(seen, recording=replace(seen.recording, losses=losses))


def dead_in_small_batches() -> Observation:
    """Return a ReLU network that one large step killed, the last look at which saw the three samples of one batch."""
    seen = died_at_chance()
    last = replace(seen.profiles[-1], batches=1, batch_size=3)
    data = replace(seen.data, batch_size=3)
    return replace(seen, profiles=(seen.profiles[0], last), data=data)


def silent_first_sample() -> Observation:
    """Return a vanishing network whose first look saw one sample that it tells right already: no gradient at all."""
    seen = edit_profiles(tutorial_sigmoid(), lambda _, layer: scaled(layer, 0.0, 0.0), last=False)
    first = replace(seen.profiles[0], batches=1, batch_size=1, loss=1.2e-7)
    seen = replace(seen, profiles=(first, *seen.profiles[1:]), data=replace(seen.data, batch_size=1))
    return edit_rows(seen, "gradient_norm", lambda step, _, norm: 0.0 if step < 2 else norm)


def many_dead_units() -> Observation:
    """Return a ReLU network with three quarters of one layer's units dead: more than chance, enough left to learn."""
    return edit_profiles(healthy_relu(), lambda i, layer: replace(layer, dead_share=0.75) if i == 3 else layer)


def silent_by_chance() -> Observation:
    """Return a ReLU network with six tenths of one layer's 64 units silent: what chance explains at depth."""
    return edit_profiles(healthy_relu(), lambda i, layer: replace(layer, dead_share=0.6) if i == 3 else layer)


def tiny_learning_rate() -> Observation:
    """Return a healthy network with a learning rate of 1e-7: nothing moves."""
    seen = with_losses(healthy_tanh(), 0.7100, 0.7099)
    return _with_updates(_with_rate(seen, 1e-7), lambda _: 1e-6)


def small_learning_rate() -> Observation:
    """Return a healthy network with a learning rate of 5e-5: too slow for the plan, but it moves."""
    return _with_updates(_with_rate(with_losses(healthy_tanh(), 0.71, 0.69), 5e-5), lambda _: 5e-4)


def large_updates() -> Observation:
    """Return a network whose weights change by 0.6 of themselves at every step, and whose loss does not fall."""
    return _with_updates(with_losses(_with_rate(healthy_tanh(), 0.1), 0.71, 0.72), lambda _: 0.6)


def large_updates_that_learn() -> Observation:
    """Return the same with a loss that falls."""
    return _with_updates(with_losses(_with_rate(healthy_tanh(), 0.1), 0.71, 0.42), lambda _: 0.6)


def large_steps_predicted() -> Observation:
    """Return an SGD training before its first step, at a learning rate of 50."""
    return only_start(replace(healthy_tanh(), optimizer=OptimizerInfo(name="SGD", family="sgd", learning_rate=50.0)))


def small_loss_scale() -> Observation:
    """Return a healthy network whose loss is so small in scale that all gradients lie below Adam's epsilon."""
    return with_gradients(with_losses(healthy_tanh(), 1e-5, 0.8e-5, chance=0.9e-5), [1e-5] * LAYERS)


def nan_inputs() -> Observation:
    """Return a training on inputs with holes: everything that follows is not a number."""
    seen = _nan(with_losses(healthy_tanh(), math.nan, math.nan))
    return replace(seen, data=replace(seen.data, input_nonfinite=17))


def nan_from_step_9() -> Observation:
    """Return a healthy start whose loss is not a number later, without large steps: a logarithm of zero."""
    seen = with_losses(healthy_tanh(), 0.71, math.nan)
    losses = tuple(0.7 if step < 9 else math.nan for step in seen.recording.steps)
    return replace(seen, recording=replace(seen.recording, losses=losses), evaluation=None)


def one_unit_softmax() -> Observation:
    """Return a network that ends in a softmax over one unit: every gradient is exactly zero."""
    seen = with_losses(healthy_tanh(), 7.97, 7.97)
    seen = edit_kernels(seen, lambda i, x: replace(x, activation="softmax") if i == LAYERS - 1 else x)
    return with_gradients(seen, [0.0] * LAYERS)


def unused_branch() -> Observation:
    """Return a healthy network with one kernel that the loss does not use."""
    return with_gradients(healthy_tanh(), [0.0 if i == 5 else 1.0 for i in range(LAYERS)], cotangents=[1.0] * LAYERS)


def small_weights_unmeasured() -> Observation:
    """Return sigmoid layers drawn a hundred times too small, behind a cut: theory alone can speak of them."""
    return with_gains(one_unit_softmax(), 0.05, 4.0)


def random_labels_learnt() -> Observation:
    """Return a network that knows its training labels by heart and orders 200 held-out ones as by chance."""
    seen = with_losses(replace(healthy_tanh(), planned_steps=1000), 0.71, 0.06)
    return with_evaluation(seen, train=0.99, held_out=0.52, held_out_batch_statistics=0.51)


def random_labels_too_early() -> Observation:
    """Return the same before anything is learnt: learnable and random labels look alike."""
    seen = with_losses(healthy_tanh(), 0.71, 0.68)
    return with_evaluation(seen, train=0.58, held_out=0.52, held_out_batch_statistics=0.51)


def few_held_out() -> Observation:
    """Return labels learnt by heart with ten held-out samples: too few to tell."""
    seen = with_losses(healthy_tanh(), 0.71, 0.05)
    scores = {"train": 0.99, "held_out": 0.55, "held_out_batch_statistics": 0.55}
    return with_evaluation(seen, **scores, held_out_samples=10, held_out_sd=0.19)


def lagging_averages() -> Observation:
    """Return the tutorial's improved network on learnable labels after its 125 steps: the moving averages lag."""
    seen = _after_125(tutorial_batch_norm())
    return with_evaluation(
        seen, train=0.85, held_out=0.53, held_out_batch_statistics=0.72, held_out_loss=0.71,
        held_out_loss_batch_statistics=0.60, held_out_accuracy=0.52, held_out_accuracy_batch_statistics=0.66,
    )  # fmt: skip


def lag_without_difference() -> Observation:
    """Return the same where both statistics give the same outputs."""
    seen = _after_125(tutorial_batch_norm())
    same = {"held_out_loss": 0.655, "held_out_loss_batch_statistics": 0.656}
    return with_evaluation(seen, train=0.85, held_out=0.66, held_out_batch_statistics=0.67, **same)


def lag_of_unknown_plan() -> Observation:
    """Return the same from Python, where nobody knows how long the training will be."""
    return replace(lagging_averages(), planned_steps=None)


def _constant(layer: Layer, value: float) -> WeightStats:
    assert layer.kernel is not None
    return WeightStats(mean=value, variance=0.0, size=layer.kernel.size)


def _constant_output(seen: Observation, value: float) -> Observation:
    def edit(i: int, layer: Layer) -> Layer:
        return replace(layer, kernel=_constant(layer, value)) if i == LAYERS - 1 else layer

    seen = edit_kernels(seen, edit)
    assert seen.forecast is not None
    return replace(seen, forecast=replace(seen.forecast, log10_first_over_last=None, log10_sd=None))


def _hidden_behind_output(i: int, layer: LayerProfile) -> LayerProfile:
    return layer if i == LAYERS - 1 else scaled(layer, 0.0, 0.0)


def _killed(seen: Observation, *, first: bool) -> Observation:
    """Return the observation with the fourth layer dead and all gradients zero: at the end, or at both probes."""

    def edit(i: int, layer: LayerProfile) -> LayerProfile:
        return replace(scaled(layer, 0.0, 0.0), dead_share=1.0 if i == 3 else layer.dead_share)

    seen = edit_profiles(seen, edit, first=first)
    return edit_rows(seen, "gradient_norm", lambda _, __, norm: 0.0 if first else norm)


def _with_sgd(seen: Observation) -> Observation:
    return replace(seen, optimizer=OptimizerInfo(name="SGD", family="sgd", learning_rate=5.0))


def _with_rate(seen: Observation, rate: float) -> Observation:
    return replace(seen, optimizer=replace(seen.optimizer, learning_rate=rate))


def _with_updates(seen: Observation, ratio: Callable[[int], float]) -> Observation:
    norms = seen.recording.rows["weight_norm"][0]
    return edit_rows(seen, "update_norm", lambda step, i, _: ratio(step) * norms[i])


def _nan(seen: Observation) -> Observation:
    def edit(_: int, layer: LayerProfile) -> LayerProfile:
        return replace(scaled(layer, math.nan, math.nan), gradient_nonfinite=64, output_nonfinite=640)

    seen = edit_rows(edit_profiles(seen, edit), "gradient_norm", lambda *_: math.nan)
    return replace(seen, evaluation=None)


def _after_125(seen: Observation) -> Observation:
    recording = replace(seen.recording, total_steps=125)
    profiles = (seen.profiles[0], replace(seen.profiles[-1], step=125))
    return replace(seen, planned_steps=125, recording=recording, profiles=profiles)
