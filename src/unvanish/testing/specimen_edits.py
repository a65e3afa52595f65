"""Small edits of a synthetic observation, each of one thing, none in place; the specimens are made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from unvanish.core.network import Edge, Layer, WeightStats
from unvanish.core.observation import Evaluation, Observation
from unvanish.core.profile import LayerProfile, Profile

LayerEdit = Callable[[int, Layer], Layer]
ProfileEdit = Callable[[int, LayerProfile], LayerProfile]

GRADIENTS = (
    "gradient_norm",
    "gradient_rms",
    "output_gradient_norm",
    "preactivation_gradient_norm",
    "preactivation_gradient_rms",
    "input_gradient_norm",
)
PARTS = ("transmission", "activation_transmission", "weight_transmission")


def in_pytorch(seen: Observation) -> Observation:
    """Return the observation as the PyTorch adapter would have written it."""
    return replace(seen, network=replace(seen.network, framework="PyTorch 2.13.0", library="torch"))


def edit_kernels(seen: Observation, edit: LayerEdit) -> Observation:
    """Return the observation with every kernel layer edited; the edit is given its place among them, from 0."""
    names = [layer.name for layer in seen.network.kernels]
    layers = tuple(edit(names.index(x.name), x) if x.name in names else x for x in seen.network.layers)
    return replace(seen, network=replace(seen.network, layers=layers))


def edit_profiles(seen: Observation, edit: ProfileEdit, *, first: bool = True, last: bool = True) -> Observation:
    """Return the observation with every layer of the chosen probes edited; the edit is given its place, from 0."""
    chosen = [first, *([last] * (len(seen.profiles) - 1))]
    profiles = tuple(_edited(p, edit) if yes else p for p, yes in zip(seen.profiles, chosen, strict=True))
    return replace(seen, profiles=profiles)


def edit_rows(seen: Observation, stat: str, edit: Callable[[int, int, float], float]) -> Observation:
    """Return the observation with one recorded statistic edited: called with (step, kernel's place, number)."""
    recording = seen.recording
    rows = tuple(
        tuple(edit(step, i, number) for i, number in enumerate(row))
        for step, row in zip(recording.steps, recording.rows[stat], strict=True)
    )
    return replace(seen, recording=replace(recording, rows=recording.rows | {stat: rows}))


def with_losses(seen: Observation, first: float, last: float, chance: float | None = 0.6931) -> Observation:
    """Return the observation with these losses at the first and the last probe, recorded on a straight line."""
    profiles = (replace(seen.profiles[0], loss=first), *(replace(p, loss=last) for p in seen.profiles[1:]))
    steps = seen.recording.steps
    losses = tuple(first + (last - first) * i / max(len(steps) - 1, 1) for i in range(len(steps)))
    return replace(
        seen,
        profiles=profiles,
        recording=replace(seen.recording, losses=losses),
        loss=replace(seen.loss, chance=chance),
    )


def with_gradients(
    seen: Observation, factors: Sequence[float], *, cotangents: Sequence[float] | None = None
) -> Observation:
    """Return the observation with every layer's gradients multiplied, in probes and recording.

    factors: one per kernel, of weight gradients; cotangents: the same of activation gradients (as factors if None).
    """
    others = factors if cotangents is None else cotangents

    def edit(i: int, layer: LayerProfile) -> LayerProfile:
        return scaled(layer, factors[i], others[i])

    return edit_rows(edit_profiles(seen, edit), "gradient_norm", lambda _, i, norm: norm * factors[i])


def scaled(layer: LayerProfile, weights: float, cotangents: float) -> LayerProfile:
    """Return a layer's profile with its gradients multiplied: those of its weights and those of its activations."""
    changes: dict[str, Any] = {}
    for name in GRADIENTS:
        number = getattr(layer, name)
        if number is not None:
            changes[name] = number * (weights if name.startswith("gradient") else cotangents)
    if weights == 0:
        changes |= {"gradient_zero_share": 1.0} | dict.fromkeys(PARTS, None if cotangents == 0 else 1.0)
    return replace(layer, **changes)


def with_signal(seen: Observation, per_layer: float, first: float = 0.3) -> Observation:
    """Return the observation with the forward second moment changing by that factor per layer, in all probes."""
    return edit_profiles(
        seen,
        lambda i, layer: replace(
            layer, preactivation_second_moment=first * per_layer**i, output_second_moment=first * per_layer**i
        ),
    )


def with_spread(seen: Observation, per_layer: float, first: float = 0.2) -> Observation:
    """Return the observation with 1 - c changing by that factor per layer, in all probes."""
    return edit_profiles(seen, lambda i, layer: replace(layer, correlation=1 - max(first * per_layer**i, 1e-16)))


def with_gains(seen: Observation, gain: float, critical: float) -> Observation:
    """Return the observation with every hidden kernel drawn with that gain, and theory knowing the critical one."""

    def edit(_: int, layer: Layer) -> Layer:
        if layer.kernel is None or not layer.fan_in or layer.name in seen.network.outputs:
            return layer
        kernel = WeightStats(mean=0.0, variance=gain * gain / layer.fan_in, size=layer.kernel.size)
        return replace(layer, kernel=kernel)

    seen = edit_kernels(seen, edit)
    assert seen.forecast is not None
    layers = tuple(replace(layer, gain=gain, critical_gain=critical) for layer in seen.forecast.layers)
    return replace(seen, forecast=replace(seen.forecast, layers=layers))


def with_batch_norm(seen: Observation, momentum: float = 0.99) -> Observation:
    """Return the observation with a batch normalisation behind every hidden kernel layer (they show no numbers)."""
    hidden = [layer.name for layer in seen.network.kernels[:-1]]
    layers: list[Layer] = []
    for layer in seen.network.layers:
        layers.append(layer)
        if layer.name in hidden:
            norm = f"batch_normalization_{hidden.index(layer.name)}"
            ones = WeightStats(mean=1.0, variance=0.0, size=layer.units or 1)
            layers.append(Layer(name=norm, kind="batch_norm", type="BatchNormalization", momentum=momentum, scale=ones))
    edges = tuple(Edge(a.name, b.name) for a, b in pairwise(layers))
    return replace(seen, network=replace(seen.network, layers=tuple(layers), edges=edges))


def with_evaluation(seen: Observation, **numbers: Any) -> Observation:
    """Return the observation with these numbers in its evaluation (if it has none: of 200 held-out samples)."""
    found = seen.evaluation or Evaluation(
        step=seen.recording.total_steps,
        train=None,
        train_samples=200,
        held_out=None,
        held_out_batch_statistics=None,
        held_out_samples=200,
        held_out_sd=0.041,
    )
    return replace(seen, evaluation=replace(found, **numbers))


def only_start(seen: Observation) -> Observation:
    """Return the observation as it was before the first step: one probe, no watched step, nothing evaluated."""
    empty = replace(seen.recording, steps=(), losses=(), rows=dict.fromkeys(seen.recording.rows, ()), total_steps=0)
    return replace(seen, profiles=seen.profiles[:1], recording=empty, evaluation=None)


def _edited(profile: Profile, edit: ProfileEdit) -> Profile:
    return replace(profile, layers=tuple(edit(i, layer) for i, layer in enumerate(profile.layers)))
