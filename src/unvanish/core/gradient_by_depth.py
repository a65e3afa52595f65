"""The gradient of every kernel against its depth, of one network over one or several seeds: what pictures draw."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import msgspec

from unvanish.core.forecast import Forecast
from unvanish.core.network import Network
from unvanish.core.profile import Profile

Row = tuple[float | None, ...]


class GradientByDepth(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the gradient RMS of the kernels in forward order: raw, of the batch-mean loss. None: it was not taken."""

    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    """Number of entries of each kernel, so that a norm is RMS x sqrt(size)."""
    first: tuple[Row, ...]
    """At the initialisation: one row for each seed, one entry for each kernel."""
    last: tuple[Row, ...] = ()
    """The same after the last step; empty where no step was taken."""
    forecast: Row = ()
    """log10 of what theory expects of `first`, relative to the output kernel's RMS; empty without a forecast."""

    @property
    def medians(self) -> Row:
        """Return the median of `first` over seeds."""
        return medians(self.first)

    @property
    def last_medians(self) -> Row:
        """Return the median of `last` over seeds; empty where no step was taken."""
        return medians(self.last)

    @property
    def first_over_last(self) -> float | None:
        """Return the first kernel's gradient norm over the output kernel's at the initialisation: median over seeds."""
        return _first_over_last(self.first, self.sizes)


def gradient_by_depth(network: Network, profiles: Sequence[Profile], forecast: Forecast | None) -> GradientByDepth:
    """Return what one training's profiles hold: the first of them, and the last where that is of a later step.

    network: whose kernels are meant; a profile without one of them leaves None. Nothing is raised.
    """
    kernels = [(layer.name, layer.kernel.size) for layer in network.kernels if layer.kernel is not None]
    rows = [_row(profile, [name for name, _ in kernels]) for profile in profiles]
    later = len(profiles) > 1 and profiles[-1].step != profiles[0].step
    sizes = tuple(size for _, size in kernels)
    return GradientByDepth(
        layers=tuple(name for name, _ in kernels),
        sizes=sizes,
        first=tuple(rows[:1]),
        last=tuple(rows[-1:]) if later else (),
        forecast=() if forecast is None else _expected(forecast, [name for name, _ in kernels], sizes),
    )


def over_seeds(trainings: Sequence[GradientByDepth]) -> GradientByDepth | None:
    """Return the trainings of one network as one record, a row for each; None for none."""
    if not trainings:
        return None
    return msgspec.structs.replace(
        trainings[0],
        first=tuple(row for one in trainings for row in one.first),
        last=tuple(row for one in trainings for row in one.last),
    )


def medians(rows: Iterable[Row]) -> Row:
    """Return the median of each column, what is no number counted as infinite; None where nothing was taken."""
    columns = [[_high(number) for number in column if number is not None] for column in zip(*rows, strict=True)]
    return tuple(statistics.median(column) if column else None for column in columns)


def _high(number: float) -> float:
    return math.inf if math.isnan(number) else number


def _row(profile: Profile, names: Sequence[str]) -> Row:
    seen = {layer.name: layer.gradient_rms for layer in profile.layers}
    return tuple(seen.get(name) for name in names)


def _expected(forecast: Forecast, names: Sequence[str], sizes: Sequence[int]) -> Row:
    """Return the forecast of the norms as one of the RMS: a norm is RMS x sqrt(size)."""
    known = {layer.name: layer.log10_gradient_norm for layer in forecast.layers}
    norms = [known.get(name) for name in names]
    halves = [0.5 * math.log10(sizes[-1] / size) for size in sizes]
    row = tuple(None if norm is None else norm + half for norm, half in zip(norms, halves, strict=True))
    return row if any(number is not None for number in row) else ()


def _first_over_last(rows: Sequence[Row], sizes: Sequence[int]) -> float | None:
    ratios = [
        row[0] / row[-1] * math.sqrt(sizes[0] / sizes[-1])
        for row in rows
        if len(row) > 1 and row[0] is not None and row[-1]
    ]
    return statistics.median(ratios) if ratios else None
