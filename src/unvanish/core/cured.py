"""What a cure comes to: a verdict word, the prescription, and the evidence for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from unvanish.core import document
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.edit import Prescription
from unvanish.core.evidence import Arm, Evidence
from unvanish.core.renderers import render
from unvanish.core.saving import save

Word = Literal["cured", "nothing-to-learn", "no-cure-helped", "not-the-gradients", "optional", "undecided"]


class Cured(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the verdict on all trials of one network."""

    verdict: Word
    """cured: a change helps beyond seed noise. optional: it trains as it is; no change made it better, or one did that
    answers a mere warning. nothing-to-learn: gradients were cured, and the labels carry no signal. no-cure-helped.
    not-the-gradients: they are healthy, or what ails is nothing that a cure answers. undecided: too little was
    measured."""
    sentence: str
    """The verdict in one sentence, with its numbers."""
    prescription: Prescription | None
    """The smallest change that was sufficient: of `cured`, and of `optional` where one was better; or the one that was
    asked for."""
    fix: int | None = None
    """Row of the table that was asked for, in the place of what the trials prescribe; None where none was."""
    evidence: Evidence | None
    """All trials; None where nothing was trained."""
    diagnosis: Diagnosis
    """Of the untreated network: at its initialisation, or of its first steps where nothing shows before them."""
    notes: tuple[str, ...] = ()
    """What else was measured and should be said, for example that clipping had no effect."""
    cut: str = ""
    """Why the trials ended before their time: `interrupted`, `the budget was spent`; empty when they did not."""
    source: str = ""
    """Source of the cured model; empty where there is none."""
    patch: str = ""
    """Unified diff of the script that was run, and of files beside it; empty where there is none."""
    no_patch: str = ""
    """Why there is none although there is a change to write; empty elsewhere, and always from Python."""
    title: str = ""
    version: str = ""
    created: str = ""
    seconds: float = 0.0
    """Of everything."""

    @property
    def healthy(self) -> bool:
        """Say whether there was nothing to cure."""
        return self.verdict == "not-the-gradients" and self.diagnosis.verdict == "healthy"

    @property
    def treated(self) -> Arm | None:
        """Return the arm to show beside the untreated network: the prescribed one.

        Without a prescription the best whose gradients are healthy; None where there is none.
        """
        arms = () if self.evidence is None else self.evidence.arms
        if self.prescription is not None:
            return next((arm for arm in arms if arm.prescription == self.prescription), None)
        return next((arm for arm in arms if arm.verdict == "healthy"), None)

    def expected(self, arm: Arm) -> float | None:
        """Return the forecast of the factor per layer that was measured of the arm; None where theory does not say."""
        one = arm.prescription
        return self.diagnosis.forecast_transmission_per_layer if one is None else one.transmission

    def __str__(self) -> str:
        """Return the terminal report as plain text, 80 columns."""
        return str(render("cure text", self))

    def _repr_html_(self) -> str:
        return str(render("cure html", self))

    def save(self, path: str | Path) -> Path:
        """Write the report to a file; its ending chooses the form: .html, .json or .txt. Return the path.

        Raise UsageError for another ending.
        """
        return save(path, page=lambda: render("cure page", self), json=self.to_json, text=lambda: str(self))

    def to_json(self) -> str:
        """Return the record as JSON, with its schema version."""
        return document.encode(self).decode()
