"""Which capture looks at which framework, and what `script` expects of a capture."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from unvanish.core.diagnosis import Cost, Site
from unvanish.core.observation import Observation
from unvanish.errors import UnvanishError
from unvanish.watching.session import Idle, Plan, Progress


class Capture(AbstractContextManager["Capture"], Protocol):
    """Watch the trainings of one framework while the user's script runs.

    Entering patches the framework; leaving puts everything back. When the looked-at training ended, or enough of it was
    seen, it raises `watching.session.Enough` through the script. Whatever was measured before anything went wrong is
    in `observation`.
    """

    @property
    def observation(self) -> Observation | None:
        """Return what was seen; None before the first step."""

    @property
    def sites(self) -> dict[str, Site]:
        """Return the source line of each layer of the network, where it is known; files are absolute."""

    @property
    def optimizer_site(self) -> Site | None:
        """Return the call that made the optimizer, or had it made of a string; None where it is not known."""

    @property
    def cost(self) -> Cost | None:
        """Return what the looking cost."""

    @property
    def suspended(self) -> tuple[str, ...]:
        """Return the names of the user's callbacks that would have written files and were not run."""

    @property
    def trainer(self) -> Any:
        """Return what can train copies of the model (trial.trainer.Trainer); None where the capture made none."""

    @property
    def error(self) -> UnvanishError | None:
        """Return why the training could not be looked at."""

    @property
    def idle(self) -> Idle | None:
        """Return what was seen in place of a training; None where there was nothing at all."""


Factory = Callable[[], Capture]

Captures = tuple[tuple[str, str], ...]

CAPTURES: Captures = (("keras", "unvanish.keras.capture"), ("torch", "unvanish.torch.capture"))
"""Framework -> the module whose `Capture` looks at it. A model of Keras is Keras', whatever it computes with."""
FOR_TRIALS: Captures = (("keras", "unvanish.keras.taking"), ("torch", "unvanish.torch.capture"))
"""The same, where copies of the model are to be trained: PyTorch has no trainer yet, and is looked at as ever."""

FOR_FORECASTS: Captures = (("keras", "unvanish.keras.describing"), ("torch", "unvanish.torch.describing"))
"""The same, where the script is to end before its first step, and only what it is about to train is told."""


def factories(plan: Plan, progress: Progress, script: Path, captures: Captures = CAPTURES) -> Mapping[str, Factory]:
    """Return, for each framework, what makes its capture; nothing is imported before a factory is called."""
    return {framework: functools.partial(_capture, module, plan, progress, script) for framework, module in captures}


def _capture(module: str, plan: Plan, progress: Progress, script: Path) -> Capture:
    made: Capture = importlib.import_module(module).Capture(plan, progress, script)
    return made
