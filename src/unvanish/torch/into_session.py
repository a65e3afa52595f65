"""Hand what the steps gave to the session of a check, as numbers."""

from __future__ import annotations

from collections.abc import Callable

from unvanish.core.recording import LAYER_STATS
from unvanish.torch.tally import Number, Rows
from unvanish.watching.session import Session


class IntoSession:
    """Be the samples of `Steps` for a session."""

    def __init__(self, session: Session, counted: Callable[[], None] = lambda: None) -> None:
        """counted: called after every iteration."""
        self._session, self._then = session, counted

    def wants(self) -> bool:
        """Say whether the iteration that comes next is to be sampled."""
        return self._session.wants(self._session.done)

    def add(self, loss: Number, rows: Rows) -> None:
        """Add the sample; only here is a device waited for."""
        numbers = {stat: [float(number) for number in rows[stat]] for stat in LAYER_STATS}
        self._session.add(self._session.done, float(loss), numbers)

    def counted(self) -> None:
        """Count the iteration."""
        self._session.advance()
        self._then()
