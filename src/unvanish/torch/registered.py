"""The kernels of a model that was not seen at work: in the order in which its modules are registered."""

from __future__ import annotations

from collections import Counter

import torch

from unvanish.torch.compat import BATCH_NORM
from unvanish.torch.names import owners_of

LOOK_UPS = (torch.nn.Embedding, torch.nn.EmbeddingBag)
"""Modules whose weights are looked up."""
NORMS = (BATCH_NORM, torch.nn.GroupNorm, torch.nn.LayerNorm, torch.nn.RMSNorm)
"""Modules whose weights scale and shift: what has more than one axis there is no matrix."""


def registered(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters that are kernels, by the names that the layers of a model seen at work have.

    Those have the order of the forward pass; for most models it is the same. Of a recurrent layer the first matrix is
    taken. A kernel that is computed from other parameters (a weight norm) is none.
    """
    owners, modules = owners_of(model), dict(model.named_modules())
    found = []
    for name, parameter in model.named_parameters():
        path, local = owners[id(parameter)]
        module = modules.get(path, model)
        computed = "parametrizations." in name or local.endswith(("_g", "_v"))
        if parameter.ndim < 2 or computed or isinstance(module, (*LOOK_UPS, *NORMS)):
            continue
        if isinstance(module, torch.nn.RNNBase) and local != "weight_ih_l0":
            continue
        found.append((path, local, parameter))
    several = Counter(path for path, _, _ in found)
    several.update(path for path, module in modules.items() if next(module.children(), None) is not None)
    return {_name(path, local, several[path] == 1, model): parameter for path, local, parameter in found}


def _name(path: str, local: str, alone: bool, model: torch.nn.Module) -> str:
    """Return the name of a kernel. alone: whether it is all that the module of this path has."""
    if path and (alone or local == "weight"):
        return path
    if not path and local == "weight":  # by the function that it is given to
        return type(model).__name__.lower()
    return f"{path}.{local.removesuffix('_weight')}".strip(".")
