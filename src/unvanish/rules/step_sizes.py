"""How far single optimizer steps moved the weights. Shared by GF202 and GF302."""

from __future__ import annotations

import numpy as np

from unvanish.core.measures.update_ratio import update_ratio
from unvanish.core.network import Layer
from unvanish.core.observation import Observation


def step_sizes(seen: Observation) -> dict[int, float]:
    """Return watched step -> update/weight, the median over the kernels that do not start at zero."""
    recording = seen.recording
    kernels = {k.name: k for k in seen.network.kernels}
    sized = [i for i, name in enumerate(recording.layers) if _sized(kernels.get(name))]
    if not sized or not recording.steps or not {"update_norm", "weight_norm"} <= recording.rows.keys():
        return {}
    ratios = update_ratio(recording.array("update_norm")[:, sized], recording.array("weight_norm")[:, sized])
    finite = [row[np.isfinite(row)] for row in ratios]
    return {step: float(np.median(row)) for step, row in zip(recording.steps, finite, strict=True) if row.size}


def _sized(layer: Layer | None) -> bool:
    return layer is not None and layer.trainable and layer.kernel is not None and layer.kernel.second_moment > 0
