"""The Keras adapter: describe, probe, watch, capture a running fit. It sees no threshold.

`unvanish.keras.Watch` is its one public name; Keras is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unvanish.keras.watch import Watch

__all__ = ["Watch"]


def __getattr__(name: str) -> Any:
    if name != "Watch":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from unvanish.keras.watch import Watch

    return Watch
