"""What was sampled at the watched steps of a training, one row a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAYER_STATS = ("gradient_norm", "weight_norm", "update_norm", "movement", "gradient_nonfinite")
"""Per watched step and kernel: norms are Euclidean; movement is |W_t - W_0| / |W_0| (None where not taken)."""

WATCH_STATS = ("gradient_norm", "weight_norm", "update_norm", "gradient_zeros", "gradient_nonfinite")


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the samples of one training; `steps[i]` counts the optimizer steps taken before sample i."""

    layers: tuple[str, ...]
    """Names of the layers with a kernel, in forward order."""
    sizes: tuple[int, ...]
    """Number of kernel entries of each, so that an RMS is norm / sqrt(size)."""
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    """The batch loss of each watched step."""
    rows: dict[str, tuple[tuple[float, ...], ...]]
    """stat -> one tuple per sample, one entry per layer."""
    total_steps: int = 0
    """Steps that ran, watched or not."""
    events: tuple[str, ...] = ()

    @property
    def stats(self) -> tuple[str, ...]:
        """Return the names of the recorded statistics."""
        return tuple(self.rows)

    def array(self, stat: str) -> NDArray[np.float64]:
        """Return one statistic as a float64 array of shape (samples, layers); raise KeyError if not recorded."""
        import numpy as np  # here, because it alone takes longer to import than all of unvanish

        return np.asarray(self.rows[stat], dtype=np.float64).reshape(len(self.steps), len(self.layers))
