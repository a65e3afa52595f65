"""What a watch tells of the training that it watches, the same in every adapter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.core.recording import Recording
    from unvanish.core.watch_cost import WatchCost
    from unvanish.watching.run import Run


class Readable:
    """Be read while the training goes on, and afterwards."""

    _run: Run | None = None

    @property
    def begun(self) -> Run:
        """Return the run itself, to whose samples others may listen. Raise UsageError where none began."""
        if self._run is None:
            raise UsageError(
                "nothing was watched yet",
                found="no training began with this watch",
                hint="model.fit(..., callbacks=[watch])",
            )
        return self._run

    @property
    def recording(self) -> Recording:
        """Return what was recorded so far. Raise UsageError where nothing was."""
        return self.begun.recording

    @property
    def cost(self) -> WatchCost:
        """Return what watching cost so far."""
        return self.begun.cost

    @property
    def run(self) -> Path | None:
        """Return the folder of the run; None before its first sample is written."""
        return None if self._run is None else self._run.folder

    def frame(self) -> Any:
        """Return the recording as a table: see Recording.frame."""
        return self.recording.frame()
