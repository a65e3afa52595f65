"""What runs beside a script that is not observed, in the place of a capture."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from unvanish.core.diagnosis import Cost, Site
from unvanish.core.observation import Observation
from unvanish.errors import UnvanishError
from unvanish.watching.session import Idle


class Beside:
    """Meet what `run_script` asks of a capture, around something of an adapter's own: nothing is observed here."""

    observation: Observation | None = None
    cost: Cost | None = None
    optimizer_site: Site | None = None
    trainer: Any = None
    suspended: tuple[str, ...] = ()

    def __init__(self, inner: AbstractContextManager[Any], idle: Idle | None = None) -> None:
        """inner: is entered for the time of the run. idle: what to say where the script ends by itself."""
        self.sites: dict[str, Site] = {}
        self.error: UnvanishError | None = None
        self.idle = idle
        self._inner = inner

    def __enter__(self) -> Beside:
        """Begin."""
        self._inner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._inner.__exit__(kind, error, trace)
