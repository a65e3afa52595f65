"""How a run of the user's script ended, and everything that was seen of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from unvanish.core.diagnosis import Cost, Site
from unvanish.core.observation import Observation
from unvanish.errors import UnvanishError
from unvanish.watching.session import Idle

Outcome = Literal["enough", "finished", "exited", "raised", "syntax", "interrupted", "refused"]
"""enough: everything asked for was seen, or the script ended by itself after a training was seen. finished, exited,
raised: it ended by itself before that. refused: this version cannot look at it, or a backend is missing."""


Command = Literal["check", "cure", "forecast", "replay", "watch"]


class ScriptRun(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one run of a script. It may have failed and yet have an observation: what was measured is kept."""

    script: Path
    """As the user wrote it."""
    outcome: Outcome
    command: Command = "check"
    """What ran it: hints name it."""
    error: UnvanishError | None = None
    """What to tell the user; None only when enough was seen."""
    traceback: str = ""
    """Python's own text about what the script raised, our frames left out."""
    idle: Idle | None = None
    """What a capture saw in place of a training."""
    script_exit: int | None = None
    """The code of the script's own sys.exit; None where it made no such call."""
    observation: Observation | None = None
    files: tuple[str, ...] = ()
    """The script, and what it imported from its own folder; absolute."""
    sites: dict[str, Site] = {}
    optimizer_site: Site | None = None
    """Where the optimizer was made, or where `compile` made it of a string."""
    cost: Cost | None = None
    suspended: tuple[str, ...] = ()
    """The user's callbacks that would have written files and were not run."""
    trainer: Any = None
    """What can train copies of the model (trial.trainer.Trainer), where that was asked for and is possible."""
    folder: Path | None = None
    """Where everything about this script is kept; None when nothing can be."""
    output: Path | None = None
    """The file that keeps what the script itself wrote; None when it was shown live or could not be kept."""
    tail: tuple[str, ...] = ()
    """Its last lines."""
    notes: tuple[str, ...] = ()
    """What else the user should know, for example that a folder could not be written."""

    @property
    def all_sites(self) -> tuple[Site, ...]:
        """Return the sites of the layers and of the optimizer."""
        return (*self.sites.values(), *([] if self.optimizer_site is None else [self.optimizer_site]))

    @property
    def exit_code(self) -> int | None:
        """Return the exit code that this outcome forces; None when the verdict decides."""
        if self.outcome == "enough":
            return None
        if self.outcome == "interrupted":
            return 130
        return self.error.exit_code if self.error is not None else 3
