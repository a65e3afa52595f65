"""Describe the optimizer: its family, and which parameters it holds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from msgspec.structs import replace

from unvanish.core.network import Network
from unvanish.core.observation import OptimizerInfo

_O = torch.optim
_FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("adadelta", ("Adadelta",)),
    ("adagrad", ("Adagrad",)),
    ("adam", ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "SparseAdam")),
    ("rmsprop", ("RMSprop",)),
    ("sgd", ("ASGD", "SGD")),
)


def optimizer_info(
    optimizer: torch.optim.Optimizer, *, clipping: str | None, dynamic_loss_scale: bool
) -> OptimizerInfo:
    """Return the optimizer as data; a subclass belongs to its parent's family, whatever its name.

    Of several parameter groups the first is told. clipping, dynamic_loss_scale: what was seen around it.
    """
    family = next((name for name, classes in _FAMILIES if isinstance(optimizer, _classes(classes))), "other")
    group: dict[str, Any] = optimizer.param_groups[0]
    betas = group.get("betas") or (None, None)
    return OptimizerInfo(
        name=type(optimizer).__name__,
        family=family,
        learning_rate=_number(group.get("lr")) or 0.0,
        epsilon=None if family == "sgd" else _number(group.get("eps")),
        momentum=_number(group.get("momentum")) or 0.0,
        beta_1=_number(betas[0]),
        beta_2=_number(betas[1]) if len(betas) > 1 else None,
        dynamic_loss_scale=dynamic_loss_scale,
        clipping=clipping,
    )


def held_by(optimizer: torch.optim.Optimizer) -> set[int]:
    """Return the ids of the tensors that the optimizer holds."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def with_optimised(network: Network, model: torch.nn.Module, held: Collection[int]) -> Network:
    """Return the network, saying of every parameter whether an optimizer holds it. held: ids of those that one does."""
    owned = dict(model.named_parameters(remove_duplicate=False))
    known = tuple(replace(p, optimised=id(owned[p.name]) in held) if p.name in owned else p for p in network.parameters)
    return replace(network, parameters=known)


def _classes(names: tuple[str, ...]) -> tuple[type, ...]:
    return tuple(getattr(_O, name) for name in names if hasattr(_O, name))


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor):
        return float(value) if value.numel() == 1 else None
    return float(value) if isinstance(value, int | float) else None
