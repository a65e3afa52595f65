"""What callers hand in, looked at before anything long begins; each refusal names the argument and its value."""

from __future__ import annotations

import inspect
import numbers
import operator
from collections.abc import Collection
from typing import Any

from unvanish.errors import UsageError

TYPICAL: dict[str, int] = {"batch_size": 32, "seeds": 3, "steps": 60}
"""Counts -> what the hint of a refusal names."""


def count_of(name: str, value: Any, typical: int | None = None) -> int:
    """Return a whole number, 1 or more, as Python's own; raise UsageError for anything else, with a typical one."""
    try:
        count = operator.index(value)
    except TypeError:
        count = None
    if count is None or isinstance(value, bool) or count < 1:
        raise UsageError(
            f"{name} must be 1 or more" if count is not None else f"{name} must be a whole number",
            found=f"{name}={value!r}",
            hint=f"{name}={typical or TYPICAL[name]}",
        )
    return count


def seconds_of(name: str, value: Any) -> float | None:
    """Return a time in seconds, more than 0; None for None. Raise UsageError for anything else, a text as `2m` too."""
    if value is None:
        return None
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not value > 0:
        raise UsageError(
            f"{name} must be a number of seconds, more than 0",
            found=f"{name}={value!r}",
            hint=f"{name}=120",
        )
    return float(value)


def codes_of(ignore: Any) -> tuple[str, ...]:
    """Return the codes of rules named by code or name, in any case: one text, or several; commas may be between.

    Raise UsageError for a rule that there is not, and for what is no text.
    """
    from unvanish.rules.page import find

    several = [ignore] if isinstance(ignore, str) else ignore
    texts = [text for text in several if isinstance(text, str)] if isinstance(several, Collection) else []
    if not isinstance(several, Collection) or len(texts) < len(several):
        raise UsageError(
            "the rules to ignore are named by their codes",
            found=f"ignore={ignore!r}",
            hint='ignore=["GF303"]; `unvanish explain` in a shell lists all rules',
        )
    return tuple(find(word).CODE for text in texts for word in text.split(",") if word.strip())


def require_progress(progress: Any) -> None:
    """Raise UsageError for what cannot be called with (what is being done, done, total). None is left to others."""
    if progress is None:
        return
    try:
        inspect.signature(progress).bind("training", 0, 0)
    except ValueError:  # a function of C that does not tell its signature
        return
    except TypeError as error:
        raise UsageError(
            "progress cannot be called with (what, done, total)",
            found=f"progress={progress!r}: {error}",
            hint="progress=lambda what, done, total: None shows nothing; without it a line is shown",
        ) from None
