"""The verdict in one sentence, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from unvanish.core.diagnosis import Finding, Undecided
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.easing import eased
from unvanish.rules.gradients import at_start, depth_profile, first_over_last
from unvanish.rules.words import percent, small_part, times

GRADIENT_CODES = frozenset({"GF101", "GF102"})


def sentence(seen: Observation, word: str, findings: Sequence[Finding], undecided: Sequence[Undecided]) -> str:
    """Return what the verdict word means here; one line."""
    if word == "healthy":
        return "; ".join(filter(None, (_healthy(seen), _warned(seen, findings))))
    if word == "undecided":
        return f"no fault was found, but {len(undecided)} rules could not look: {undecided[0].reason}"
    errors = [finding for finding in findings if finding.severity == "error" and finding.verdict == word]
    profile = next((finding for finding in errors if finding.code in GRADIENT_CODES), None)
    reach = None if profile is None else _first_over_last(seen, word)
    return reach or errors[0].message


def _first_over_last(seen: Observation, word: str) -> str | None:
    """Return what the first layer receives of the last one's gradient; None when that is not the point."""
    ratio, depth = first_over_last(at_start(seen)), len(seen.network.kernels)
    if ratio is None:
        return None
    if word == "vanishing" and ratio < 0.1:
        return f"the first layer receives {small_part(ratio)} the last one's gradient ({depth} layers)"
    if word == "exploding" and ratio > 10:
        return f"the first layer receives {times(ratio)} the last one's gradient ({depth} layers)"
    return None


def _healthy(seen: Observation) -> str:
    """Return the one line of a healthy run."""
    profile, depth = depth_profile(seen), len(seen.network.kernels)
    parts = [f"{depth} layer{'s' if depth != 1 else ''}"]
    if not isinstance(profile, str):
        parts.append(f"{profile.transmission:.2f}x per layer")
    ratio = first_over_last(at_start(seen))
    if ratio is not None:
        parts.append(f"first/last {ratio:.2g}")
    shares = [layer.dead_share for layer in seen.profiles[-1].layers if layer.dead_share is not None]
    if shares:
        parts.append(f"{percent(max(shares))} dead" if max(shares) > 0 else "no dead units")
    steps = seen.recording.total_steps
    parts.append(f"{steps} step{'s' if steps != 1 else ''}")
    return ", ".join(parts)


def _warned(seen: Observation, findings: Sequence[Finding]) -> str:
    """Return why the warnings of a healthy run are no more than that; empty without warnings."""
    warnings = [finding for finding in findings if finding.severity == "warning"]
    if not warnings:
        return ""
    relief = "the loss falls all the same" if course(seen).learned else eased(seen)
    told = course(seen).learned or any(relief and relief in warning.note for warning in warnings)
    need = "it need not" if len(warnings) == 1 else "they need not"
    reason = relief if told else f"{need} keep the layers from learning"
    are = "is only a warning" if len(warnings) == 1 else "are only warnings"
    return f"{', '.join(warning.code for warning in warnings)} {are}: {reason}"
