"""Which module surrounds a call: one whose method calls its parts, though it was not called itself."""

from __future__ import annotations

import sys

import torch

DEEPEST = 30
"""Frames that are looked at."""


def around(module: torch.nn.Module) -> torch.nn.Module | None:
    """Return the outermost module with a running method that contains this one; None where there is none.

    A model whose `forward` or `encode` is called directly does not run as a module: no hook of its own would fire.
    """
    found, frame = None, sys._getframe(1)
    for _ in range(DEEPEST):
        owner = frame.f_locals.get("self")
        if (
            isinstance(owner, torch.nn.Module)
            and owner is not module
            and any(part is module for part in owner.modules())
        ):
            found = owner
        if frame.f_back is None:
            break
        frame = frame.f_back
    return found
