"""Which losses the training computes, and on which labels: seen where torch's own loss functions are called.

A loop may multiply a loss by hand before it is run: against underflow, to average over micro-batches. By how much is
read where the gradient of what was run arrives at the loss function.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from unvanish.core.data_stats import chance_loss
from unvanish.core.observation import LossInfo
from unvanish.torch.compat import transformed
from unvanish.torch.patches import Patches
from unvanish.torch.taps import on_output

MOST = 4096
"""Samples whose labels are kept at most."""

KINDS: dict[str, tuple[str, bool | None]] = {
    "binary_cross_entropy": ("binary_crossentropy", False),
    "binary_cross_entropy_with_logits": ("binary_crossentropy", True),
    "cross_entropy": ("sparse_categorical_crossentropy", True),
    "l1_loss": ("mean_absolute_error", None),
    "mse_loss": ("mean_squared_error", None),
    "nll_loss": ("sparse_categorical_crossentropy", False),
}
"""Function of torch.nn.functional -> kind of the loss, and whether it applies the sigmoid or softmax itself."""

OTHERS = (
    "cosine_embedding_loss",
    "ctc_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
)
"""Losses that are noticed, and of which no more is known."""


_WEIGHED = frozenset(KINDS) - {"l1_loss", "mse_loss"}
"""Those whose third argument is a weight."""


class LossCall(NamedTuple):
    """Hold one call of a loss function in a training pass."""

    kind: str
    from_logits: bool | None
    value: torch.Tensor
    """Its mean, on its device."""
    labels: NDArray[Any] | None
    units: int
    plain: bool
    """Whether it is the mean over equally weighed samples, so that its value can be compared with chance."""
    weight: list[torch.Tensor]
    """What it was multiplied by in what was run backward, on its device: one number of each backward pass."""


class Losses:
    """Collect the calls since the last step, and the labels of those that the watched model was trained on."""

    def __init__(self) -> None:
        """Start empty."""
        self.calls: list[LossCall] = []
        self._chosen: LossCall | None = None
        self._labels: list[NDArray[Any]] = []
        self._inside = False
        self._weight = math.nan
        self._comparable = True
        self._handles: list[Any] = []

    def install(self, patches: Patches) -> None:
        """Wrap the loss functions; the modules (`nn.MSELoss`) call them."""
        for name in (*KINDS, *OTHERS):
            patches.wrap(functional, name, functools.partial(self._called, name))

    def choose(self, root: float) -> None:
        """Take the call whose value was run backward as the loss: the only one, or the one that is equal to it."""
        equal = [call for call in self.calls if math.isclose(float(call.value), root, rel_tol=1e-3)]
        candidates = self.calls if len({call.kind for call in self.calls}) == 1 else equal
        self._chosen = candidates[0] if candidates else None

    def keep(self) -> None:
        """Keep the labels of the calls since the last step, and begin anew."""
        if self.calls:
            self._weight = self._weighed()
        self._labels += [call.labels for call in self._own() if call.labels is not None]
        self.forget()

    def forget(self) -> None:
        """Begin anew: an optimizer stepped."""
        self.calls.clear()
        while self._handles:
            self._handles.pop().remove()

    def true(self, root: float, scale: float = 1.0) -> float:
        """Return the loss of which `root` is a multiple: what the calls since the last step count with in it, made one.

        scale: what a gradient scaler multiplied by; it is not in root. A loss that is not brought down stays as it is,
        and is not compared with chance.
        """
        if self._chosen is None:
            return root
        weight = (self._weighed() if self.calls else self._weight) / scale
        if not math.isfinite(weight):
            return root
        self._comparable = self._comparable and weight > 0
        return root / weight if weight > 0 else root

    def require_weight_one(self, calls: int) -> None:
        """Compare the loss with chance only if it is no multiple of that of the loss function, in so many passes."""
        self._comparable = math.isclose(self._weighed(), calls, rel_tol=1e-3)

    def _own(self) -> list[LossCall]:
        return [call for call in self.calls if self._chosen is not None and call.kind == self._chosen.kind]

    def _weighed(self) -> float:
        """Return the sum of the weights of the calls since the last step; nan where none was run backward."""
        weights = [float(weight) for call in self._own() for weight in call.weight]
        return sum(weights) if weights else math.nan

    def labels(self) -> NDArray[Any] | None:
        """Return the labels that were seen; None when they are not known."""
        same = [part for part in self._labels if part.shape[1:] == self._labels[0].shape[1:]]
        return np.concatenate(same) if same else None

    def info(self, head: str) -> LossInfo:
        """Return the loss as data; head: the activation of the output layer."""
        loss = self._chosen
        if loss is None:
            return LossInfo(kind="other", head=head)
        chance = chance_loss(loss.kind, self.labels()) if loss.plain and self._comparable else None
        return LossInfo(kind=loss.kind, chance=chance, head=head, from_logits=loss.from_logits, units=loss.units)

    def _called(self, name: str, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._inside or not torch.is_grad_enabled() or transformed():
            return original(*args, **kwargs)
        self._inside = True
        try:
            result = original(*args, **kwargs)
        finally:
            self._inside = False
        outputs, target = (kwargs.get(n, args[i] if len(args) > i else None) for i, n in enumerate(("input", "target")))
        if isinstance(result, torch.Tensor) and result.requires_grad and isinstance(outputs, torch.Tensor):
            call = self._call(name, result.detach(), outputs, target, args, kwargs)
            self.calls.append(call)
            if result.grad_fn is not None:
                arrives = functools.partial(_weigh, call)
                self._handles.append(on_output((result.grad_fn, result.output_nr), arrives))
        return result

    def _call(
        self, name: str, result: torch.Tensor, outputs: torch.Tensor, target: Any, args: Any, kwargs: Any
    ) -> LossCall:
        kind, from_logits = kind_of(name, target)
        per_class = name in ("cross_entropy", "nll_loss") and outputs.ndim > 1
        return LossCall(
            kind=kind,
            from_logits=from_logits,
            value=result.double().mean(),
            labels=None if sum(map(len, self._labels)) >= MOST else _labels(target, kwargs.get("ignore_index", -100)),
            units=int(outputs.shape[1 if per_class else -1]) if outputs.ndim else 1,
            plain=is_plain(name, result, args, kwargs),
            weight=[],
        )


def kind_of(name: str, target: Any) -> tuple[str, bool | None]:
    """Return the kind of a function of torch.nn.functional, and whether it applies the sigmoid or softmax itself."""
    kind, from_logits = KINDS.get(name, ("other", None))
    indices = isinstance(target, torch.Tensor) and not target.is_floating_point()
    return "categorical_crossentropy" if name == "cross_entropy" and not indices else kind, from_logits


def is_plain(name: str, result: torch.Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Say whether a call of a loss took the mean over equally weighed samples. result: what it returned."""
    third = args[2] if name in _WEIGHED and len(args) > 2 else None
    weighed = any(w is not None for w in (kwargs.get("weight", third), kwargs.get("pos_weight")))
    reduced = kwargs.get("reduction", "mean") == "mean" and result.ndim == 0
    return reduced and not weighed and not kwargs.get("label_smoothing", 0.0)


def _weigh(call: LossCall, gradient: torch.Tensor) -> None:
    call.weight.append(gradient.detach().double().sum())


def _labels(target: Any, ignored: int) -> NDArray[Any] | None:
    """Return a copy of the labels, of one axis at least; classes that the loss ignores are left out."""
    if not isinstance(target, torch.Tensor) or target.is_complex():
        return None
    if not target.is_floating_point():
        target = target.detach().reshape(-1) if target.ndim != 1 else target.detach()
        target = target[target != ignored]
    kind = torch.float64 if target.is_floating_point() else torch.int64
    array: NDArray[Any] = target.detach().to("cpu", kind).numpy().copy()
    return array.reshape(-1) if array.ndim == 0 else array[:MOST]
