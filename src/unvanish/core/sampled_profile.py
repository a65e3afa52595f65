"""What a sample of a recording shows of every layer without a probe: gradients and weights of the kernels."""

from __future__ import annotations

import math

from unvanish.core.network import Network
from unvanish.core.profile import LayerProfile, Profile
from unvanish.core.recording import Recording


def sampled_profile(network: Network, recording: Recording, sample: int, *, batch_size: int, dtype: str) -> Profile:
    """Return one sample of a recording (0 the first, -1 the last) as a profile; what only a probe shows is None."""
    stats = ("gradient_norm", "weight_norm", "gradient_nonfinite")
    zeros = recording.rows.get("gradient_zeros")
    counted = [math.nan] * len(recording.layers) if zeros is None else zeros[sample]
    rows = (recording.rows[stat][sample] for stat in stats)
    found = {
        name: LayerProfile(
            name=name,
            gradient_norm=gradient,
            gradient_rms=gradient / math.sqrt(size),
            gradient_zero_share=1.0 if gradient == 0 else None if math.isnan(none) else none / size,
            gradient_nonfinite=int(bad),
            weight_norm=weight,
            weight_rms=weight / math.sqrt(size),
        )
        for name, size, gradient, weight, bad, none in zip(
            recording.layers, recording.sizes, *rows, counted, strict=True
        )
        if not math.isnan(bad)  # the loop's optimizer had no gradient for it
    }
    return Profile(
        step=recording.steps[sample],
        batches=1,
        batch_size=batch_size,
        loss=recording.losses[sample],
        dtype=dtype,
        layers=tuple(found.get(layer.name, LayerProfile(name=layer.name)) for layer in network.layers),
    )
