"""Verdicts: one per rule, and the diagnosis that they add up to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from unvanish.core import document
from unvanish.core.forecast import Forecast
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.core.recording import Recording
from unvanish.core.renderers import render
from unvanish.core.saving import save

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """Name a change worth trying, and what theory expects of it. Nothing is promised before it was measured."""

    name: str
    """A cure of DESIGN's list, for example `swap-activation`."""
    change: str
    """In the user's words, for example `activation='tanh'`."""
    invasiveness: str
    """`initialisation only`, `one word`, `one line`, `architecture`, `optimizer`, `data`."""
    forecast: str = ""
    """For example `4.2x -> 1.0x per layer`; empty where theory does not say."""
    stays_sick: bool = False
    """Whether theory expects the profile to be outside the healthy band all the same."""
    typed: str = ""
    """Lines of code that make the change where `change` is a formula; empty where it can be typed as it stands."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Say that the pattern is there."""

    code: str
    name: str
    severity: Severity
    message: str
    """One sentence that names the pattern with its number."""
    verdict: str | None = None
    """The word this finding argues for; None when it does not change the verdict."""
    layers: tuple[str, ...] = ()
    evidence: dict[str, float] = {}
    """Numbers by name; units are in the names."""
    healthy: str = ""
    """The healthy band of the message's number."""
    why: str = ""
    effect: str = ""
    note: str = ""
    cures: tuple[Remedy, ...] = ()


class Clear(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Say that the rule looked and the pattern is not there, or that there is nothing that could show it."""

    code: str
    name: str
    evidence: dict[str, float] = {}
    not_applicable: str = ""
    """Why the pattern cannot occur here, as `the network has no recurrent layer`; empty where it was looked for."""


class Undecided(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Say that the rule could not look, or could not tell, and why."""

    code: str
    name: str
    reason: str


Verdict = Finding | Clear | Undecided


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Point at the line of the user's source that made a layer."""

    file: str
    line: int
    text: str
    column: int | None = None
    """Where the call begins in its line, in bytes of UTF-8, as Python counts; None where that is not known."""
    end_line: int | None = None
    end_column: int | None = None


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Say what the looking cost, in seconds."""

    total_seconds: float
    """From the start of the run, imports and the script's own work included."""
    added_seconds: float
    """Probes, taps, evaluation: what the run would have done without."""
    step_seconds: float | None = None
    """Median plain step."""
    steps: int = 0


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the verdict word, every rule's verdict, and the observation that they judged."""

    verdict: str
    sentence: str
    """The verdict in one sentence, with its numbers."""
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes; within a severity the root cause first."""
    clear: tuple[Clear, ...]
    undecided: tuple[Undecided, ...]
    observation: Observation
    title: str = ""
    """What was looked at: a script's name, a model's name."""
    version: str = ""
    sites: dict[str, Site] = {}
    """Layer name -> source line, where it is known."""
    cost: Cost | None = None
    created: str = ""
    """ISO 8601, local time."""

    @property
    def network(self) -> Network:
        """Return the network as data."""
        return self.observation.network

    @property
    def forecast(self) -> Forecast | None:
        """Return what theory expected."""
        return self.observation.forecast

    @property
    def profile(self) -> Profile:
        """Return the first probe, at the initialisation."""
        return self.observation.profiles[0]

    @property
    def recording(self) -> Recording:
        """Return the watched steps."""
        return self.observation.recording

    @property
    def transmission_per_layer(self) -> float | None:
        """Return the factor by which the gradient changes per layer, as the rules measured it; None if none could."""
        return self._evidence("transmission_per_layer")

    @property
    def forecast_transmission_per_layer(self) -> float | None:
        """Return the forecast of that very factor, over the same layers; None where theory does not say."""
        return self._evidence("forecast_transmission_per_layer")

    @property
    def severity(self) -> Severity | None:
        """Return the worst severity among the findings; None when there are none."""
        return min((f.severity for f in self.findings), key=SEVERITIES.index, default=None)

    def __str__(self) -> str:
        """Return the terminal report as plain text, 80 columns."""
        return str(render("text", self))

    def _evidence(self, name: str) -> float | None:
        judged: tuple[Finding | Clear, ...] = (*self.findings, *self.clear)
        known = (verdict.evidence.get(name) for verdict in judged)
        return next((number for number in known if number is not None), None)

    def _repr_html_(self) -> str:
        return str(render("html", self))

    def to_json(self) -> str:
        """Return the diagnosis as JSON, with its schema version."""
        return document.encode(self).decode()

    def save(self, path: str | Path) -> Path:
        """Write the report to a file; its ending chooses the form: .html, .json or .txt. Return the path.

        Raise UsageError for another ending.
        """
        return save(path, page=lambda: render("page", self), json=self.to_json, text=lambda: str(self))
