"""Tell an exception that a look raised from one of the training's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unvanish.errors import UnsupportedError, UnvanishError


class LookError(Exception):
    """Something in the model or the data raised while it was looked at: perhaps the training would not have."""


@contextmanager
def of_the_look() -> Iterator[None]:
    """Raise LookError, with the cause, for an exception in the context that is none of our own errors."""
    try:
        yield
    except (UnvanishError, LookError):
        raise
    except Exception as error:
        raise LookError from error


def unsupported(model: Any, failed: LookError) -> UnsupportedError:
    """Return what is said of a model that trains, although it could not be looked at."""
    cause = failed.__cause__
    lines = str(cause).strip().splitlines()
    return UnsupportedError(
        f"the model {model.name!r} trains, but it could not be looked at",
        found=f"{type(cause).__name__}: {next((line for line in lines if line), '')}",
        hint="a look calls model(x, training=True) and model.compute_loss by themselves: let both work for one batch",
    )
