"""What was sampled at the watched steps of a training, one row a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from unvanish.core.watch_cost import WatchCost

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAYER_STATS = ("gradient_norm", "weight_norm", "update_norm", "movement", "gradient_nonfinite")
"""Per watched step and kernel: norms are Euclidean; movement is |W_t - W_0| / |W_0| (None where not taken)."""

WATCH_STATS = ("gradient_norm", "weight_norm", "update_norm", "gradient_zeros", "gradient_nonfinite")
"""Per sample of a running training and kernel; nan where not taken. Zeros, non-finite: how many entries."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Hold something that happened while a training was watched."""

    step: int
    seconds: float
    """Since the recording began."""
    kind: str
    """`finding`, `nonfinite`, `jump`, `fit`, `dropped`, `failed`, `order`, ..."""
    text: str
    """One line, as it was told."""
    layer: str = ""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a recording is one of."""

    title: str
    """Of the script, or the model's name."""
    framework: str
    optimizer: str = ""
    started: str = ""
    """ISO 8601, local time."""
    version: str = ""
    """Of unvanish."""


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
    events: tuple[Event, ...] = ()
    seconds: tuple[float, ...] = ()
    """When each sample was taken, since the recording began; empty where that was not kept."""
    about: About | None = None
    cost: WatchCost | None = None

    @property
    def stats(self) -> tuple[str, ...]:
        """Return the names of the recorded statistics."""
        return tuple(self.rows)

    def array(self, stat: str) -> NDArray[np.float64]:
        """Return one statistic as a float64 array of shape (samples, layers); raise KeyError if not recorded."""
        import numpy as np  # here, because it alone takes longer to import than all of unvanish

        return np.asarray(self.rows[stat], dtype=np.float64).reshape(len(self.steps), len(self.layers))

    def gradient_rms(self) -> NDArray[np.float64]:
        """Return the RMS of each kernel's gradient over its entries, of shape (samples, layers)."""
        import numpy as np

        return self.array("gradient_norm") / np.sqrt(np.maximum(np.asarray(self.sizes, dtype=np.float64), 1))

    def frame(self) -> Any:
        """Return one row for each sample and layer: a pandas DataFrame where that is installed, else columns of numpy.

        Columns: step, seconds (nan where not kept), loss, layer, and every statistic.
        """
        import numpy as np

        each, samples = len(self.layers), len(self.steps)
        seconds = self.seconds if self.seconds else (np.nan,) * samples
        columns: dict[str, Any] = {
            "step": np.repeat(np.asarray(self.steps, dtype=np.int64), each),
            "seconds": np.repeat(np.asarray(seconds, dtype=np.float64), each),
            "loss": np.repeat(np.asarray(self.losses, dtype=np.float64), each),
            "layer": np.tile(np.asarray(self.layers, dtype=object), samples),
        }
        columns |= {stat: self.array(stat).ravel() for stat in self.rows}
        try:
            import pandas as pd
        except ImportError:
            return columns
        return pd.DataFrame(columns)
