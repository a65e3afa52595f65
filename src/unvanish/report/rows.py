"""What the records say about each layer, side by side: one row a layer, in forward order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unvanish.core.diagnosis import Diagnosis, Site
from unvanish.core.forecast import LayerForecast
from unvanish.core.measures.epsilon_share import epsilon_share
from unvanish.core.measures.update_ratio import update_ratio
from unvanish.core.network import Layer
from unvanish.core.profile import LayerProfile
from unvanish.core.recording import Recording


@dataclass(frozen=True)
class LayerRow:
    """Hold the numbers of one layer; None where a number was not taken."""

    index: int
    """Position among the network's layers, from 0."""
    layer: Layer
    first: LayerProfile
    """At the first probe."""
    last: LayerProfile
    """At the last probe; the same as `first` when there was one probe."""
    forecast: LayerForecast
    site: Site | None
    update_ratio: float | None
    """|update| / |weights| at the last watched step."""
    epsilon_share: float | None
    """Optimizer's epsilon as a share of the denominator, at the gradient RMS of the first probe."""
    movement: float | None
    """|W_t - W_0| / |W_0| at the last watched step."""


def layer_rows(diagnosis: Diagnosis) -> tuple[LayerRow, ...]:
    """Return one row for every layer of the network, inputs left out."""
    seen = diagnosis.observation
    first = {p.name: p for p in seen.profiles[0].layers} if seen.profiles else {}
    last = {p.name: p for p in seen.profiles[-1].layers} if seen.profiles else {}
    forecasts = {f.name: f for f in seen.forecast.layers} if seen.forecast else {}
    updates, moved = last_update_ratios(seen.recording), last_sample(seen.recording, "movement")
    rows = []
    for index, layer in enumerate(seen.network.layers):
        if layer.kind == "input":
            continue
        profile = first.get(layer.name) or LayerProfile(name=layer.name)
        rows.append(
            LayerRow(
                index=index,
                layer=layer,
                first=profile,
                last=last.get(layer.name) or profile,
                forecast=forecasts.get(layer.name) or LayerForecast(name=layer.name),
                site=diagnosis.sites.get(layer.name),
                update_ratio=updates.get(layer.name),
                epsilon_share=_epsilon_share(diagnosis, profile),
                movement=moved.get(layer.name),
            )
        )
    return tuple(rows)


def kernel_rows(rows: Sequence[LayerRow]) -> tuple[LayerRow, ...]:
    """Return the rows of the layers that own a kernel; of all layers where fewer than three do."""
    kernels = tuple(row for row in rows if row.layer.kernel is not None)
    return kernels if len(kernels) >= 3 else tuple(rows)


def last_sample(recording: Recording, stat: str) -> dict[str, float]:
    """Return layer name -> the last recorded value of a statistic; what is nan is left out."""
    return _known(recording, recording.rows[stat][-1]) if recording.rows.get(stat) else {}


def last_update_ratios(recording: Recording) -> dict[str, float]:
    """Return layer name -> |update| / |weights| at the last watched step; what is nan is left out."""
    if not (recording.rows.get("update_norm") and recording.rows.get("weight_norm")):
        return {}
    updates, weights = (np.asarray(recording.rows[s][-1]) for s in ("update_norm", "weight_norm"))
    return _known(recording, update_ratio(updates, weights).tolist())


def _known(recording: Recording, numbers: Sequence[float]) -> dict[str, float]:
    return {name: v for name, v in zip(recording.layers, numbers, strict=True) if not math.isnan(v)}


def _epsilon_share(diagnosis: Diagnosis, profile: LayerProfile) -> float | None:
    epsilon, rms = diagnosis.observation.optimizer.epsilon, profile.gradient_rms
    if epsilon is None or rms is None or math.isnan(rms):
        return None
    return epsilon_share(rms, epsilon)
