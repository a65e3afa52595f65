"""Every private name of torch that is used, each with its reason."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils import clip_grad

CLIP_BY_NORM: tuple[tuple[Any, str], ...] = tuple(
    (owner, name)
    for owner, name in (
        (clip_grad, "_clip_grads_with_norm_"),  # what clip_grad_norm_ multiplies by; there is no public hook
        (torch.nn.utils, "clip_grads_with_norm_"),  # the same function under its public name
    )
    if hasattr(owner, name)
)
"""Where the function lies that scales gradients to a norm, with the arguments (parameters, max_norm, total_norm)."""

CLIP_BY_VALUE: tuple[tuple[Any, str], ...] = ((clip_grad, "clip_grad_value_"), (torch.nn.utils, "clip_grad_value_"))
