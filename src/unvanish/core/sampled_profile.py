"""What a sample of a recording shows of every layer without a probe: gradients and weights of the kernels.

Of a sample that was looked into, also what the layers gave: that of an activation stands at the layer that applies it.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from unvanish.core.applied import applied
from unvanish.core.network import Network
from unvanish.core.profile import LayerProfile, Profile
from unvanish.core.recording import ACTIVATION_STATS, Recording


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
    found = {name: found.get(name) or LayerProfile(name=name) for name in (layer.name for layer in network.layers)}
    _looked_into(found, network, recording, sample)
    return Profile(
        step=recording.steps[sample],
        batches=1,
        batch_size=batch_size,
        loss=recording.losses[sample],
        dtype=dtype,
        layers=tuple(found[layer.name] for layer in network.layers),
    )


def _looked_into(found: dict[str, LayerProfile], network: Network, recording: Recording, sample: int) -> None:
    """Enter what the layers gave, where it was taken."""
    if not set(ACTIVATION_STATS) <= set(recording.rows):
        return
    columns = (recording.rows[stat][sample] for stat in ACTIVATION_STATS)
    by_kernel = applied(network)
    for name, *numbers in zip(recording.layers, *columns, strict=True):
        inside, outside, dead, saturated, _ = (None if math.isnan(number) else number for number in numbers)
        at = by_kernel.get(name)
        if at is None:
            continue
        found[name] = replace(found[name], preactivation_second_moment=inside)
        if at != name:  # the kernel's own output is what its activation is applied to
            found[name] = replace(found[name], output_second_moment=inside)
        found[at] = replace(found[at], output_second_moment=outside, dead_share=dead, saturated_share=saturated)
