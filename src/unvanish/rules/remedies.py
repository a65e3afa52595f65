"""Which changes are worth trying for which pattern, the smallest first, each with its forecast.

Nothing here is promised: only a measured trial can say that a change helps. The order is the size of
the edit in the user's source: an initialiser that the framework ships, one word, an initialiser that has to be written
out, one line, architecture.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from unvanish.core.diagnosis import Remedy
from unvanish.core.measures.time_to_learn import DIVIDES_BY_GRADIENT
from unvanish.core.observation import Observation
from unvanish.cures.initialisations import LOOKS_LINEAR, SAME_GAIN, SHIPPED_GAIN, SIGMOIDS
from unvanish.rules.parts import hidden_activation, median_gain
from unvanish.rules.scales import targets_words
from unvanish.rules.spellings.choose import spelling
from unvanish.rules.what_if import Change, both, forecast_words, what_if, with_activation, with_gain
from unvanish.rules.words import power, times

SCALE_FREE = DIVIDES_BY_GRADIENT | {"adadelta", "adagrad"}
"""Optimizers whose step does not follow the gradient's size: each divides by a root mean square of past gradients."""
MEANT = 0.01
"""Update/weight that a lower rate aims at: a first step far from divergence, ten times the usual 0.001."""
LOWEST = 1e-6
"""Part of the present rate below which another one is no answer: then something else makes the step."""


def against_vanishing(seen: Observation) -> tuple[Remedy, ...]:
    """Return what may keep the gradient from shrinking."""
    activation = hidden_activation(seen) or "linear"
    if activation in SIGMOIDS:
        return (
            _swap(seen, activation, "tanh"),
            _centred(seen, activation),
            *_residual(seen),
        )
    return (
        *_rescale(seen, activation),
        *_orthogonal(seen, activation),
        *((_looks_linear(seen, activation),) if activation in LOOKS_LINEAR and not _normalised(seen) else ()),
        *_residual(seen),
    )


def against_exploding(seen: Observation) -> tuple[Remedy, ...]:
    """Return what may keep the gradient from growing."""
    activation = hidden_activation(seen) or "linear"
    if _normalised(seen):
        return _residual(seen)
    return (
        *_rescale(seen, activation, growth=True),
        *_orthogonal(seen, activation, growth=True),
        _layer_norm(seen),
        *clipping(seen),
    )


def against_dead_units(seen: Observation, *, slower: bool = False) -> tuple[Remedy, ...]:
    """Return what may keep units from falling silent. slower: with a lower rate first, where the steps killed them."""
    activation = hidden_activation(seen) or "relu"
    return (
        *((lower_rate(seen, seen.optimizer.learning_rate / 10),) if slower else ()),
        *_rescale(seen, activation, told=False),
        Remedy(name="swap-activation", change=spelling(seen).hidden_activation("elu"), invasiveness="one word"),
        _batch_norm(seen),
    )


def against_low_biases(seen: Observation) -> tuple[Remedy, ...]:
    """Return what lifts units that their biases hold below zero."""
    zero = Remedy(name="zero-bias", change=spelling(seen).zero_bias(), invasiveness="initialisation only")
    return (zero, *(() if _normalised(seen) else (_batch_norm(seen),)))


def against_large_inputs() -> Remedy:
    """Return the change for inputs that are far from unit size."""
    return Remedy(name="scale-inputs", change="(x - x.mean(0)) / x.std(0)", invasiveness="data")


def against_large_targets() -> Remedy:
    """Return the change for regression targets that are far from unit size."""
    return Remedy(name="scale-targets", change="(y - y.mean(0)) / y.std(0)", invasiveness="data")


def against_epsilon(seen: Observation, epsilon: float) -> Remedy:
    """Return the change for an epsilon that swallows the gradient."""
    change = spelling(seen).epsilon(power(min(epsilon, 1e-7) * 1e-5))
    return Remedy(name="lower-epsilon", change=change, invasiveness="optimizer")


def against_forgetting(seen: Observation, cell: str, steps: int) -> tuple[Remedy, ...]:
    """Return what may carry a gradient further back in time. cell: as in TimeProfile; steps: of the sequence."""
    bias = Remedy(
        name="forget-gate-bias",
        change=f"forget-gate bias {math.log(max(steps, 3)):.1f}, about log of {steps} steps",
        invasiveness="initialisation only",
        typed=spelling(seen).forget_bias(cell, f"{math.log(max(steps, 3)):.1f}"),
    )
    return (_orthogonal_recurrence(seen),) if cell == "rnn" else (bias, _orthogonal_recurrence(seen))


def against_growth_in_time(seen: Observation) -> tuple[Remedy, ...]:
    """Return what may keep a gradient from growing back in time."""
    return (_orthogonal_recurrence(seen), *clipping(seen))


def against_large_steps(seen: Observation, ratio: float) -> tuple[Remedy, ...]:
    """Return what may tame steps that change the weights by `ratio` of their size."""
    rate = seen.optimizer.learning_rate
    wanted = rate_for(rate, ratio)
    forecast = "" if wanted is None else f"{times(ratio)} -> {times(MEANT)} per step"
    lower = replace(lower_rate(seen, rate / 10 if wanted is None else wanted), forecast=forecast)
    targets = (against_large_targets(),) if targets_words(seen) else ()
    meant = wanted is None or wanted >= LOWEST * rate
    return (*targets, *((lower,) if meant else ()), *clipping(seen))


def lower_rate(seen: Observation, rate: float) -> Remedy:
    """Return the change to that learning rate."""
    change = spelling(seen).learning_rate(f"{rate:.1g}")
    return Remedy(name="lower-learning-rate", change=change, invasiveness="optimizer")


def rate_for(rate: float, ratio: float) -> float | None:
    """Return the rate at which such a step changes the weights by 1 %; None where that is not a tenth of it or less."""
    return rate * MEANT / ratio if ratio >= 10 * MEANT else None


def clipping(seen: Observation) -> tuple[Remedy, ...]:
    """Return clipping, with what it does and what not; nothing where the optimizer clips already.

    Nor where it divides the gradient's size out again: half the gradient makes the same step there.
    """
    if seen.optimizer.clipping or seen.optimizer.family in SCALE_FREE:
        return ()
    return (
        Remedy(
            name="clip-gradient",
            change=spelling(seen).clipping(),
            invasiveness="optimizer",
            forecast="bounds the step, not the profile",
        ),
    )


def initialised(seen: Observation, initializer: str) -> Remedy:
    """Return the change to an initialiser that the framework ships."""
    change = spelling(seen).initializer(initializer)
    return Remedy(name="rescale-init", change=change, invasiveness="initialisation only")


def data_driven(seen: Observation) -> Remedy:
    """Return the change that measures instead of assuming."""
    return Remedy(
        name="data-driven-init",
        change="scale each kernel until its layer's output has unit variance on one batch (LSUV)",
        invasiveness="initialisation only",
        typed=spelling(seen).unit_variance(),
    )


def _swap(seen: Observation, old: str, new: str) -> Remedy:
    """Offer the activation alone, or where the weights as they are would not do with the initialiser of its gain."""
    alone = _told(
        seen,
        Remedy(name="swap-activation", change=spelling(seen).hidden_activation(new), invasiveness="one word"),
        with_activation(old, new),
    )
    if not alone.stays_sick or _normalised(seen):
        return alone
    gain, initializer = SHIPPED_GAIN[new]
    change = f"{alone.change}, {spelling(seen).initializer(initializer)}"
    beside = Remedy(name="swap-activation", change=change, invasiveness="one line")
    return _told(seen, beside, both(with_activation(old, new), with_gain(gain)))


def _told(seen: Observation, remedy: Remedy, change: Change, *, growth: bool = False) -> Remedy:
    """Return the remedy with the forecast of that change, and whether it would suffice."""
    found = what_if(seen, change, growth=growth)
    sick = found is not None and bool(found.left)
    return replace(remedy, forecast=forecast_words(seen, change, growth=growth), stays_sick=sick)


def _centred(seen: Observation, activation: str) -> Remedy:
    """4 x orthogonal with b = -W.1/2 makes 4 (sigmoid(z) - 1/2) = 2 tanh(z/2): at the start, the critical tanh net."""
    change = both(with_activation(activation, "tanh"), with_gain(1.0, orthogonal=True))
    remedy = Remedy(
        name="centred-orthogonal-init",
        change="kernels 4 x orthogonal, b = -W.1/2",
        invasiveness="initialisation only",
        typed=spelling(seen).centred(),
    )
    return _told(seen, remedy, change) if activation == "sigmoid" else remedy


def _rescale(seen: Observation, activation: str, *, growth: bool = False, told: bool = True) -> tuple[Remedy, ...]:
    """Offer the shipped initialiser, unless the weights already have its gain."""
    gain, initializer = SHIPPED_GAIN.get(activation, (0.0, ""))
    found = median_gain(seen)
    if not gain or _normalised(seen) or (found is not None and abs(found / gain - 1) < SAME_GAIN):
        return ()
    remedy = initialised(seen, initializer)
    return (_told(seen, remedy, with_gain(gain), growth=growth) if told else remedy,)


def _orthogonal(seen: Observation, activation: str, *, growth: bool = False) -> tuple[Remedy, ...]:
    gain, _ = SHIPPED_GAIN.get(activation, (0.0, ""))
    if not gain or _normalised(seen):
        return ()
    remedy = Remedy(name="orthogonal-init", change=spelling(seen).orthogonal(gain), invasiveness="initialisation only")
    return (_told(seen, remedy, with_gain(gain, orthogonal=True), growth=growth),)


def _looks_linear(seen: Observation, activation: str) -> Remedy:
    factor = "" if activation != "leaky_relu" else " / (1 + slope)"
    return Remedy(
        name="looks-linear-init",
        change=f"kernels [[O, -O], [-O, O]]{factor} with orthogonal O, zero biases",
        invasiveness="initialisation only",
        forecast="exactly 1.0x per layer where widths are equal",
        typed=spelling(seen).looks_linear(),
    )


def _residual(seen: Observation) -> tuple[Remedy, ...]:
    if any(layer.kind == "add" for layer in seen.network.layers):
        return ()
    return (
        Remedy(
            name="add-residual",
            change="h + g * F(h) around every block, g = 0 at the start",
            invasiveness="architecture",
            forecast="1.0x per block at the start",
            typed=spelling(seen).residual(),
        ),
    )


def _orthogonal_recurrence(seen: Observation) -> Remedy:
    return Remedy(
        name="orthogonal-recurrence",
        change=spelling(seen).orthogonal_recurrence(),
        invasiveness="initialisation only",
        forecast="1.0x per step where the units are linear",
    )


def _layer_norm(seen: Observation) -> Remedy:
    return Remedy(
        name="add-layer-norm", change=spelling(seen).layer_norm(_spatial_axes(seen)), invasiveness="architecture"
    )


def _batch_norm(seen: Observation) -> Remedy:
    return Remedy(
        name="add-batch-norm", change=spelling(seen).batch_norm(_spatial_axes(seen)), invasiveness="architecture"
    )


def _spatial_axes(seen: Observation) -> int:
    """Return the number of axes beside the channels of what the convolutions give; 0 without convolutions."""
    return max((len(layer.shape) - 1 for layer in seen.network.layers if layer.kind == "conv"), default=0)


def _normalised(seen: Observation) -> bool:
    return any(layer.kind in ("batch_norm", "layer_norm") for layer in seen.network.layers)
