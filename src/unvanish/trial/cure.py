"""A cure at hand: the verdict of all trials, and the models that it prescribes."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from unvanish.core.cured import Cured
from unvanish.core.edit import Prescription
from unvanish.core.evidence import Evidence
from unvanish.core.patch import Patch
from unvanish.errors import UsageError
from unvanish.trial.trainer import Trainer


class Cure:
    """Hold what the trials of one model came to. The model itself is not changed."""

    def __init__(self, record: Cured, trainer: Trainer, changes: Patch | None = None) -> None:
        """Use `unvanish.cure`. changes: what the text of the record's patch stands for, file by file."""
        self.record, self.changes = record, changes
        self._trainer = trainer

    @property
    def verdict(self) -> str:
        """Return the verdict word; see core.cured.Cured."""
        return self.record.verdict

    @property
    def prescription(self) -> Prescription | None:
        """Return the smallest change that was sufficient; None where there is none."""
        return self.record.prescription

    @property
    def evidence(self) -> Evidence | None:
        """Return all trials."""
        return self.record.evidence

    @property
    def source(self) -> str:
        """Return the source of the cured model; empty where there is no cure."""
        return self.record.source

    @property
    def patch(self) -> str:
        """Return the unified diff of the script; empty where it has none, and always from Python."""
        return self.record.patch

    @cached_property
    def model(self) -> Any:
        """The cured model, compiled, untrained: weights drawn from the seed 0. Raise as `fresh` does."""
        return self.fresh(0)

    def fresh(self, seed: int) -> Any:
        """Return a new compiled model with the prescription, its weights drawn from the seed, untrained.

        Raise UsageError where nothing is prescribed.
        """
        if self.prescription is None:
            raise UsageError(
                "there is no cured model",
                found=f"the verdict {self.verdict}: {self.record.sentence}",
                hint="print(cure)",
            )
        return self._trainer.fresh(self.prescription, seed)

    def to_json(self) -> str:
        """Return the record as JSON, with its schema version."""
        return self.record.to_json()

    def __str__(self) -> str:
        """Return the terminal report as plain text, 80 columns."""
        return str(self.record)

    def _repr_html_(self) -> str:
        return self.record._repr_html_()

    def save(self, path: str | Path) -> Path:
        """Write the report to a file; its ending chooses the form: .html, .json or .txt. Return the path.

        Raise UsageError for another ending.
        """
        return self.record.save(path)
