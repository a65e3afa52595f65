"""Training data that a Python generator gives: read ahead, and handed on as if nobody had read them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from unvanish.keras.streams import Stream

_State = tuple[Any, Any]


class Generated(Stream):
    """Read batches of a generator ahead of fit. It cannot be begun again: fit gets the same elements from `for_fit`.

    A generator may draw from the global generators of `random` and numpy. What it drew for an element that was read
    ahead is put back, and drawn when fit asks for that element. Out of reach: what a callback draws between two of
    those elements, which would have changed the second.
    """

    _drawn: list[_State]

    def for_fit(self) -> Iterator[Any]:
        """Yield what the user's generator would have yielded: what was read ahead, then the rest."""
        for element, state in zip(self._cached, self._drawn, strict=True):
            _set(state)
            yield element
        if self._iterator is not None:
            yield from self._iterator

    def _ahead(self, count: int) -> bool:
        if self._iterator is None:
            self._iterator, self._drawn = self._source, []
        now = _state()
        if self._drawn:
            _set(self._drawn[-1])
        try:
            while len(self._cached) < count:
                try:
                    element = next(self._iterator)
                except StopIteration:
                    return False
                self._cached.append(element)
                self._drawn.append(_state())
        finally:
            _set(now)
        return True


def _state() -> _State:
    return random.getstate(), np.random.get_state()


def _set(state: _State) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
