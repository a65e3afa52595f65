"""A name for every layer: the path of the module that it belongs to, and what it does there if that is not enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from unvanish.torch.call import Call, Key


def names_of(calls: Sequence[Call], model: torch.nn.Module) -> dict[Key, str]:
    """Return a unique name for each call, by its key.

    A call with weights goes by the module that owns the first of them; another by the running module, where it is all
    that this one does, else by that and the name of the function (`block.2.relu`). The second of a name is `name:2`.
    """
    owners = owners_of(model)
    alone = Counter((call.place.path, call.place.visit) for call in calls)
    named: dict[str, list[Call]] = {}
    taken: dict[Key, str] = {}
    kernels = _modules_with_several_kernels(calls, owners)
    for call in calls:
        base = _base(call, owners, kernels, alone[call.place.path, call.place.visit] == 1)
        same = named.setdefault(base, [])
        same.append(call)
        taken[call.key] = _unique(base if len(same) == 1 else f"{base}:{len(same)}", taken)
    return taken


def _base(call: Call, owners: dict[int, tuple[str, str]], several: set[str], alone: bool) -> str:
    place = call.place
    if call.kind == "input":
        return call.function
    owned = next((owners[id(w)] for w in call.parameters if id(w) in owners), None)
    if owned is not None:
        path, local = owned
        if any(w is own for own in place.module._parameters.values() for w in call.parameters):
            path = place.path
        local = local.removesuffix("_weight")
        if path and (path not in several or local == "weight"):
            return path
        return call.function if not path and local == "weight" else f"{path}.{local}".strip(".")
    leaf = next(place.module.children(), None) is None
    if place.path and leaf and (alone or call.parameters):
        return place.path
    return f"{place.path}.{call.function}".strip(".")


def owners_of(model: torch.nn.Module) -> dict[int, tuple[str, str]]:
    """Return, for each parameter's id, the path of the first module that has it and its name there."""
    found: dict[int, tuple[str, str]] = {}
    for name, parameter in model.named_parameters():
        path, _, local = name.rpartition(".")
        if "parametrizations." in name:  # a weight that is computed belongs to the module that uses it
            path, _, rest = name.rpartition("parametrizations.")
            path, local = path.rstrip("."), rest.partition(".")[0]
        found.setdefault(id(parameter), (path, local))
    return found


def _modules_with_several_kernels(calls: Sequence[Call], owners: dict[int, tuple[str, str]]) -> set[str]:
    """Return the paths of modules that run more than one operation with weights of their own, or have children."""
    found: dict[str, set[int]] = {}
    for call in calls:
        first = next((w for w in call.parameters if id(w) in owners), None)
        if first is not None:
            found.setdefault(owners[id(first)][0], set()).add(id(first))
    modules = {call.place.path: call.place.module for call in calls}
    busy = {path for path in found if path in modules and next(modules[path].children(), None) is not None}
    return busy | {path for path, weights in found.items() if len(weights) > 1}


def _unique(name: str, taken: dict[Key, str]) -> str:
    used = set(taken.values())
    number, found = 2, name
    while found in used:
        found = f"{name}:{number}"
        number += 1
    return found
