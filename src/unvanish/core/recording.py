"""What was sampled at the watched steps of a training, one row a step."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from unvanish.core import document
from unvanish.core.renderers import render
from unvanish.core.saving import save
from unvanish.core.watch_cost import WatchCost
from unvanish.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unvanish.core.course import Course, LayerCourse

LAYER_STATS = ("gradient_norm", "weight_norm", "update_norm", "movement", "gradient_nonfinite")
"""Per watched step and kernel: norms are Euclidean; movement is |W_t - W_0| / |W_0| (None where not taken)."""

STEP_STATS = ("gradient_norm", "weight_norm", "update_norm", "gradient_zeros", "gradient_nonfinite")
"""Per sample of a running training and kernel; nan where not taken. Zeros, non-finite: how many entries."""

ACTIVATION_STATS = (
    "preactivation_second_moment",
    "output_second_moment",
    "dead_share",
    "saturated_share",
    "transmission",
)
"""Per kernel, of some of the samples; nan in the others, and where it was not taken or does not apply.

Mean square of what the kernel makes and of what its activation gives (core.applied); of the activation's units the
share that is dead and saturated, as LayerProfile has them; |dL/d input of the kernel| / |dL/d output of its
activation|, what lies between included. All over the batch of the step, with the weights before it.
"""

WATCH_STATS = (*STEP_STATS, *ACTIVATION_STATS)
"""What the recording of a running training has."""


ERRORS = ("finding", "nonfinite")
"""Kinds of events that say what is wrong with the network: a rule finds it, or a value is no finite number."""


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
    code: str = ""
    """The rule that says so, as `GF101`, where something is wrong with the network; empty for everything else."""
    verdict: str = ""
    """The word that it argues for, as a diagnosis has it: `vanishing`."""


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
    def unnamed(self) -> tuple[Event, ...]:
        """Return the errors that were told without their rule, as earlier versions wrote them."""
        return tuple(event for event in self.events if event.kind in ERRORS and not event.code)

    @property
    def whole(self) -> bool:
        """Say whether there is one number of each statistic for each sample and layer, as of every one that was taken.

        False only of a record that came from elsewhere.
        """
        samples, layers = len(self.steps), len(self.layers)
        return (
            len(self.losses) == samples
            and len(self.sizes) == layers
            and len(self.seconds) in (0, samples)
            and all(len(table) == samples for table in self.rows.values())
            and all(len(row) == layers for table in self.rows.values() for row in table)
        )

    @property
    def stats(self) -> tuple[str, ...]:
        """Return the names of the recorded statistics."""
        return tuple(self.rows)

    def array(self, stat: str) -> NDArray[np.float64]:
        """Return one statistic as a float64 array of shape (samples, layers); raise UsageError if not recorded."""
        import numpy as np  # here, because it alone takes longer to import than all of unvanish

        if stat not in self.rows:
            near = difflib.get_close_matches(str(stat), self.rows, n=1)
            raise UsageError(
                f"the recording has no statistic {stat!r}",
                found=f"those that were recorded: {', '.join(self.rows) or 'none'}",
                numbers={"samples": len(self.steps), "layers": len(self.layers)},
                hint=f"recording.array({near[0]!r})" if near else "one of these, or recording.frame() for all of them",
            )
        return np.asarray(self.rows[stat], dtype=np.float64).reshape(len(self.steps), len(self.layers))

    def gradient_rms(self) -> NDArray[np.float64]:
        """Return the RMS of each kernel's gradient over its entries, of shape (samples, layers)."""
        import numpy as np

        return self.array("gradient_norm") / np.sqrt(np.maximum(np.asarray(self.sizes, dtype=np.float64), 1))

    def update_ratio(self) -> NDArray[np.float64]:
        """Return |update| / |weights| of each kernel, of shape (samples, layers); nan where either is not known."""
        from unvanish.core.measures.update_ratio import update_ratio

        return update_ratio(self.array("update_norm"), self.array("weight_norm"))

    def taken(self) -> NDArray[np.bool_]:
        """Say of each sample and layer whether there was a gradient: not where the optimizer had none for it."""
        import numpy as np

        stat = "gradient_nonfinite" if self.rows.get("gradient_nonfinite") else "gradient_norm"
        return np.logical_not(np.isnan(self.array(stat)))

    def nonfinite(self) -> NDArray[np.bool_]:
        """Say of each sample and layer whether its gradient was taken and is not finite."""
        import numpy as np

        return self.taken() & ~np.isfinite(self.array("gradient_norm"))

    def looked_into(self) -> NDArray[np.bool_]:
        """Say of each sample whether its activations were taken, of any layer."""
        import numpy as np

        stats = [stat for stat in ACTIVATION_STATS if stat in self.rows]
        there = [~np.isnan(self.array(stat)).all(axis=1) for stat in stats] if self.layers else []
        return np.logical_or.reduce(there) if there else np.zeros(len(self.steps), dtype=np.bool_)

    def courses(self) -> tuple[LayerCourse, ...]:
        """Return what became of each layer over the samples; what was not recorded is None.

        Activations have the course of the samples in which they were taken.
        """
        import numpy as np

        from unvanish.core.course import LayerCourse, course

        unknown = np.full((len(self.steps), len(self.layers)), np.nan)
        weights = self.array("weight_norm") if "weight_norm" in self.rows else unknown
        ratios = self.update_ratio() if {"weight_norm", "update_norm"} <= set(self.rows) else unknown
        rms, taken, nonfinite = self.gradient_rms(), self.taken(), self.nonfinite()
        into = self.looked_into()
        activations = {stat: self.array(stat)[into] for stat in ACTIVATION_STATS if stat in self.rows}
        return tuple(
            LayerCourse(
                name=name,
                size=self.sizes[i],
                gradient_rms=course(rms[:, i], taken[:, i]),
                weight_norm=course(weights[:, i]),
                update_ratio=course(ratios[:, i]),
                not_taken=int((~taken[:, i]).sum()),
                nonfinite=int(nonfinite[:, i].sum()),
                **{stat: course(numbers[:, i]) for stat, numbers in activations.items()},
            )
            for i, name in enumerate(self.layers)
        )

    def loss_course(self) -> Course:
        """Return what became of the loss; nan where it was no number, or nobody saw it."""
        import numpy as np

        from unvanish.core.course import course

        losses = np.asarray(self.losses, dtype=np.float64)
        return course(losses, np.full(losses.shape, True))

    def first_over_last_course(self) -> Course:
        """Return what became of the first kernel's gradient norm over the output kernel's; None where either is not."""
        import numpy as np

        from unvanish.core.course import course

        norms, taken = self.array("gradient_norm"), self.taken()
        if not norms.size:
            return course(np.empty(0))
        with np.errstate(all="ignore"):
            return course(norms[:, 0] / norms[:, -1], taken[:, 0] & taken[:, -1])

    @property
    def alarm(self) -> Event | None:
        """Return the first event that says that something is wrong with the network: a finding, or no number."""
        return next((event for event in self.events if event.code), None)

    def sample_at(self, step: int) -> int | None:
        """Return the last sample that was taken at the step or before it; None where there is none."""
        return max((i for i, taken in enumerate(self.steps) if taken <= step), default=None)

    def thinned(self, most: int) -> Recording:
        """Return the recording with at most so many samples, three or more: the first, the last, and evenly between.

        Of each group of neighbours one is kept: the first in which a gradient is not finite, else the middle one.
        """
        import numpy as np

        count = len(self.steps)
        if count <= most:
            return self
        odd = np.asarray(self.nonfinite().any(axis=1))
        kept = [0]
        for group in np.array_split(np.arange(1, count - 1), most - 2):
            broken = group[odd[group]]
            kept.append(int(broken[0] if broken.size else group[group.size // 2]))
        kept.append(count - 1)
        return replace(
            self,
            steps=tuple(self.steps[i] for i in kept),
            losses=tuple(self.losses[i] for i in kept),
            seconds=tuple(self.seconds[i] for i in kept) if self.seconds else (),
            rows={stat: tuple(rows[i] for i in kept) for stat, rows in self.rows.items()},
        )

    def to_json(self) -> str:
        """Return the record as JSON, with its schema version."""
        return document.encode(self).decode()

    def __str__(self) -> str:
        """Return the terminal report as plain text, 80 columns."""
        return str(render("recording text", self))

    def save(self, path: str | Path) -> Path:
        """Write it to a file; its ending chooses the form: .html, .json, .txt, .csv or .parquet. Return the path.

        CSV and Parquet have a row for each number: step, layer, quantity, value. Raise UsageError for another ending,
        and for Parquet where pyarrow is not installed.
        """
        from unvanish.core.long_table import to_csv, to_parquet

        return save(
            path,
            page=lambda: render("recording page", self),
            json=self.to_json,
            text=lambda: str(self),
            more={".csv": lambda: to_csv(self), ".parquet": lambda: to_parquet(self)},
        )

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
