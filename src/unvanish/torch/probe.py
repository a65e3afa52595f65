"""Look at a model once, on batches of ours: one forward and backward pass per batch, in training mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from unvanish.core.profile import Profile
from unvanish.torch.look import Look
from unvanish.torch.restore import restored

LossOf = Callable[[torch.nn.Module, Any], torch.Tensor]
"""(model, batch) -> the batch's loss, a tensor of one entry; calls the model."""


def probe(model: torch.nn.Module, batches: Sequence[Any], loss_of: LossOf, step: int) -> Profile:
    """Return what the batches show at every layer of the model. Nothing is left behind (`restored`).

    loss_of: is called with the model and each batch. A model in training mode is taken as it is, with the parts that
    its owner keeps in inference mode; one in inference mode is put into training mode as a whole. No `.grad` is written
    and no hook of an optimizer runs. Raise what the model itself raises on such data.
    """
    return look_at(model, batches, loss_of, step)[1]


def look_at(model: torch.nn.Module, batches: Sequence[Any], loss_of: LossOf, step: int) -> tuple[Look, Profile]:
    """Return the profile and the look that it comes from, which also has the network and what was not checked."""
    losses = []
    with restored(model), torch.enable_grad():
        if not model.training:
            model.train()
        with Look(model) as look:
            for batch in batches:
                loss = loss_of(model, batch)
                losses.append(float(loss.detach()))
                trained = [p for p in model.parameters() if p.requires_grad]
                if loss.requires_grad and trained:
                    torch.autograd.grad(loss, trained, allow_unused=True)
    return look, look.profile(step, math.fsum(losses) / len(losses) if losses else math.nan)
