"""Synthetic observations: the shapes that real ones have, the numbers made up but consistent. Nothing is measured."""

from __future__ import annotations

import math

import msgspec
from msgspec.structs import replace

from unvanish.core.forecast import Forecast, LayerForecast
from unvanish.core.network import Edge, Layer, Network, Parameter, WeightStats
from unvanish.core.observation import DataInfo, Evaluation, LossInfo, Observation, OptimizerInfo
from unvanish.core.profile import LayerProfile, Profile
from unvanish.core.recording import LAYER_STATS, Recording


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a synthetic network looks like."""

    depth: int = 12
    width: int = 64
    activation: str = "sigmoid"
    factor: float = 0.236
    """Transmission per layer."""
    activation_part: float = 0.242
    output_norm: float = 0.82
    """Gradient norm of the output kernel."""
    saturated: float | None = 0.0
    dead: float | None = None
    steps: int = 60
    name: str = "dense"


def layer_names(recipe: Recipe) -> tuple[str, ...]:
    """Return the names that Keras would give: dense, dense_1, ..."""
    return tuple(recipe.name if i == 0 else f"{recipe.name}_{i}" for i in range(recipe.depth))


def observation(recipe: Recipe) -> Observation:
    """Return everything that would have been seen of such a network: two probes, a recording, a forecast."""
    layers = tuple(_layer(recipe, i, name) for i, name in enumerate(layer_names(recipe)))
    profile = Profile(
        step=0,
        batches=4,
        batch_size=32,
        loss=0.7123,
        dtype="float32",
        layers=tuple(_profile(recipe, i, layer) for i, layer in enumerate(layers)),
        seconds=0.21,
    )
    later = replace(
        profile,
        step=recipe.steps,
        loss=0.6931,
        layers=tuple(replace(p, **_scaled(p, 1.31)) for p in profile.layers),
    )
    source = Layer(name="input", kind="input", type="InputLayer", shape=(20,))
    return Observation(
        network=Network(
            name="sequential",
            framework="Keras 3.15.1 (tensorflow)",
            layers=(source, *layers),
            edges=tuple(Edge(a.name, b.name) for a, b in zip((source, *layers), layers, strict=False)),
            outputs=(layers[-1].name,),
            parameters=parameters(layers),
        ),
        forecast=_forecast(recipe, layers),
        profiles=(profile, later),
        recording=_recording(recipe, layers, profile),
        optimizer=OptimizerInfo(name="Adam", family="adam", learning_rate=1e-3, epsilon=1e-7, beta_1=0.9, beta_2=0.999),
        loss=LossInfo(kind="binary_crossentropy", chance=0.6931, head="sigmoid", from_logits=False, units=1),
        data=DataInfo(
            samples=800,
            held_out=200,
            input_second_moment=0.3333,
            input_cross_moment=0.25,
            input_min=0.0,
            input_max=1.0,
            feature_sd_min=0.27,
            feature_sd_max=0.31,
            label_min=0.0,
            label_max=1.0,
            label_kind="binary",
        ),
        evaluation=Evaluation(
            step=recipe.steps,
            train=0.53,
            train_samples=200,
            held_out=0.49,
            held_out_batch_statistics=0.49,
            held_out_samples=200,
            held_out_sd=0.041,
        ),
        planned_steps=125,
        not_checked=("through-time gradients: the network has no recurrent layer",),
    )


def _layer(recipe: Recipe, index: int, name: str) -> Layer:
    last = index == recipe.depth - 1
    fan_in, fan_out = 20 if index == 0 else recipe.width, 1 if last else recipe.width
    return Layer(
        name=name,
        kind="dense",
        type="Dense",
        activation="sigmoid" if last else recipe.activation,
        units=fan_out,
        distinct_units=fan_out,
        fan_in=fan_in,
        fan_out=fan_out,
        kernel=WeightStats(mean=0.0003, variance=2 / (fan_in + fan_out), size=fan_in * fan_out),
        bias=WeightStats(mean=0.0, variance=0.0, size=fan_out),
        parameters=(fan_in + 1) * fan_out,
        shape=(fan_out,),
        initializer="glorot_uniform",
    )


def parameters(layers: tuple[Layer, ...]) -> tuple[Parameter, ...]:
    """Return kernel and bias of every dense layer, held by an optimizer."""
    found: list[Parameter] = []
    for layer in layers:
        assert layer.fan_in is not None
        assert layer.units is not None
        for name, shape in (("kernel", (layer.fan_in, layer.units)), ("bias", (layer.units,))):
            found.append(Parameter(name=f"{layer.name}/{name}", layer=layer.name, shape=shape, optimised=True))
    return tuple(found)


def _wobble(index: int) -> float:
    """Return a factor near one that looks measured: the same for the same layer."""
    return math.exp(0.12 * math.sin(2.3 * index + 0.7))


def _profile(recipe: Recipe, index: int, layer: Layer) -> LayerProfile:
    assert layer.kernel is not None
    distance = recipe.depth - 1 - index
    arriving = recipe.factor**distance * _wobble(index)
    norm = recipe.output_norm * arriving
    activation_part = recipe.activation_part * (2 - _wobble(index))
    return LayerProfile(
        name=layer.name,
        gradient_norm=norm,
        gradient_rms=norm / math.sqrt(layer.kernel.size),
        gradient_zero_share=0.0,
        reached=True,
        distinct_units=layer.units,
        weight_norm=math.sqrt(layer.kernel.variance * layer.kernel.size),
        weight_rms=math.sqrt(layer.kernel.variance),
        preactivation_second_moment=0.31 * _wobble(index),
        output_second_moment=0.27 * _wobble(index),
        correlation=1 - 0.2 * 0.5**index,
        saturated_share=recipe.saturated,
        dead_share=recipe.dead if recipe.dead is None else recipe.dead * _wobble(index),
        output_gradient_norm=arriving,
        preactivation_gradient_norm=arriving * activation_part,
        preactivation_gradient_rms=arriving * activation_part / 45.0,
        input_gradient_norm=arriving * recipe.factor,
        transmission=recipe.factor,
        activation_transmission=activation_part,
        weight_transmission=recipe.factor / activation_part,
    )


def _scaled(profile: LayerProfile, by: float) -> dict[str, float]:
    assert profile.gradient_norm is not None
    assert profile.gradient_rms is not None
    return {"gradient_norm": profile.gradient_norm * by, "gradient_rms": profile.gradient_rms * by}


def _forecast(recipe: Recipe, layers: tuple[Layer, ...]) -> Forecast:
    step = math.log10(recipe.factor)
    return Forecast(
        log10_first_over_last=step * (recipe.depth - 1),
        log10_sd=0.09 * math.sqrt(recipe.depth / 12),
        transmission_per_layer=recipe.factor,
        gradient_factor_per_layer=recipe.factor,
        safe_depth=max(2, round(1.5 / abs(step))),
        depth_scale=1 / abs(math.log(recipe.factor)),
        layers=tuple(
            LayerForecast(
                name=layer.name,
                second_moment=0.31,
                correlation=0.99,
                transmission=recipe.factor,
                activation_transmission=recipe.activation_part,
                weight_transmission=recipe.factor / recipe.activation_part,
                log10_gradient_norm=step * (recipe.depth - 1 - i),
                gain=1.0,
                critical_gain=1 / recipe.activation_part,
            )
            for i, layer in enumerate(layers)
        ),
    )


def _recording(recipe: Recipe, layers: tuple[Layer, ...], profile: Profile) -> Recording:
    """Return forty samples (or fewer) in which the loss falls a little and every layer moves with its gradient."""
    interval = max(1, -(-recipe.steps // 40))
    steps = tuple(step for step in range(recipe.steps) if step < 3 or step % interval == 0 or step == recipe.steps - 1)
    rows: dict[str, list[tuple[float, ...]]] = {stat: [] for stat in LAYER_STATS}
    for step in steps:
        gradients = [(p.gradient_norm or 0.0) * (1 + 0.3 * math.sin(0.4 * step)) for p in profile.layers]
        weights = [p.weight_norm or 1.0 for p in profile.layers]
        rms = [(p.gradient_rms or 0.0) for p in profile.layers]
        updates = [1e-3 * w * 12 * r / (r + 1e-7) for w, r in zip(weights, rms, strict=True)]
        rows["gradient_norm"].append(tuple(gradients))
        rows["weight_norm"].append(tuple(weights))
        rows["update_norm"].append(tuple(updates))
        rows["movement"].append(tuple(u / w * math.sqrt(step) for u, w in zip(updates, weights, strict=True)))
        rows["gradient_nonfinite"].append(tuple(0.0 for _ in layers))
    return Recording(
        layers=tuple(layer.name for layer in layers),
        sizes=tuple(layer.kernel.size for layer in layers if layer.kernel is not None),
        steps=steps,
        losses=tuple(0.6931 + 0.02 * math.exp(-step / 9) * math.cos(step) for step in steps),
        rows={stat: tuple(samples) for stat, samples in rows.items()},
        total_steps=recipe.steps,
    )
