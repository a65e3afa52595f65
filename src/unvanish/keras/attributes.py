"""Put the attributes of objects back, and what is in those that are containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_CONTAINERS: tuple[type, ...] = (list, dict, set)


@contextmanager
def same_attributes(owners: Sequence[Any]) -> Iterator[None]:
    """Put back what attributes the owners had, and what was in those that are containers; also after an exception."""
    kept = [(owner.__dict__, dict(owner.__dict__), _contents(owner.__dict__)) for owner in owners]
    try:
        yield
    finally:
        for own, attributes, contents in kept:
            for name in own.keys() - attributes.keys():
                del own[name]
            own.update(attributes)
            for container, items in contents:
                _refill(container, items)


def _contents(attributes: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return (container, copy of what is in it) for the attributes that are containers, two levels deep."""
    found = []
    for value in attributes.values():
        if _is_container(value):
            found.append((value, _copied(value)))
            inner = value.values() if isinstance(value, dict) else value
            found += [(item, _copied(item)) for item in inner if _is_container(item)]
    return found


def _is_container(value: Any) -> bool:
    """Say whether it is a list, dict or set of Python or a tracked one of Keras: those have no other storage."""
    ours = type(value).__module__.partition(".")[0] in ("builtins", "collections", "keras")
    return ours and isinstance(value, _CONTAINERS)


def _copied(container: Any) -> Any:
    return next(kind(container) for kind in _CONTAINERS if isinstance(container, kind))


def _refill(container: Any, items: Any) -> None:
    """Make the container hold the items again, past the methods of the trackers."""
    if isinstance(container, list):
        list.__setitem__(container, slice(None), items)
    elif isinstance(container, dict):
        dict.clear(container)
        dict.update(container, items)
    elif {id(item) for item in container} != {id(item) for item in items}:  # else its order would change
        set.clear(container)
        set.update(container, items)
