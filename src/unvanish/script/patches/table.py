"""Which module writes which edit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from unvanish.core.edit import AddNorm, AddResidual, Clip, Edit, Redraw, ScaleRate, SetEpsilon, SwapActivation
from unvanish.errors import UnsupportedError
from unvanish.script.patches import add_norm, add_residual, redraw, swap_activation
from unvanish.script.patches.plan import Plans, Target

OF_LAYERS: dict[type, Callable[[Any, Plans, Target], None]] = {
    AddNorm: add_norm.plan,
    AddResidual: add_residual.plan,
    Redraw: redraw.plan,
    SwapActivation: swap_activation.plan,
}


def planned(edits: Iterable[Edit], target: Target) -> tuple[Plans, list[Clip | SetEpsilon | ScaleRate]]:
    """Return what is to be done at each layer, and at the optimizer.

    Raise UnsupportedError for an edit that no module here writes.
    """
    plans: Plans = {}
    of_optimizer: list[Clip | SetEpsilon | ScaleRate] = []
    for edit in edits:
        if isinstance(edit, Clip | SetEpsilon | ScaleRate):
            of_optimizer.append(edit)
        elif type(edit) in OF_LAYERS:
            OF_LAYERS[type(edit)](edit, plans, target)
        else:
            raise UnsupportedError(
                "this change is not written into scripts",
                found=f"an edit of the kind {type(edit).__name__}",
                hint="make it by hand, or take the source of the cured model",
            )
    return plans, of_optimizer
