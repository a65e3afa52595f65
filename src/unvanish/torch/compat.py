"""Every private name of PyTorch that the adapter uses, each with its reason; a contract test holds each of them."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
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


def foreach_norm(tensors: Sequence[torch.Tensor], dtype: torch.dtype | None = None) -> list[torch.Tensor]:
    """Return the Euclidean norm of each tensor, its squares added up in the dtype (None: its own), in a few kernels.

    `torch.nn.utils.clip_grad_norm_` calls the same function, under this name too: there is no public one.
    """
    return list(torch._foreach_norm(list(tensors), 2, dtype=dtype)) if tensors else []


def uncompiled(model: Any) -> Any:
    """Return the module that torch.compile wrapped (`_orig_mod`), or the model itself."""
    return getattr(model, "_orig_mod", model)


def compiler_is_loaded() -> bool:
    """Say whether `torch._dynamo` is imported: else nothing can be compiled. Any optimizer that is made imports it."""
    return "torch._dynamo" in sys.modules


def anything_compiled() -> bool:
    """Say whether torch.compile was called in this process, by whatever name (`cached_backends`).

    What is not compiled has an entry there too, without a backend: the making of an optimizer leaves one.
    """
    frames = sys.modules.get("torch._dynamo.eval_frame")
    return frames is not None and any(callable(backend) for backend in frames.cached_backends.values())


def as_written() -> AbstractContextManager[Any]:
    """Let compiled functions run as they were written, in the context, and nothing be compiled."""
    stance: Callable[..., AbstractContextManager[Any]] = torch.compiler.set_stance
    return stance("force_eager") if anything_compiled() else nullcontext()  # it would import the compiler


_EVAL_FRAME: Any = torch._C._dynamo.eval_frame
"""Where the compiler hears of every Python function that runs; there without `torch._dynamo`. No public name for it."""
_PASSED_BY = _EVAL_FRAME._FrameExecStrategy(_EVAL_FRAME._FrameAction.SKIP, _EVAL_FRAME._FrameAction.DEFAULT)


def compiler_at_work() -> bool:
    """Say whether this runs in code that a compiler traces, or listens to between two parts that it compiled."""
    return torch.compiler.is_compiling() or _EVAL_FRAME.get_eval_frame_callback() is not None


def passed_by(function: Callable[..., Any]) -> None:
    """Let the compiler not begin with this function, though with those that it calls: as it treats torch's own."""
    _EVAL_FRAME.set_code_exec_strategy(function.__code__, _PASSED_BY)


passed_by(compiler_at_work)


def transformed() -> bool:
    """Say whether tensors have no values of their own here: in torch.func.grad or vmap, or under a FakeTensorMode."""
    fake = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE)
    return torch._C._functorch.peek_interpreter_stack() is not None or fake is not None


def holds_compiled(model: torch.nn.Module) -> bool:
    """Say whether the model or a part of it is compiled: wrapped (`_orig_mod`), or in place (`_compiled_call_impl`)."""
    return any("_orig_mod" in m._modules or m._compiled_call_impl is not None for m in model.modules())


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
