"""The weights are drawn too small for this activation and depth: the gradient must shrink, whatever the data are.

## What it measures

The gain of every kernel that passes the gradient on, sqrt(fan_in x E w^2), against the critical gain: the one at
which the layer would pass the gradient unchanged, one over the activation's own transmission at the signal's size.
It comes from the weights and from mean-field theory, not from the gradient. Kernels with a normalisation before the
next kernel are left out, since that divides the gain out again. The rule looks closer when the product of gain /
critical gain over the depth is below 1.5 decades.

## Why it matters

It is the cause behind GF101 and GF104, known before a single batch is seen, and the cheapest of all to put right.
Factor per layer with Glorot, He and PyTorch's default weights: sigmoid .236, .318, .141; tanh .999, 1.051, .573;
ReLU .707, 1.000, .408; GELU .50, .71, .29; ELU .997, 1.011, .559.

## Evidence

`gain` and `critical_gain` (medians), `gain_decades` (of the product), `layers_counted`.

An error when the measured slope (GF101), or a fading signal that starves the gradient (GF104), agrees; a warning
when nothing could be measured, or when the loss falls all the same or the profile recovered; clear when the
measured profile is healthy all the same.

## Remedies

The initialiser that belongs to the activation, in one word: He for ReLU and its family, LeCun or Glorot for tanh,
ELU and SELU. A sigmoid has no such initialiser: near zero its critical gain is 4, and random weights of that gain
saturate it, because its mean is not zero. Orthogonal kernels of gain 4 with b = -W.1/2 take the mean out.

In Keras and in PyTorch (there under `torch.no_grad()`), `hidden` being the hidden layers in order:

    kernel_initializer="he_normal"
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

and of sigmoids, all but the first of which read what left a sigmoid:

    kernel_initializer=keras.initializers.Orthogonal(gain=4)
    for layer in hidden[1:]:  # when the model is built
        layer.bias.assign(-keras.ops.sum(layer.kernel, axis=0) / 2)

    nn.init.orthogonal_(layer.weight, gain=4)
    for layer in hidden[1:]:
        layer.bias.copy_(-layer.weight.flatten(1).sum(1) / 2)

`unvanish cure SCRIPT` tries these on a Keras model that trains by `fit`, and writes the source.

## When it is harmless

At small depth (ReLU with Glorot weights at 12 layers: the measured profile decides); inside the branches of a
residual network; under a normalisation.

## References

He et al. 2015, ICCV, eq. 10 and 14. Glorot & Bengio 2010, AISTATS, eq. 12. Poole et al. 2016 and Schoenholz et al.
2017 (criticality). Saxe, McClelland & Ganguli 2014, ICLR (orthogonal). Pennington, Schoenholz & Ganguli 2017,
NeurIPS.
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.cures.initialisations import SIGMOIDS
from unvanish.rules.easing import eased
from unvanish.rules.gains import LIMIT_DECADES, Gains, agrees, gains
from unvanish.rules.parts import hidden_activation
from unvanish.rules.remedies import against_vanishing
from unvanish.rules.words import power, two_digits

CODE = "GF601"
NAME = "gain-below-critical"


def judge(seen: Observation) -> Verdict:
    """Judge the gain of the kernels by theory, and ask the measured profile whether it agrees."""
    found = gains(seen)
    if isinstance(found, str):
        return Undecided(code=CODE, name=NAME, reason=found)
    if found is None:
        return Clear(code=CODE, name=NAME, not_applicable="no kernel passes its gain on to another")
    measured = agrees(seen, -1)
    if found.decades > -LIMIT_DECADES or measured is False:
        return Clear(code=CODE, name=NAME, evidence=found.evidence)
    relief = eased(seen)
    severe = bool(measured) and not relief
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if severe else "warning",
        verdict="vanishing" if severe else None,
        message=found.told("below"),
        healthy=f"about {two_digits(found.critical_gain)}",
        layers=found.layers,
        evidence=found.evidence,
        why=_why(seen, found),
        note=relief if measured else "no gradient could be measured to confirm it",
        cures=against_vanishing(seen),
    )


def _why(seen: Observation, found: Gains) -> str:
    activation = hidden_activation(seen) or "linear"
    each, all_together = two_digits(found.gain / found.critical_gain), power(10**found.decades)
    product = f"{each} per layer, {all_together} over {len(found.layers)} layers"
    if activation in SIGMOIDS:
        return f"{product}; near zero a sigmoid's slope is 1/4, so its critical gain is about 4"
    return f"{product}, by the slope of {activation} at this signal"
