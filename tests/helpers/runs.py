"""Recordings on disk with numbers that tests choose: no framework, no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unvanish.core.recording import STEP_STATS, WATCH_STATS, About, Event
from unvanish.core.recording_file import Header, RecordingFile, Row
from unvanish.core.watch_cost import WatchCost

COST = WatchCost(
    samples=8,
    seconds=100.0,
    added_seconds=0.9,
    warm_up_seconds=0.2,
    step_seconds=0.01,
    sample_seconds=0.02,
    budget=0.01,
)
FOUND = "step 0: VANISHING  [GF101] the gradient shrinks 4.6x at every layer towards the input"
BROKEN = "step 50: the first values that are no finite numbers, in the gradients of 3 of 5 layers (loss 1.2)"


def numbers(layers: int, samples: int, *, decades: float = 1.0, seed: int = 0) -> np.ndarray:
    """Return (samples, statistics, layers): gradients that shrink by so many decades a layer towards the input."""
    rng = np.random.default_rng(seed)
    found = np.zeros((samples, len(WATCH_STATS), layers))
    found[:, 0] = 10 ** (decades * np.arange(1 - layers, 1) + rng.normal(0, 0.1, (samples, layers)))
    found[:, 1] = 10 + np.arange(samples)[:, None] / 10
    found[:, 2] = 1e-3 * found[:, 1] * rng.lognormal(0, 0.2, (samples, layers))
    found[:, len(STEP_STATS) :] = np.nan
    return found


def looked_into(table: np.ndarray, samples: list[int], *, transmissions: bool = True) -> np.ndarray:
    """Return the same numbers with activations at these samples: the first layer saturated, the second mostly dead."""
    found, layers = table.copy(), table.shape[2]
    for place, sample in enumerate(samples):
        row = found[sample, len(STEP_STATS) :]
        row[:2] = 10.0 ** -np.arange(layers) / (1 + place)
        row[2, 1:-1], row[3, 0] = 0.1, 0.3 + 0.1 * place
        row[2, 1] = 0.9
        if transmissions:
            row[4, 1:] = 0.24 * (1 + place)
    return found


def write_run(
    folder: Path,
    table: np.ndarray,
    *,
    steps: list[int] | None = None,
    losses: list[float] | None = None,
    events: tuple[Event, ...] = (),
    names: tuple[str, ...] = (),
    title: str = "train.py",
) -> Path:
    """Write the recording of a run into the folder, which is made, and return the folder."""
    samples, _, layers = table.shape
    steps = [10 * i for i in range(samples)] if steps is None else steps
    losses = [2.0 / (1 + i) for i in range(samples)] if losses is None else losses
    about = About(
        title=title, framework="PyTorch 2.13.0", optimizer="Adam", started="2026-01-01T10:00:00+00:00", version="0.1.0"
    )
    names = names or tuple(f"dense_{i}" for i in range(layers))
    folder.mkdir(parents=True)
    file = RecordingFile(folder / "recording.sqlite", Header(about=about, layers=names, sizes=(64,) * layers))
    rows = [
        Row(step, i / 10, loss, table[i].astype("f4")) for i, (step, loss) in enumerate(zip(steps, losses, strict=True))
    ]
    file.append(rows, events)
    file.finish(steps[-1] + 10 if steps else 0, COST)
    file.close()
    return folder


def broken_run(folder: Path, *, samples: int = 8, layers: int = 5) -> Path:
    """Write a run with every kind of sample: a zero, one that is not finite, one that was not taken, and two events."""
    table = numbers(layers, samples)
    table[0, 0, 2] = 0.0
    table[:2, :, 1] = np.nan
    table[5, 0, 2:] = np.inf
    table[5, 4, 2:] = 7
    losses = [2.0 / (1 + i) for i in range(samples)]
    losses[5] = np.nan
    events = (
        Event(step=0, seconds=0.0, kind="finding", text=FOUND, layer="dense_0", code="GF101", verdict="vanishing"),
        Event(step=50, seconds=0.5, kind="nonfinite", text=BROKEN, layer="dense_4", code="GF401", verdict="nonfinite"),
    )
    return write_run(folder, table, losses=losses, events=events)
