"""Loops on torch: backward passes, the optimizers of torch.optim, and torch's own losses.

A loop around a Keras model is a loop of PyTorch: what it does is seen where the PyTorch adapter sees it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import keras
import torch
from torch.nn import functional

from unvanish.keras.loops.protocol import Look, Watcher, eagerly
from unvanish.keras.patches import Patches
from unvanish.keras.tally import Tally
from unvanish.keras.witness import Lost
from unvanish.torch.clips import Clips
from unvanish.torch.hooks import Hooks
from unvanish.torch.info import optimizer_info
from unvanish.torch.losses import KINDS, OTHERS, is_plain, kind_of
from unvanish.torch.patches import Patches as TorchPatches
from unvanish.torch.roots import Roots
from unvanish.torch.tally import gradient_of

_DESCRIBED: dict[str, Callable[..., Any]] = {
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "mean_absolute_error": lambda from_logits: keras.losses.MeanAbsoluteError(),  # noqa: ARG005
    "mean_squared_error": lambda from_logits: keras.losses.MeanSquaredError(),  # noqa: ARG005
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
}
"""Kind of a loss -> what makes the loss of Keras that describes it."""


class Ways:
    """See `protocol.Ways`."""

    UNKNOWN = (
        "gradients that no backward pass gave: the loss that they are of is not known",
        "take them by loss.backward(), or by torch.autograd.grad(loss, ...)",
    )

    LOSS_IN_PART = False

    def __init__(self, watcher: Watcher) -> None:
        """Patch nothing yet."""
        self._watcher = watcher
        self._roots = Roots(lambda: None, self._pass_ends)
        self._clips = Clips(self._wants)
        self._asked: Any = None
        self._stepping: tuple[torch.optim.Optimizer, Look] | None = None

    def patch(self, patches: Patches) -> None:
        """See `protocol.Ways`."""
        patches.patch(torch.autograd, "grad", self._grad)
        for name in (*KINDS, *OTHERS):
            patches.patch(functional, name, functools.partial(self._loss, name))
        own, stack = TorchPatches(), ExitStack()
        stack.callback(own.undo)
        patches.enter(stack)
        self._roots.install(own)
        self._clips.install(own)
        patches.enter(Hooks(self._before, self._after))

    def forget(self) -> None:
        """See `protocol.Ways`."""
        self.stepped()

    def loss(self) -> Any:
        """See `protocol.Ways`; before a gradient scaler scaled it, as gradients are when a step begins."""
        return self._roots.loss() if self._roots.passes else self._asked

    def stepped(self) -> None:
        """See `protocol.Ways`."""
        self._roots.forget()
        self._clips.forget()
        self._asked = None

    def array(self, tensor: Any) -> Any:
        """See `protocol.Ways`; a copy, since a loop may fill its tensors anew."""
        return tensor.detach().cpu().numpy().copy() if isinstance(tensor, torch.Tensor) else tensor

    def same(self, output: Any, given: Any) -> bool:
        """See `protocol.Ways`; a view of the output is the output in another shape."""
        if output is given:
            return True
        both = isinstance(output, torch.Tensor) and isinstance(given, torch.Tensor)
        return both and output.numel() == given.numel() and output.data_ptr() == given.data_ptr()

    def take(self, look: Look, apply: Callable[[], Any], gradients: Mapping[int, Any], loss: Any, scale: Any) -> Any:
        """See `protocol.Ways`."""
        return eagerly(look, apply, self._sums(look.tally, gradients), loss, scale)

    def trail(self, model: Any, tally: Tally, limit: int) -> None:
        """See `protocol.Ways`."""

    def _sums(self, tally: Tally, gradients: Mapping[int, Any]) -> tuple[Any, ...]:
        """Return the sums of the raw gradients: what clipping took from what a parameter holds is made up for."""
        plain = tally.gradients(gradients)
        held = [
            kernel.value.grad is not None and gradients.get(id(kernel)) is kernel.value.grad for kernel in tally.kernels
        ]
        return tuple(
            self._held(kernel.value) if mine else found
            for kernel, mine, found in zip(tally.kernels, held, plain, strict=True)
        )

    def _held(self, parameter: torch.Tensor) -> torch.Tensor:
        """Return (norm, 1, non-finite entries) of the raw gradient that a parameter holds."""
        raw = self._clips.raw(parameter, gradient_of(parameter))
        return torch.tensor([float(raw.norm), 1.0, float(raw.nonfinite)], dtype=torch.float64)

    def _wants(self, parameter: torch.Tensor) -> bool:
        look = self._watcher.look
        if self._watcher.busy:
            return False
        return look is None or any(parameter is kernel.value for kernel in look.tally.kernels)

    def _grad(self, original: Callable[..., Any], outputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._watcher.busy:
            listed = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
            self._asked = sum(float(output.detach().sum()) for output in listed)
            outputs = listed
        return original(outputs, *args, **kwargs)

    def _pass_ends(self) -> None:
        if self._watcher.busy:
            self._roots.forget()

    def _loss(self, name: str, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Remember a loss of the script's own: a function of torch.nn.functional, or a module that calls it."""
        result = original(*args, **kwargs)
        witness = self._watcher.witness
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        if self._watcher.busy or witness.inside or not {"input", "target"} <= given.keys():
            return result
        output, y = given.pop("input"), given.pop("target")
        rest, others = args[2:], {key: value for key, value in kwargs.items() if key in given}
        kind, from_logits = kind_of(name, y)
        describe = _DESCRIBED.get(kind)
        witness.lost = Lost(
            loss=None if describe is None else describe(from_logits=bool(from_logits)),
            compute=lambda target, prediction, _: original(prediction, target, *rest, **others),
            y=y,
            weight=None,
            output=output,
            plain=is_plain(name, result, args, kwargs),
        )
        return result

    def _before(self, optimizer: torch.optim.Optimizer) -> None:
        """Read a step of an optimizer of torch.optim, before it is taken."""
        if self._watcher.busy:
            return
        variables = self._variables(optimizer)
        if not variables:
            return
        clipping = ", ".join(self._clips.words) or None
        info = functools.partial(
            optimizer_info, optimizer, clipping=clipping, dynamic_loss_scale=self._roots.dynamic_scale
        )
        look = self._watcher.look_at(_Unscaled(), info, variables)
        if look is not None:
            loss = self.loss()
            trained = [variable for variable in variables if variable.value.requires_grad]
            gradients = self._sums(look.tally, {id(variable): variable.value.grad for variable in trained})
            look.before(gradients, math.nan if loss is None else loss)
            self._stepping = optimizer, look

    def _after(self, optimizer: torch.optim.Optimizer) -> None:
        stepping, self._stepping = self._stepping, None
        if self._watcher.busy:
            return
        if stepping is not None and stepping[0] is optimizer:
            stepping[1].after()
        self.stepped()
        if stepping is not None and stepping[1].enough:
            self._watcher.finish()

    def _variables(self, optimizer: torch.optim.Optimizer) -> list[Any]:
        """Return the variables of models that the optimizer holds; none where it holds anything else."""
        held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        known = {id(variable.value): variable for model in self._watcher.models for variable in model.variables}
        return [known[id(p)] for p in held] if all(id(p) in known for p in held) else []


class _Unscaled:
    """Stand in for an optimizer whose loss is not scaled when it steps."""

    def scale_loss(self, loss: Any) -> Any:
        return loss
