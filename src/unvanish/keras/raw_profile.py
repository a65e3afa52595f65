"""What a watched step shows of every layer without a probe: gradients and weights of the kernels."""

from __future__ import annotations

import math
from typing import Any

from unvanish.core.network import Network
from unvanish.core.profile import LayerProfile, Profile
from unvanish.core.recording import Recording
from unvanish.keras.info import compute_dtype

UNKNOWN = "activations and their gradients: the loss of the loop could not be computed again"
"""What to say of such a profile."""


def raw_profile(model: Any, network: Network, recording: Recording, sample: int, batch_size: int) -> Profile:
    """Return one sample of a recording (0 the first, -1 the last) as a profile; what only a probe shows is None."""
    rows = (recording.rows[stat][sample] for stat in ("gradient_norm", "weight_norm", "gradient_nonfinite"))
    found = {
        name: LayerProfile(
            name=name,
            gradient_norm=gradient,
            gradient_rms=gradient / math.sqrt(size),
            gradient_zero_share=1.0 if gradient == 0 else None,
            gradient_nonfinite=int(bad),
            weight_norm=weight,
            weight_rms=weight / math.sqrt(size),
        )
        for name, size, gradient, weight, bad in zip(recording.layers, recording.sizes, *rows, strict=True)
        if not math.isnan(bad)  # the loop's optimizer had no gradient for it
    }
    return Profile(
        step=recording.steps[sample],
        batches=1,
        batch_size=batch_size,
        loss=recording.losses[sample],
        dtype=compute_dtype(model),
        layers=tuple(found.get(layer.name, LayerProfile(name=layer.name)) for layer in network.layers),
    )
