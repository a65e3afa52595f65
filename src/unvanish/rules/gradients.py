"""The gradient over depth: which kernels count, the slope in decades per layer, and whether it is sick.

Shared by the rules that judge the profile over depth (GF101, GF102) and those that ask whether it agrees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from statistics import median
from typing import NamedTuple

import msgspec

from unvanish.core.measures.slope import Slope, slope
from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.rules.addressing import addressing
from unvanish.rules.data_part import without_penalty
from unvanish.theory.bands import DECADES

LIMIT_DECADES = DECADES
"""1.5: |slope x depth| beyond which plain networks stop training although a cured twin trains (theory.bands)."""
EVERY_LAYER = 0.25
"""The median step from one kernel to the next must make at least this part of the slope: else the gradient is lost at
one place (GF103), not with depth."""
BAND_SD = 2.0
"""Standard deviations of one initialisation (Hanin & Nica 2020) that the decades must exceed: then 0 is excluded."""
CONFIRMED_DECADES = 0.75
"""The pre-activation gradients must change in the same direction by at least this: half of the limit. The RMS of a
kernel's gradient also follows the widths and the pooling of a network, in which nothing vanishes."""
KERNEL_GRADIENTS = "kernel gradients"
EARLY_STEPS = 10
"""Steps within which an output kernel that starts constant has moved, so that what it hid can be judged."""
FLOOR_LOG10 = {"float16": -5.0, "bfloat16": -30.0, "float32": -30.0, "float64": -290.0}
"""Behind a kernel whose gradient RMS is below this, exact zeros are underflow: its cotangents, far smaller than the
RMS of the sum, are at the smallest number of the dtype (2^-24, 1e-38, 1e-38, 1e-308)."""


class Gradients(NamedTuple):
    """Hold the gradient of every kernel that training may move, in forward order, at one moment."""

    step: int
    rms: Mapping[str, float]
    """Of the data's part, where the loss penalises the weights."""
    norm: Mapping[str, float]
    """As rms."""
    profile: Profile | None
    """The probe that they come from; None when they come from the recording."""
    raw: Mapping[str, float]
    """RMS with the penalty's part: what the optimizer sees."""
    premature: bool = False
    """Whether an output kernel that starts constant still hides what lies behind it, and nothing later was seen."""


class DepthProfile(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Hold the slope of the gradient over depth. Decades are towards the input: negative is shrinking."""

    step: int
    layers: tuple[str, ...]
    """The kernels that the line was fitted to, in forward order."""
    source: str
    """KERNEL_GRADIENTS, or `pre-activation gradients` where too few kernels were left."""
    depth: int
    """Number of kernels of the network."""
    slope: Slope
    """log10 per layer."""
    typical: float
    """Median of the steps from one of these kernels to the next, log10 per layer."""
    decades: float
    """Over the whole network."""
    sd: float | None
    """Standard deviation of `decades` from one initialisation to the next; None when theory does not say."""
    confirmed: float | None
    """Decades of the pre-activation gradients' norm over the same depth; None when not measured."""
    underflowed: tuple[str, ...]
    """Kernels nearest the input whose gradient is exactly zero behind a profile that decays to the dtype's floor."""

    @cached_property
    def transmission(self) -> float:
        """Return the factor by which the gradient changes per layer towards the input."""
        return float(10**self.slope.per_step)

    @property
    def vanishes(self) -> bool:
        """Say whether the gradient shrinks beyond the limit and beyond the luck of one initialisation."""
        return self.decades < -LIMIT_DECADES and self._certain(-1)

    @property
    def explodes(self) -> bool:
        """Say whether the gradient grows beyond the limit and beyond the luck of one initialisation."""
        return self.decades > LIMIT_DECADES and self._certain(1)

    def _certain(self, sign: int) -> bool:
        if sign * self.typical < EVERY_LAYER * abs(self.slope.per_step):
            return False
        if self.confirmed is not None and sign * self.confirmed < CONFIRMED_DECADES:
            return False
        if self.sd is not None:
            return abs(self.decades) > BAND_SD * self.sd
        return sign * self.slope.low > 0 and sign * self.slope.high > 0


def moving_kernels(seen: Observation) -> tuple[Layer, ...]:
    """Return the kernels that training may move, in forward order; one that is used again counts once."""
    return tuple(layer for layer in seen.network.kernels if layer.trainable and layer.shares is None)


def shallow(seen: Observation) -> bool:
    """Say whether fewer than two layers have weights that training may move: then there is no depth to judge."""
    moving = [layer for layer in seen.network.layers if layer.trainable and layer.shares is None]
    return len([layer for layer in moving if layer.kernel is not None or (not layer.modelled and layer.parameters)]) < 2


def hidden_by_design(seen: Observation) -> bool:
    """Say whether a kernel or a normalisation's scale starts at exactly zero, so that what feeds it has no gradient."""
    weights = [w for layer in seen.network.layers for w in (layer.kernel, layer.scale)]
    return any(w is not None and w.second_moment == 0 for w in weights)


def of_profile(seen: Observation, profile: Profile) -> Gradients:
    """Return the kernels' gradients as one probe saw them; kernels that it did not see are left out."""
    found = {layer.name: layer for layer in profile.layers}
    seen_layers = [found[layer.name] for layer in moving_kernels(seen) if layer.name in found]
    raw = {layer.name: layer.gradient_rms for layer in seen_layers if layer.gradient_rms is not None}
    whole = {layer.name: layer.gradient_norm for layer in seen_layers if layer.gradient_norm is not None}
    norms = without_penalty(seen, profile, whole)
    rms = {
        name: number if norms.get(name) == whole.get(name) else number * norms[name] / whole[name]
        for name, number in raw.items()
    }
    return Gradients(profile.step, rms, norms, profile, raw)


def constant_output(seen: Observation) -> bool:
    """Say whether an output kernel starts constant: zero passes nothing, and ones cancel over the classes."""
    kernel = seen.network.kernels[-1].kernel if seen.network.kernels else None
    return kernel is not None and kernel.variance == 0


def at_start(seen: Observation) -> Gradients:
    """Return the gradients that tell about the initialisation: before the first step, where they can be seen there.

    Where an output kernel that starts constant, or branches that start at zero, hide most of the kernels, the latest
    sample within ten steps, or else the last probe. Where the first batches give no gradient at all (a sample or two
    that happen to be told right already), the earliest sample within ten steps that has one.
    """
    first = of_profile(seen, seen.profiles[0])
    if first.rms and not any(first.rms.values()):
        rows = zip(seen.recording.steps, seen.recording.rows.get("gradient_norm", ()), strict=False)
        some = [i for i, (step, row) in enumerate(rows) if 0 < step <= EARLY_STEPS and any(row)]
        if some and not hidden_by_design(seen):
            return _of_sample(seen, some[0])
    behind = list(first.rms)[:-1]
    hidden = hidden_by_design(seen) and 2 * len(_positive(behind, first.rms)) < len(behind)
    if not constant_output(seen) and not hidden:
        return first
    early = [i for i, step in enumerate(seen.recording.steps) if 0 < step <= EARLY_STEPS]
    if early and "gradient_norm" in seen.recording.rows:
        return _of_sample(seen, early[-1])
    if seen.profiles[-1].step > 0:
        return of_profile(seen, seen.profiles[-1])
    return first._replace(premature=True)


def penalised(gradients: Gradients) -> int:
    """Return the number of kernels whose gradient is mostly a penalty on the weights."""
    return sum(gradients.raw[name] > rms for name, rms in gradients.rms.items())


def first_over_last(gradients: Gradients) -> float | None:
    """Return the first kernel's gradient norm over the last kernel's; None when the last one has none."""
    norms = list(gradients.norm.values())
    if len(norms) < 2 or not norms[-1] > 0 or not math.isfinite(norms[0] / norms[-1]):
        return None
    return norms[0] / norms[-1]


def depth_profile(seen: Observation, gradients: Gradients | None = None) -> DepthProfile | str:
    """Return the gradient's slope over depth, or the reason why there is none to see.

    The line goes through the hidden kernels' gradient RMS: the first and the last kernel, kernels that start at zero,
    kernels with an exactly zero gradient and those that only address an attention are left out. Where fewer than three
    are left, through the norm of the pre-activation gradients of all kernel layers.
    """
    gradients = gradients or at_start(seen)
    if gradients.premature:
        return "the output kernel starts constant and hides what lies behind it: to be judged after the first steps"
    if any(not math.isfinite(number) for number in gradients.rms.values()):
        return "the gradients are not finite: see GF401"
    positive = _positive(gradients.rms, gradients.rms)
    if len(seen.network.kernels) > 1 and not positive:
        return "no kernel has a gradient other than exactly zero: see GF502"
    counted = _counted(seen, gradients)
    if len(counted) >= 3:
        return _fit(seen, gradients, counted, gradients.rms, KERNEL_GRADIENTS, len(seen.network.kernels))
    norms = _cotangents(gradients.profile or seen.profiles[-1])
    weighted = _weighted(seen)
    known = _positive(weighted, norms)
    if len(known) >= 2:
        return _fit(seen, gradients, known, norms, "pre-activation gradients", len(weighted) - 1, weighted)
    if len(weighted) < 2:
        return "a network of fewer than two kernels has no depth"
    return "fewer than two layers have a gradient to compare"


def total_norm(gradients: Gradients) -> float:
    """Return the Euclidean norm over all kernels together."""
    return math.hypot(*gradients.norm.values())


def _positive(names: Sequence[str] | Mapping[str, float], numbers: Mapping[str, float]) -> list[str]:
    return [name for name in names if numbers.get(name, 0.0) > 0 and math.isfinite(numbers[name])]


def _counted(seen: Observation, gradients: Gradients) -> list[str]:
    aside = addressing(seen.network)
    hidden = [layer for layer in seen.network.kernels[1:-1] if layer.name not in aside]
    names = [layer.name for layer in hidden if layer.kernel is not None and layer.kernel.second_moment > 0]
    return _positive(names, gradients.rms)


def _weighted(seen: Observation) -> list[str]:
    """Return the layers with a kernel; where fewer than three have one, also what has weights and is not modelled."""
    kernels = {layer.name for layer in seen.network.kernels}
    other = {layer.name for layer in seen.network.layers if not layer.modelled and layer.parameters}
    counted = kernels if len(kernels) >= 3 else kernels | other
    return [layer.name for layer in seen.network.layers if layer.name in counted]


def _cotangents(profile: Profile) -> dict[str, float]:
    norms = {layer.name: layer.preactivation_gradient_norm for layer in profile.layers}
    return {name: norm for name, norm in norms.items() if norm is not None}


def _fit(
    seen: Observation,
    gradients: Gradients,
    names: list[str],
    numbers: Mapping[str, float],
    source: str,
    reach: int,
    order: Sequence[str] = (),
) -> DepthProfile:
    """Fit the line; `reach`: the number of layers over which its slope adds up; `order`: those that count (kernels)."""
    kernels = list(order) or [layer.name for layer in seen.network.kernels]
    distance = {name: len(kernels) - 1 - i for i, name in enumerate(kernels)}
    x, y = [distance[name] for name in names], [math.log10(numbers[name]) for name in names]
    line = slope(x, y)
    sd = None if seen.forecast is None else seen.forecast.log10_sd
    steps = max(len(kernels) - 1, 1)  # the forecast's sd is of first over last, which lie so many layers apart
    return DepthProfile(
        step=gradients.step,
        layers=tuple(names),
        source=source,
        depth=len(kernels),
        slope=line,
        typical=median((y[i] - y[i + 1]) / (x[i] - x[i + 1]) for i in range(len(x) - 1)),
        decades=line.per_step * reach,
        sd=None if sd is None else sd * reach / math.sqrt((len(names) - 1) * steps),
        confirmed=_confirmed(gradients, distance, reach),
        underflowed=_underflowed(gradients, line),
    )


def _confirmed(gradients: Gradients, distance: Mapping[str, int], reach: int) -> float | None:
    norms = {} if gradients.profile is None else _cotangents(gradients.profile)
    names = _positive(list(distance), norms)
    if len(names) < 3:
        return None
    return slope([distance[n] for n in names], [math.log10(norms[n]) for n in names]).per_step * reach


def _underflowed(gradients: Gradients, line: Slope) -> tuple[str, ...]:
    names = tuple(takewhile(lambda name: gradients.rms[name] == 0, gradients.rms))
    dtype = "float32" if gradients.profile is None else gradients.profile.dtype
    smallest = min((rms for rms in gradients.rms.values() if rms > 0), default=1.0)
    at_floor = math.log10(smallest) < FLOOR_LOG10.get(dtype, FLOOR_LOG10["float32"])
    return names if line.per_step < 0 and at_floor else ()


def _of_sample(seen: Observation, sample: int) -> Gradients:
    names = {layer.name for layer in moving_kernels(seen)}
    recording = seen.recording
    rows = zip(recording.layers, recording.rows["gradient_norm"][sample], recording.sizes, strict=True)
    known = [(name, norm, size) for name, norm, size in rows if name in names]
    rms = {name: norm / math.sqrt(size) for name, norm, size in known}
    return Gradients(recording.steps[sample], rms, {name: norm for name, norm, _ in known}, None, rms)
