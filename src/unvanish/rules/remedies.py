"""Which changes are worth trying for which pattern, the smallest first, each with its forecast.

Nothing here is promised: only a measured trial can say that a change helps. The order is the size of
the edit in the user's source: an initialiser that the framework ships, one word, an initialiser that has to be written
out, one line, architecture.
"""

from __future__ import annotations

import math

from unvanish.core.diagnosis import Remedy
from unvanish.core.observation import Observation
from unvanish.cures.initialisations import LOOKS_LINEAR, SAME_GAIN, SHIPPED_GAIN, SIGMOIDS
from unvanish.rules.parts import hidden_activation, median_gain
from unvanish.rules.what_if import Change, both, forecast_words, with_activation, with_gain
from unvanish.rules.words import power


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
        *((_looks_linear(activation),) if activation in LOOKS_LINEAR and not _normalised(seen) else ()),
        *_residual(seen),
    )


def against_exploding(seen: Observation) -> tuple[Remedy, ...]:
    """Return what may keep the gradient from growing."""
    activation = hidden_activation(seen) or "linear"
    if _normalised(seen):
        return _residual(seen)
    clip = Remedy(
        name="clip-gradient",
        change="clipnorm=1.0 in the optimizer: bounds the step, leaves the profile as it is",
        invasiveness="optimizer",
    )
    return (*_rescale(seen, activation, growth=True), *_orthogonal(seen, activation, growth=True), _layer_norm(), clip)


def against_dead_units(seen: Observation) -> tuple[Remedy, ...]:
    """Return what may keep units from falling silent."""
    activation = hidden_activation(seen) or "relu"
    return (
        *_rescale(seen, activation, told=False),
        Remedy(name="swap-activation", change="activation='elu'", invasiveness="one word"),
        Remedy(
            name="add-batch-norm", change="BatchNormalization() before every activation", invasiveness="architecture"
        ),
    )


def against_large_inputs() -> Remedy:
    """Return the change for inputs that are far from unit size."""
    return Remedy(name="scale-inputs", change="(x - x.mean(0)) / x.std(0)", invasiveness="data")


def against_epsilon(epsilon: float) -> Remedy:
    """Return the change for an epsilon that swallows the gradient."""
    return Remedy(name="lower-epsilon", change=f"epsilon={power(min(epsilon, 1e-7) * 1e-5)}", invasiveness="optimizer")


def against_forgetting(cell: str, steps: int) -> tuple[Remedy, ...]:
    """Return what may carry a gradient further back in time. cell: as in TimeProfile; steps: of the sequence."""
    bias = Remedy(
        name="forget-gate-bias",
        change=f"forget-gate bias {math.log(max(steps, 3)):.1f}, about log of {steps} steps",
        invasiveness="initialisation only",
    )
    return (_orthogonal_recurrence(),) if cell == "rnn" else (bias, _orthogonal_recurrence())


def against_growth_in_time(*, clipped: bool) -> tuple[Remedy, ...]:
    """Return what may keep a gradient from growing back in time. clipped: whether the optimizer clips already."""
    clip = Remedy(name="clip-gradient", change="clipnorm=1.0 in the optimizer", invasiveness="optimizer")
    return (_orthogonal_recurrence(), *(() if clipped else (clip,)))


def data_driven() -> Remedy:
    """Return the change that measures instead of assuming."""
    return Remedy(
        name="data-driven-init",
        change="scale each kernel until its layer's output has unit variance on one batch (LSUV)",
        invasiveness="initialisation only",
    )


def _swap(seen: Observation, old: str, new: str) -> Remedy:
    return Remedy(
        name="swap-activation",
        change=f"activation='{new}'",
        invasiveness="one word",
        forecast=forecast_words(seen, with_activation(old, new)),
    )


def _centred(seen: Observation, activation: str) -> Remedy:
    """4 x orthogonal with b = -W.1/2 makes 4 (sigmoid(z) - 1/2) = 2 tanh(z/2): at the start, the critical tanh net."""
    change = both(with_activation(activation, "tanh"), with_gain(1.0, orthogonal=True))
    return Remedy(
        name="centred-orthogonal-init",
        change="kernels 4 x orthogonal, b = -W.1/2",
        invasiveness="initialisation only",
        forecast=forecast_words(seen, change) if activation == "sigmoid" else "",
    )


def _rescale(seen: Observation, activation: str, *, growth: bool = False, told: bool = True) -> tuple[Remedy, ...]:
    """Offer the shipped initialiser, unless the weights already have its gain."""
    gain, initializer = SHIPPED_GAIN.get(activation, (0.0, ""))
    found = median_gain(seen)
    if not gain or _normalised(seen) or (found is not None and abs(found / gain - 1) < SAME_GAIN):
        return ()
    words = forecast_words(seen, with_gain(gain), growth=growth) if told else ""
    return (
        Remedy(
            name="rescale-init",
            change=f"kernel_initializer='{initializer}'",
            invasiveness="initialisation only",
            forecast=words,
        ),
    )


def _orthogonal(seen: Observation, activation: str, *, growth: bool = False) -> tuple[Remedy, ...]:
    gain, _ = SHIPPED_GAIN.get(activation, (0.0, ""))
    if not gain or _normalised(seen):
        return ()
    change: Change = with_gain(gain, orthogonal=True)
    return (
        Remedy(
            name="orthogonal-init",
            change=f"kernel_initializer=Orthogonal(gain={gain:.3g})",
            invasiveness="initialisation only",
            forecast=forecast_words(seen, change, growth=growth),
        ),
    )


def _looks_linear(activation: str) -> Remedy:
    factor = "" if activation != "leaky_relu" else " / (1 + slope)"
    return Remedy(
        name="looks-linear-init",
        change=f"kernels [[O, -O], [-O, O]]{factor} with orthogonal O, zero biases",
        invasiveness="initialisation only",
        forecast="exactly 1.0x per layer where widths are equal",
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
        ),
    )


def _orthogonal_recurrence() -> Remedy:
    return Remedy(
        name="orthogonal-recurrence",
        change="recurrent_initializer='orthogonal'",
        invasiveness="initialisation only",
        forecast="1.0x per step where the units are linear",
    )


def _layer_norm() -> Remedy:
    return Remedy(
        name="add-layer-norm", change="LayerNormalization() before every activation", invasiveness="architecture"
    )


def _normalised(seen: Observation) -> bool:
    return any(layer.kind in ("batch_norm", "layer_norm") for layer in seen.network.layers)
