"""A small table from a form ("text", "html") to the function that renders it; filled in by api.

Records must not know the reporters, but a record in a notebook must show itself.
"""

from __future__ import annotations

from collections.abc import Callable

RENDERERS: dict[str, Callable[[object], str]] = {}


def render(form: str, record: object) -> str:
    """Return the record in that form; its repr when no renderer was handed in."""
    renderer = RENDERERS.get(form)
    return repr(record) if renderer is None else renderer(record)
