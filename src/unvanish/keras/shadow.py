"""Lay a value over an attribute of one object for a while, and take it away again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def shadowed(owner: Any, **values: Any) -> Iterator[None]:
    """Set entries of the owner's instance dictionary while the context lasts; put back what was there, or nothing.

    The dictionary is written directly, so that the attribute trackers of Keras and TensorFlow do not see it.
    """
    own = owner.__dict__
    before = {name: own[name] for name in values if name in own}
    own.update(values)
    try:
        yield
    finally:
        for name in values:
            if name in before:
                own[name] = before[name]
            else:
                own.pop(name, None)
