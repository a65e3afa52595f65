"""What a cure comes to: a verdict word, the prescription, and the evidence for it."""

from __future__ import annotations

from typing import Literal

import msgspec

from unvanish.core import document
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.edit import Prescription
from unvanish.core.evidence import Evidence
from unvanish.core.renderers import render

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
    title: str = ""
    version: str = ""
    created: str = ""
    seconds: float = 0.0
    """Of everything."""

    @property
    def healthy(self) -> bool:
        """Say whether there was nothing to cure."""
        return self.verdict == "not-the-gradients" and self.diagnosis.verdict == "healthy"

    def __str__(self) -> str:
        """Return the terminal report as plain text, 80 columns."""
        return str(render("cure", self))

    def to_json(self) -> str:
        """Return the record as JSON, with its schema version."""
        return document.encode(self).decode()
