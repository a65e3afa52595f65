"""Every private name of PyTorch that the adapter uses, each with its reason; a contract test holds each of them."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.utils import clip_grad

CLIP_BY_NORM: tuple[tuple[Any, str], ...] = (
    (clip_grad, "_clip_grads_with_norm_"),  # what clip_grad_norm_ scales by: there is no public place to see it
    (torch.nn.utils, "clip_grads_with_norm_"),  # the same function under its public name
)
"""Where the function lies that scales gradients to a norm; its arguments are (parameters, max_norm, ...)."""

CLIP_BY_VALUE: tuple[tuple[Any, str], ...] = ((clip_grad, "clip_grad_value_"), (torch.nn.utils, "clip_grad_value_"))

BATCH_NORM = torch.nn.modules.batchnorm._BatchNorm
"""What all batch normalisations are, the lazy and the synchronised ones too; there is no public class for that."""


def uncompiled(model: Any) -> Any:
    """Return the module that torch.compile wrapped (`_orig_mod`), or the model itself."""
    return getattr(model, "_orig_mod", model)


def compiler_is_loaded() -> bool:
    """Say whether anything may have been compiled: `torch._dynamo` is imported by the first torch.compile."""
    return "torch._dynamo" in sys.modules


def base_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return the tensor that this one is a view of (`_base`); None for one that is no view."""
    base: torch.Tensor | None = tensor._base
    return base


def version_of(tensor: torch.Tensor) -> int:
    """Return how often the tensor was changed in place (`_version`)."""
    return int(tensor._version)


def opened(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a copy of a Python function of torch.nn.functional that does not hand itself to a mode again.

    Its first lines ask `has_torch_function` whether a mode is active; the copy is answered no, so that its body runs
    and the mode sees what it calls.
    """
    names = {**function.__globals__, "has_torch_function": lambda _: False}
    code = function.__code__
    copy = types.FunctionType(code, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def belongs_to_keras(module: torch.nn.Module) -> bool:
    """Say whether the module is a layer of Keras, which on its torch backend is a module too. Imports nothing."""
    keras = sys.modules.get("keras")
    layer = getattr(keras, "Layer", None)
    return isinstance(layer, type) and isinstance(module, layer)
