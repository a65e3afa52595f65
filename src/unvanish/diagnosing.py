"""From an observation to a diagnosis: the forecast beside it, and every rule's verdict."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from unvanish.core.diagnosis import Cost, Diagnosis, Finding, Site
from unvanish.core.observation import Observation
from unvanish.core.version import VERSION

__version__ = VERSION


def diagnose(
    seen: Observation,
    *,
    ignore: Sequence[str] = (),
    title: str = "",
    sites: dict[str, Site] | None = None,
    cost: Cost | None = None,
) -> Diagnosis:
    """Add the forecast to an observation and let every rule judge it."""
    from unvanish.rules.judge import judge

    return judge(
        with_forecast(seen),
        ignore=ignore,
        title=title,
        version=__version__,
        sites=sites or {},
        cost=cost,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
    )


SHOWN_BY_A_SAMPLE = frozenset({"blocked", "exploding", "nonfinite", "vanishing"})
"""Verdicts that a single sample's gradients decide. Those on the step need a whole look, as check's."""
SHOWN_BY_TWO = frozenset({"dead", "saturated"})
"""Verdicts on the units: what they are now, and what became of the loss since they were seen first."""
FEWEST = 8
"""Samples below which the loss says too little about whether units that are dead or saturated do harm."""


def errors_of_a_sample(seen: Observation) -> tuple[Finding, ...]:
    """Return the errors that a sample of a running training is enough for, the root cause first.

    seen: with the profile of the sample, last; where it was looked into, that of the first one that was before it.
    """
    now = replace(seen, profiles=seen.profiles[-1:])
    found = [f for f in diagnose(now).findings if f.severity == "error" and f.verdict in SHOWN_BY_A_SAMPLE]
    if len(seen.profiles) > 1 and len(seen.recording.steps) >= FEWEST:
        found += [f for f in diagnose(seen).findings if f.severity == "error" and f.verdict in SHOWN_BY_TWO]
    return tuple(found)


def with_forecast(seen: Observation) -> Observation:
    """Return the observation with what theory expects of its network on its data."""
    from unvanish.theory.forecast import forecast_network
    from unvanish.theory.loss_read import as_read

    if seen.forecast is not None:
        return seen
    data, moments = seen.data, {}
    if data.input_second_moment is not None and data.input_cross_moment is not None:
        moments = {"second_moment": data.input_second_moment, "cross_moment": data.input_cross_moment}
    network, batch_size = as_read(seen.network, seen.loss), seen.profiles[0].batch_size
    return replace(seen, forecast=forecast_network(network, batch_size=batch_size, **moments))
