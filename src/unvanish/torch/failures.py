"""Say which part cannot take what it was given, where the user's model or loss raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from unvanish.errors import DataError, UsageError
from unvanish.torch.structures import leaves

_GIVEN = (IndexError, RuntimeError, TypeError, ValueError)
"""What Python and torch raise for shapes and types that do not go together."""


@contextmanager
def explained(model: torch.nn.Module, inputs: Callable[[], Sequence[Any]]) -> Iterator[None]:
    """Raise DataError in place of what the model itself raises when it is called on one of these inputs.

    inputs: gives them; asked for only where something was raised. What else raised it is left as it is.
    """
    try:
        yield
    except _GIVEN:
        for x in inputs():
            _call(model, x)
        raise


def _call(model: torch.nn.Module, x: Any) -> None:
    try:
        with torch.no_grad():
            model(x)
    except _GIVEN as error:
        kinds = {str(p.dtype).removeprefix("torch.") for p in model.parameters()}
        raise DataError(
            f"the model {type(model).__name__} cannot be called on these inputs",
            found=_first_line(error),
            numbers={"x": shown(x), "parameters": ", ".join(sorted(kinds))},
            hint="model(x[:1]) shows the whole error: inputs of the shape and type that the model takes",
        ) from error


def computed(loss_of: Callable[[Any, Any], Any], outputs: Any, labels: Any) -> torch.Tensor:
    """Return the loss. Raise DataError where there is none, UsageError where it is no scalar with a gradient."""
    try:
        loss = loss_of(outputs, labels)
    except (AttributeError, KeyError, *_GIVEN) as error:
        _require_classes(outputs, labels)
        raise DataError(
            "the loss cannot be computed from the outputs and the labels",
            found=_first_line(error),
            numbers={"outputs": shown(outputs), "labels": shown(labels)},
            hint="labels of the shape and type that the loss takes, for example y.float().unsqueeze(1)",
        ) from error
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        raise UsageError(
            "the loss is not a single number",
            found=f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__,
            hint="reduction='mean', or lambda outputs, targets: loss(outputs, targets).mean()",
        )
    if not loss.requires_grad:
        raise UsageError(
            "the loss has no gradient",
            found="no path leads from it to a trainable parameter (a comparison, argmax, detach or no_grad?)",
            numbers={"outputs": shown(outputs), "outputs have a gradient": _differentiable(outputs)},
            hint="compute it from the outputs by differentiable operations",
        )
    return loss


def shown(value: Any) -> str:
    """Return shapes and types of the tensors in a structure, in words."""
    found = [f"{tuple(leaf.shape)} {str(leaf.dtype).removeprefix('torch.')}" for leaf in leaves(value)]
    return ", ".join(found) or type(value).__name__


def _require_classes(outputs: Any, labels: Any) -> None:
    """Raise DataError for class numbers that the outputs have no unit for."""
    if not (isinstance(outputs, torch.Tensor) and isinstance(labels, torch.Tensor)) or outputs.ndim < 2:
        return
    if labels.is_floating_point() or labels.ndim != outputs.ndim - 1:
        return
    units = int(outputs.shape[1])
    wrong = labels[((labels < 0) | (labels >= units)) & (labels != -100)]
    if len(wrong):
        raise DataError(
            f"{len(wrong)} labels are out of range for outputs of {units} units",
            found=f"the label {int(wrong.reshape(-1)[0])}, for a loss that takes class numbers",
            numbers={"labels allowed": f"0 to {units - 1}", "labels in the batch": labels.numel()},
            hint=f"an output layer of {int(labels.max()) + 1} units, or labels that start at 0",
        )


def _differentiable(outputs: Any) -> str:
    return "yes" if any(isinstance(t, torch.Tensor) and t.requires_grad for t in leaves(outputs)) else "no"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
