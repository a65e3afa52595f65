"""Which matrices of a watched model stand in no row of its recording, and why: nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from unvanish.torch.names import owners_of
from unvanish.torch.registered import LOOK_UPS, NORMS

COMPUTED = "weights computed from other parameters"
LOOKED_UP = "a table that is looked up"
UNSEEN = "no kernel of a layer in the first pass"
_RECURRENT = (torch.nn.RNNBase, torch.nn.RNNCellBase)
NAMED = 4
"""Layers that are named for each reason; the others are counted."""


def left_out(model: torch.nn.Module, rows: Iterable[torch.Tensor], optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """Return, a line for each cause, what is trained and has more than one axis, and is no row.

    rows: the parameters that are. A recurrent layer has one for all of its matrices. A parameter that is one vector, of
    whatever shape, or that scales or shifts entry by entry, is no matrix.
    """
    taken, owners, modules = {id(row) for row in rows}, owners_of(model), dict(model.named_modules())
    known = {owners[which][0] for which in taken if which in owners}
    found: dict[str, dict[str, None]] = {}
    for parameter in model.parameters():
        if not _is_matrix(parameter) or id(parameter) in taken:
            continue
        path, local = owners[id(parameter)]
        module = modules[path]
        if isinstance(module, NORMS) or (isinstance(module, _RECURRENT) and path in known):
            continue
        name = _computed(module, local)
        why = _why(module) if name is None else COMPUTED
        name = name or local
        found.setdefault(why, {})[path if path and name == "weight" else f"{path}.{name}".strip(".")] = None
    lines = [f"{_listed(list(names))} ({why})" for why, names in found.items()]
    return (*([f"not in the table: {'; '.join(lines)}"] if lines else []), *_strangers(model, optimizer))


def _computed(module: torch.nn.Module, local: str) -> str | None:
    """Return the name of the weight that is computed from this parameter; None where none is.

    By a parametrization, or as torch.nn.utils.weight_norm does it: from `weight_g` and `weight_v`.
    """
    if local not in module._parameters:
        return local
    name = local[:-2]
    return (
        name if local in (f"{name}_g", f"{name}_v") and {f"{name}_g", f"{name}_v"} <= set(module._parameters) else None
    )


def _why(module: torch.nn.Module) -> str:
    return LOOKED_UP if isinstance(module, LOOK_UPS) else UNSEEN


def _is_matrix(parameter: torch.Tensor) -> bool:
    if not parameter.requires_grad or torch.nn.parameter.is_lazy(parameter):
        return False
    return sum(size > 1 for size in parameter.shape) > 1


def _strangers(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Return a line where the optimizer steps matrices that the model does not know."""
    own = {id(parameter) for parameter in model.parameters()}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    count = sum(_is_matrix(parameter) for parameter in held if id(parameter) not in own)
    if not count:
        return []
    matrices = "1 matrix" if count == 1 else f"{count} matrices"
    return [
        f"not in the table: {matrices} that {type(optimizer).__name__} steps and the model does not know, as layers in "
        "a plain list (torch.nn.ModuleList makes them known) or another model's"
    ]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return f"{', '.join(names[:NAMED])} and {more} more" if more > 1 else ", ".join(names)
