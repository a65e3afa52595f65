"""Rule codes as people type them on the command line."""

from __future__ import annotations

from collections.abc import Iterable


def codes_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the codes of the rules named one by one, or several with commas between; raise UsageError as `find`."""
    from unvanish.rules.page import find

    return tuple(find(word).CODE for text in texts for word in text.split(",") if word.strip())
