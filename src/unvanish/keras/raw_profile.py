"""What a watched step shows of every layer without a probe: gradients and weights of the kernels."""

from __future__ import annotations

from typing import Any

from unvanish.core.network import Network
from unvanish.core.profile import Profile
from unvanish.core.recording import Recording
from unvanish.core.sampled_profile import sampled_profile
from unvanish.keras.info import compute_dtype

UNKNOWN = "activations and their gradients: the loss of the loop could not be computed again"
"""What to say of such a profile."""


def raw_profile(model: Any, network: Network, recording: Recording, sample: int, batch_size: int) -> Profile:
    """Return one sample of a recording (0 the first, -1 the last) as a profile; what only a probe shows is None."""
    return sampled_profile(network, recording, sample, batch_size=batch_size, dtype=compute_dtype(model))
