"""What a watched run of a script is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unvanish.watching.pace import Every

if TYPE_CHECKING:
    from unvanish.watching.run import Run


class Wanted(NamedTuple):
    """Hold how the trainings of a script are to be watched, and who is told of each run that begins."""

    every: Every
    budget: float
    title: str
    folder: Path | None
    begins: Callable[[Run], object]
