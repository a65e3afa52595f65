"""Walk a network's graph: signals from the inputs to the outputs, cotangents from the loss back to the inputs."""

from __future__ import annotations

from collections import Counter

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from unvanish.core.activations import FUNCTIONS
from unvanish.core.network import Layer, Network
from unvanish.theory import profile
from unvanish.theory.backward import (
    back_through_activation,
    back_through_batch_norm,
    back_through_dropout,
    back_through_kernel,
    back_through_layer_norm,
    back_through_pool,
)
from unvanish.theory.cotangent import Cotangent, branching, merged, scaled
from unvanish.theory.draws import Draws
from unvanish.theory.embedding import through_embedding
from unvanish.theory.fluctuation import Pairs
from unvanish.theory.forward import (
    added,
    averaged,
    through_activation,
    through_batch_norm,
    through_dropout,
    through_kernel,
    through_layer_norm,
    through_pool,
)
from unvanish.theory.geometry import places, pooled, size, space, windows
from unvanish.theory.group_norm import back_through_group_norm, through_group_norm
from unvanish.theory.loss_end import FUSED_HEADS, coherence, follows_pairs, leaning
from unvanish.theory.places import apart as spread_of_places
from unvanish.theory.places import (
    behind_pool,
    between,
    has_places,
    in_window,
    normalised,
    over_all,
    reads_one,
    told_apart,
)
from unvanish.theory.profile import NO_TAPS, Bends, HandedBack, Passed, Taps
from unvanish.theory.rms_norm import back_through_rms_norm, through_rms_norm
from unvanish.theory.scale import back_through_scale, through_scale
from unvanish.theory.signal import Profile, Signal, weights_moments
from unvanish.theory.through_time import Step, back_through_time, read_out, steps_of

_UNIT_BY_UNIT = frozenset({"activation", "conv", "dense"})
"""Kinds that weigh what they read, or bend it."""


FEWEST_INSTANCES = 5
"""Values of a unit of which a batch normalisation is modelled: of fewer, the mean of 1 / variance has no end (two,
three) or is ruled by the rare batch whose values are alike."""


class Pass(Struct, eq=False, gc=False):
    """Hold what theory expects at one layer."""

    layer: Layer
    sources: tuple[Pass, ...]
    arriving: Signal
    """The layer's input (the sum of its inputs for an add)."""
    before: Signal
    """The input of its activation; for a layer without one, its output."""
    leaving: Signal
    spread: Profile = None
    """How q of that input is spread over places."""
    bends: Bends = (0.0, 0.0)
    """How the slopes follow that."""
    taps: Taps = NO_TAPS
    """What those of a convolution find."""
    overlap: tuple[float, float] = (1.0, 1.0)
    """What they do to the gradient (profile.HandedBack)."""
    back: HandedBack | None = None
    """The whole of it, where it was worked out with that of the layers behind it; these have no profile."""
    read_by: int = 0
    """How many layers read the output."""
    modelled: bool = True
    fused: bool = False
    """Whether the loss reads the pre-activation, so that the layer's own activation does not count."""
    steps: tuple[Step, ...] = ()
    """Of a recurrent layer."""
    readers: tuple[Cotangent, ...] = ()
    """What each layer that reads the output sends back."""
    d_leaving: Cotangent | None = None
    d_before: Cotangent | None = None
    d_arriving: Cotangent | None = None


def walk(network: Network, batch_size: int, entering: Signal) -> dict[str, Pass]:
    """Return the forward and backward state at every layer, by name, in forward order.

    entering: the signal of every input. A layer that no loss depends on has no cotangents (None). A layer of kind
    `other`, and one with an activation of no known slope, is taken to pass everything unchanged.
    """
    passes: dict[str, Pass] = {}
    sources: dict[str, list[str]] = {layer.name: [] for layer in network.layers}
    for edge in network.edges:
        sources[edge.target].append(edge.source)
    for layer in network.layers:
        read = tuple([passes[name] for name in sources[layer.name]])
        for source in read:
            source.read_by += 1
        passes[layer.name] = _forward(layer, read, batch_size, entering)
    for name in network.outputs or tuple(passes)[-1:]:
        _start(passes[name], batch_size)
    last = next((at for at in reversed(passes.values()) if at.layer.kernel is not None), None)
    for at in reversed(passes.values()):
        if at.readers:
            _backward(at, batch_size, is_last=at is last)
    return passes


def applies(layer: Layer) -> str:
    """Return the activation that is counted: `linear` for one that has no known elementwise slope."""
    return layer.activation if layer.activation in FUNCTIONS else "linear"


def instances(layer: Layer, batch_size: int) -> int:
    """Return over how many values of one unit a batch normalisation averages."""
    return batch_size * places(layer)


def _forward(layer: Layer, sources: tuple[Pass, ...], batch_size: int, entering: Signal) -> Pass:
    """Take the signal through one layer: as samples and, where its output has places, as these see one another."""
    signals = [source.leaving for source in sources]
    h = signals[0] if signals else replace(entering, pairs=Pairs(1 / max(layer.units or size(layer), 1)))
    few = layer.kind == "batch_norm" and instances(layer, batch_size) < FEWEST_INSTANCES
    modelled = layer.modelled and applies(layer) == layer.activation and not few
    at = Pass(layer, sources, h, h, h, modelled=modelled)
    if layer.kind in _UNIT_BY_UNIT:
        _through_units(at, h)
        return at
    at.before, at.leaving = _through(at, signals or [h], batch_size)
    told = any(signal.across is not None for signal in signals)
    if told and has_places(layer) and layer.kind not in ("batch_norm", "group_norm"):
        before, leaving = _through(at, [between(signal) for signal in signals], batch_size)
        at.before = replace(at.before, across=before.spread)
        averages = layer.kind == "pool" and layer.reduction == "average"
        apart = told_apart(at.leaving, before, leaving)
        at.leaving = behind_pool(at.leaving, at.arriving, layer) if averages else apart
    own = profile.through(layer, [(source.layer, source.leaving) for source in sources], at.leaving)
    at.leaving = _with_profile(at.leaving, own)
    return at


def _through_units(at: Pass, h: Signal) -> None:
    """Take the signal through a kernel, an activation, or both; of two places what they have apart, and no more."""
    layer, activation, source = at.layer, applies(at.layer), at.sources[0].layer if at.sources else None
    if source is not None and layer.kind == "conv":
        at.taps = profile.taps(windows(layer, source), h.profile, at.sources[0].spread)
    inside, shared, apart = at.taps.inside, at.taps.shared, None
    if (shared < 1 or h.across is not None) and has_places(layer):
        apart = spread_of_places(h, shared)
    if layer.kind != "activation":
        u = through_kernel(h, layer, inside, apart)
    else:
        u = h if apart is None else replace(h, across=apart)
    at.before = u
    at.spread, behind, at.bends = profile.through_units(layer, source, h.profile, at.taps, u)
    if activation == "linear":
        at.leaving = _with_profile(u, behind)
        return
    pair = None
    if apart is not None and layer.kind != "activation" and weights_moments(layer.kernel)[0]:  # it adds to q, too
        pair = through_kernel(replace(h, spread=apart, across=None), layer, inside)
    at.leaving = through_activation(u, activation, layer.activation_parameter, size(layer), pair=pair, profile=behind)


def _through(at: Pass, signals: list[Signal], batch_size: int) -> tuple[Signal, Signal]:
    """Return the input of a layer's activation (without one, the output) and its output. signals: of its sources."""
    layer, h, leaving = at.layer, signals[0], signals[0]
    first = at.sources[0].layer if at.sources else None
    match layer.kind:
        case "batch_norm":
            mean = over_all(h, layer, batch_size)
            leaving = normalised(through_batch_norm(mean, layer, instances(layer, batch_size)), h, mean)
        case "layer_norm":
            leaving = through_layer_norm(h, layer)
        case "rms_norm":
            leaving = through_rms_norm(h, layer)
        case "group_norm":
            leaving = through_group_norm(h, layer)
        case "scale":
            leaving = through_scale(h, layer)
        case "flatten":
            leaving = replace(h, pairs=h.pairs.scaled(1 / places(first) if first is not None else 1.0))
        case "embedding" if layer.table is not None:
            leaving = through_embedding(layer, reads_words=bool(at.sources))
        case "recurrent" if layer.modelled:
            steps = steps_of(h, layer, first)
            at.steps = at.steps or tuple(steps)
            return steps[-1].before, read_out(steps, layer)
        case "dropout":
            leaving = through_dropout(h, layer.keep)
        case "pool":
            leaving = through_pool(in_window(h, space(layer)), pooled(layer, first), size(layer))
        case "add":
            leaving = added(_summands(at.sources, signals))
        case _ if len(signals) > 1:
            leaving = averaged(list(zip(signals, _shares(at.sources), strict=True)))
    return leaving, leaving


def _with_profile(h: Signal, found: Profile) -> Signal:
    return h if h.profile is found else replace(h, profile=found)


def _start(at: Pass, batch_size: int) -> None:
    """Send the loss's cotangent into an output layer."""
    layer = at.layer
    at.fused = layer.activation in FUSED_HEADS
    units = max(layer.units or 1, 1)
    head = at.before if at.fused else at.leaving
    alike = coherence(head, layer.activation, units, batch_size)
    follows, onto = follows_pairs(head, layer.activation, units), leaning(head, layer.activation, units, batch_size)
    none = Draws(np.zeros_like(alike))
    at.readers += (Cotangent(none, Draws(alike), degrees=units, common=1 / units, pairs=follows, onto=onto),)


def _backward(at: Pass, batch_size: int, *, is_last: bool) -> None:
    """Take one layer's cotangent from its output to its inputs, and hand it to the layers that made them.

    is_last: whether its kernel is the one whose gradient the others are compared with, which follows q of its input.
    """
    layer, h = at.layer, at.arriving
    d = at.readers[0]
    if len(at.readers) > 1:
        d = merged(at.readers, at.leaving, max(size(layer) // places(layer), 1))
    at.d_leaving = at.d_before = d
    activation, parameter = applies(layer), layer.activation_parameter
    if layer.kind in _UNIT_BY_UNIT and not at.fused and activation != "linear":
        spread = None if at.back is not None else profile.behind_activation(d.profile, at.spread, at.bends)
        d = back_through_activation(d, at.before, activation, parameter, size(layer), batch_size, spread)
        at.d_before = d
    read = at.sources[0].layer if at.sources else None
    match layer.kind:
        case "conv":
            back = at.back or _back_through_run(at, d.profile)
            at.overlap = back.overlap
            d = back_through_kernel(d, h, layer, *back.taken, batch_size, back.profile)
            d = replace(d, response=d.response - 1) if is_last else d
        case "dense":
            d = back_through_kernel(d, h, layer, 1.0, 1.0, batch_size, d.profile)
            d = replace(d, response=d.response - 1) if is_last else d
        case "batch_norm":
            d = back_through_batch_norm(d, over_all(h, layer, batch_size), layer, instances(layer, batch_size))
        case "layer_norm":
            d = back_through_layer_norm(d, h, layer)
        case "rms_norm":
            d = back_through_rms_norm(d, h, layer)
        case "group_norm":
            d = back_through_group_norm(d, h, layer)
        case "scale":
            d = back_through_scale(d, layer)
        case "recurrent" if at.steps:
            at.d_before, d = back_through_time(d, h, at.steps, layer, batch_size)
        case "dropout":
            d = back_through_dropout(d, layer.keep, size(layer), batch_size)
        case "pool":
            d = back_through_pool(d, at.leaving, pooled(layer, at.sources[0].layer if at.sources else None))
        case "flatten":
            d = replace(d, places=1.0, within=1.0)
    spread = d.profile if layer.kind == "conv" else profile.back(layer, read, h, at.d_before.profile)
    at.d_arriving = d = d if spread is d.profile else replace(d, profile=spread)
    _hand_on(at, d)


def _back_through_run(at: Pass, d: Profile) -> HandedBack:
    """Return what a convolution hands back; with it work out the same for those of its geometry right before it.

    d: at its pre-activation.
    """
    run, axes = [at], at.taps.axes
    if axes and at.sources[0].layer.kind == "conv" and profile.can_be_run_through(axes):
        while (source := run[-1].sources[0]).taps.axes == axes and source.read_by == 1 and not source.readers:
            run.append(source)
    if len(run) == 1:
        before = at.d_leaving.profile if at.d_leaving is not None else None
        return profile.handed_back(at.taps, d, before)
    bends = [None, *(None if applies(of.layer) == "linear" else of.bends for of in run[1:])]
    passed = [Passed(of.taps, of.spread, own) for of, own in zip(run, bends, strict=True)]
    for of, back in zip(run, profile.handed_back_over(passed, d), strict=True):
        of.back = back
    return run[0].back or profile.NOTHING_HANDED_BACK


def _hand_on(at: Pass, d: Cotangent) -> None:
    """Give each source its part: all of it to each summand of an add, by size where outputs lie side by side."""
    if at.layer.kind == "add":
        d = branching(d, at.leaving)
        for source, times in _counted(at.sources):
            share = times * times * source.leaving.second / at.leaving.second if at.leaving.second > 0 else 0.0
            source.readers += (replace(scaled(d, float(times * times)), response=d.response * share),)
        return
    shares = _shares(at.sources) if len(at.sources) > 1 else None
    for i, source in enumerate(at.sources):
        part = d if shares is None else scaled(d, shares[i])
        source.readers += (replace(part, one_place=True) if reads_one(at.layer, source.layer) else part,)


def _counted(sources: tuple[Pass, ...]) -> list[tuple[Pass, int]]:
    """Return each source once, with how often it enters."""
    times = Counter(source.layer.name for source in sources)
    return [(source, times[name]) for name, source in {s.layer.name: s for s in sources}.items()]


def _summands(sources: tuple[Pass, ...], signals: list[Signal]) -> list[tuple[Signal, int]]:
    """Return what an add sums, each with how often it enters; not what is exactly zero, while something is not."""
    of = {source.layer.name: h for source, h in zip(sources, signals, strict=False)}  # of none, where it has no source
    each = [(of[source.layer.name], times) for source, times in _counted(sources)]
    return [(h, times) for h, times in each if h.second != 0] or each


def _shares(sources: tuple[Pass, ...]) -> list[float]:
    total = sum(size(source.layer) for source in sources)
    return [size(source.layer) / total for source in sources]
