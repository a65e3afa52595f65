"""A change of a network or of its training, as data; an adapter carries it out on a copy."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
from msgspec.structs import replace

Invasiveness = Literal["initialisation only", "one word", "one line", "architecture"]
INVASIVENESS: tuple[Invasiveness, ...] = ("initialisation only", "one word", "one line", "architecture")
"""From the smallest change to the largest."""


class SwapActivation(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let these layers apply another activation."""

    layers: tuple[str, ...]
    """Names of the kernel or activation layers that apply the activation now."""
    activation: str
    """Canonical name (see core.activations)."""
    parameter: float | None = None


class Redraw(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Draw the kernels of these layers anew, and set their biases."""

    layers: tuple[str, ...]
    scheme: Literal["normal", "orthogonal", "centred_orthogonal", "looks_linear"]
    """normal: independent entries, sd = gain / sqrt(fan_in), of a normal cut at two of its own. orthogonal: gain
    x a (semi-)orthogonal matrix. Those with zero biases. centred_orthogonal: the same with b = -W.1/2. looks_linear:
    Balduzzi 2017, zero biases."""
    gain: float = 1.0

    @property
    def word(self) -> str:
        """Return the one word by which Keras knows the scheme with this gain; empty where it has none."""
        words = {1.0: "lecun_normal", 2.0: "he_normal"} if self.scheme == "normal" else {}
        return next((word for scale, word in words.items() if math.isclose(self.gain**2, scale, rel_tol=1e-6)), "")


class AddNorm(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Put a normalisation behind these kernel layers: before or after the activation that follows."""

    layers: tuple[str, ...]
    kind: Literal["batch_norm", "layer_norm"]
    before: bool


class AddResidual(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Add the input of each of these kernel layers to what leaves its activation, times a gain that starts at zero."""

    layers: tuple[str, ...]


class RedrawRecurrence(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Draw the recurrent kernels of these layers anew: gain x an orthogonal matrix, one for each gate.

    What they multiply their input by, and their biases, stay as they are drawn.
    """

    layers: tuple[str, ...]
    gain: float = 1.0


class CarryState(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let the gate that carries the state of these layers start open: an LSTM's forget gate, a GRU's update gate."""

    layers: tuple[str, ...]
    bias: float
    """Of that gate, every unit. While its weights are small, it passes sigmoid(bias) of the state on at each step."""


class UnitVariance(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Divide the kernels of these layers, in forward order, by the standard deviation of what they give on a batch."""

    layers: tuple[str, ...]


class StandardiseInputs(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Take a fixed mean off the inputs and divide by a fixed standard deviation, in front of everything else."""

    per: Literal["feature", "whole"]
    """feature: by those of each entry of the last axis. whole: by one number for all."""
    mean: tuple[float, ...] = ()
    """One number, or one for each feature. Empty: as measured on the training inputs, by the adapter."""
    variance: tuple[float, ...] = ()


class Clip(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let the optimizer clip the gradient."""

    kind: Literal["norm", "global_norm", "value"]
    """norm: of each array by itself (Keras' clipnorm). global_norm: of all together. value: every entry."""
    bound: float


class SetEpsilon(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give the optimizer another constant in its denominator."""

    epsilon: float


class ScaleLoss(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Multiply the loss and divide the gradients, by a scale that is lowered where they overflow, else raised."""


class ScaleRate(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Multiply the optimizer's learning rate, or all of its schedule."""

    factor: float


OfWeights = Redraw | RedrawRecurrence | CarryState | UnitVariance
"""What a network begins with, and nothing else of it."""
OfOptimizer = Clip | SetEpsilon | ScaleLoss | ScaleRate
"""How a step is made of the gradient."""
Edit = OfWeights | OfOptimizer | SwapActivation | AddNorm | AddResidual | StandardiseInputs


def rate_words(factor: float) -> str:
    """Return `learning rate x 3` or `learning rate / 10`."""
    return f"learning rate x {factor:.4g}" if factor >= 1 else f"learning rate / {1 / factor:.4g}"


class Prescription(msgspec.Struct, frozen=True, kw_only=True):
    """Name one change worth trying: what it edits, how invasive it is, and what theory expects of it."""

    name: str
    """A cure of DESIGN's list, for example `swap-activation`."""
    variant: str = ""
    """Which of them, for example `tanh`."""
    change: str
    """In the user's words, for example `activation='tanh'`."""
    invasiveness: Invasiveness
    edits: tuple[Edit, ...]
    answers: tuple[str, ...]
    """The rules whose finding it answers, for example `GF101`."""
    harm: str = ""
    """When it does harm, in one sentence."""
    transmission: float | None = None
    """What the forecast expects of it: the factor per layer of the kernels' gradients towards the input, which arms
    measure. None where theory does not say."""
    signal: float | None = None
    """The same of the forward signal (RMS), towards the output."""

    @property
    def label(self) -> str:
        """Return the name with its variant."""
        return f"{self.name} ({self.variant})" if self.variant else self.name

    @property
    def rate(self) -> float:
        """Return what the user's learning rate is multiplied by."""
        return math.prod(edit.factor for edit in self.edits if isinstance(edit, ScaleRate))

    def at_rate(self, factor: float) -> Prescription:
        """Return the same change with the learning rate multiplied by so much, that of its own too."""
        whole = self.rate * factor
        others: tuple[Edit, ...] = tuple(edit for edit in self.edits if not isinstance(edit, ScaleRate))
        change = self.change.removesuffix(rate_words(self.rate)).removesuffix(", ")
        if not math.isclose(whole, 1.0):
            change, others = ", ".join(filter(None, (change, rate_words(whole)))), (*others, ScaleRate(factor=whole))
        return replace(self, edits=others, change=change)


LEARNING_RATE = "learning-rate"


def other_rate(factor: float, answers: tuple[str, ...] = ()) -> Prescription:
    """Return nothing but the user's learning rate times a factor."""
    return Prescription(
        name=LEARNING_RATE,
        variant=("x " if factor >= 1 else "/ ") + f"{max(factor, 1 / factor):.4g}",
        change=rate_words(factor),
        invasiveness="one word",
        edits=(ScaleRate(factor=factor),),
        answers=answers,
        harm="where it is too large: the loss jumps about, or diverges",
    )
