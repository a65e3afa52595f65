"""The published detectors, as far as a recording lets them be replayed; beside them the zoo's own count is read.

All look at what their papers or sources look at, and say vanishing, exploding or nothing:

- AUTOTRAINER (Zhang et al., ICSE 2021): at any watched step, first / last < 1e-3 and first < 1e-4 is vanishing; a ratio
  above 70 is exploding. Its gradients are means of |g| per layer.
- smdebug's VanishingGradient (Rauschmayr et al., MLSys 2021): mean |g| of any layer below 1e-7, at any watched step.
- Folklore: first / last below 1e-3 at the initialisation.

A recording keeps root-mean-squares (norm / sqrt(size)) of kernel gradients, not means of |g|. For a Gaussian the mean
is 0.80 of it, for heavier tails less: little beside thresholds of powers of ten. First and last are the first and the
last kernel of the recording; a gradient that is not finite counts as exploding for AUTOTRAINER.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from unvanish.core.observation import Observation


def rows(seen: Observation) -> Iterator[list[float]]:
    """Yield the RMS gradient of each kernel, first to last, at every probe and every watched step."""
    sizes = dict(zip(seen.recording.layers, seen.recording.sizes, strict=True))
    for profile in seen.profiles[:1]:
        found = [layer.gradient_rms for layer in profile.layers if layer.name in sizes]
        yield [math.nan if number is None else number for number in found]
    if "gradient_norm" in seen.recording.stats:
        roots = [math.sqrt(size) for size in seen.recording.sizes]
        for norms in seen.recording.rows["gradient_norm"]:
            yield [norm / root for norm, root in zip(norms, roots, strict=True)]


def autotrainer(seen: Observation) -> str:
    """Return `vanishing`, `exploding` or nothing."""
    for row in rows(seen):
        if not row:
            continue
        if not all(map(math.isfinite, row)):
            return "exploding"
        ratio = row[0] / row[-1] if row[-1] else math.inf
        if ratio < 1e-3 and row[0] < 1e-4:
            return "vanishing"
        if ratio > 70:
            return "exploding"
    return ""


def smdebug(seen: Observation) -> str:
    """Return `vanishing` or nothing."""
    return "vanishing" if any(number < 1e-7 for row in rows(seen) for number in row) else ""


def folklore(seen: Observation) -> str:
    """Return `vanishing` or nothing."""
    first = next(rows(seen), [])
    return "vanishing" if first and first[0] < 1e-3 * first[-1] else ""


DETECTORS: dict[str, Callable[[Observation], str]] = {
    "AUTOTRAINER": autotrainer,
    "smdebug": smdebug,
    "ratio < 1e-3": folklore,
}
