"""Keras on torch: autograd, and train functions that are plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import torch

from unvanish.keras.backends.protocol import Array, Keeper, Looked, Run, as_floats, kept, sound, unscaled
from unvanish.keras.backends.stateful import logs_of, split, tapped, values_after
from unvanish.keras.backends.stateful import passing as passing_of
from unvanish.torch.compat import foreach_norm

__all__ = ["logs_of", "split", "tapped", "values_after"]

BEFORE = True
SUMS = "float32"


def differentiator(model: Any, run: Run, variables: Sequence[Any]) -> Callable[[Any, float], Looked]:  # noqa: ARG001
    """See `protocol.Backend`; no `.grad` is touched."""

    def look(batch: Any, scale: float) -> Looked:
        marked: list[Any] = []

        def mark(value: Any, *, alone: bool) -> tuple[Any, int | None]:
            if not (isinstance(value, torch.Tensor) and value.dtype.is_floating_point):
                return value, None
            target = value if value.requires_grad else value.detach().requires_grad_()
            if alone and value.requires_grad:
                target = value.view_as(value)
            marked.append(target)
            return (target.clone() if alone else target), len(marked) - 1  # what follows may change it in place

        with torch.enable_grad():
            weights = [variable.value for variable in variables]
            loss = run(mark, batch)
            found = _gradients(loss * scale, [*weights, *marked])
        arrays = [None if g is None else _array(g) for g in found]
        values = [_array(value) for value in marked]
        gradients = [kept(g, scale) for g in arrays[: len(weights)]]
        return Looked(float(loss.detach()), gradients, values, [unscaled(g, scale) for g in arrays[len(weights) :]])

    return look


def _gradients(loss: Any, targets: list[Any]) -> list[Any]:
    """Return the gradients; None where no path leads, or where none is wanted."""
    reached = [target for target in targets if target.requires_grad and loss.requires_grad]
    given = iter(torch.autograd.grad(loss, reached, allow_unused=True) if reached else ())
    return [next(given) if target.requires_grad and loss.requires_grad else None for target in targets]


def _array(value: Any) -> Array:
    value = value.detach().to_dense() if value.is_sparse else value.detach()
    return as_floats((value.float() if value.dtype.itemsize < 4 else value).cpu().numpy())


def slope(function: Callable[[Any], Any], z: Array) -> Array | None:
    """See `protocol.Backend`."""
    tensor = keras.ops.convert_to_tensor(z).requires_grad_()
    with torch.enable_grad():
        found = _gradients(function(tensor).sum(), [tensor])[0]
    return None if found is None else _array(found)


def pullback(function: Callable[[Any], Any], x: Any, cotangent: Array) -> Array:
    """See `protocol.Backend`."""
    given = x.detach().requires_grad_()
    with torch.enable_grad():
        result = function(given)
        score = (result * torch.as_tensor(cotangent, dtype=result.dtype, device=result.device)).sum()
        found = _gradients(score, [given])[0]
    return as_floats(np.zeros(tuple(x.shape))) if found is None else _array(found)


def gradient_sums(gradient: Any) -> Any:
    """See `protocol.Backend`; in float32, which every device has.

    On a processor a plain norm comes first, a twentieth of the work, and is taken where it is sound. To read it from
    another device would wait for that device.
    """
    gradient = gradient.detach().to_dense() if gradient.is_sparse else gradient.detach()
    gradient = gradient.float() if gradient.dtype.itemsize < 4 else gradient
    if gradient.is_cpu and not torch.compiler.is_compiling():
        squares = torch.linalg.vector_norm(gradient) ** 2
        if sound(float(squares)):
            return torch.stack([torch.ones_like(squares), squares, torch.zeros_like(squares)])
    largest = gradient.abs().max()
    scale = torch.where(torch.isfinite(largest) & (largest > 0), largest, torch.ones_like(largest))
    scaled = gradient / scale
    nonfinite = gradient.numel() - torch.isfinite(gradient).sum()
    return torch.stack([scale, torch.linalg.vector_norm(scaled) ** 2, nonfinite.to(scale.dtype)])


def sums_of(values: Sequence[Any], zeros: Sequence[Any] | None = None) -> Any:
    """See `protocol.Backend`; on a processor plain norms of all are taken in one call and looked at together."""
    values = [value.float() if value.dtype.itemsize < 4 else value for value in values]
    table = _plain(values)
    if table is None:
        table = torch.stack([gradient_sums(value).to(torch.float32) for value in values])
    if zeros is None:
        return table
    counts = torch.stack([_zeros(value) for value in zeros])
    return torch.cat([table, counts.to(table.dtype)[:, None]], 1)


def moved_of(before: Sequence[Any], after: Sequence[Any]) -> Any:
    """See `protocol.Backend`."""
    old, new = ([v.float() if v.dtype.itemsize < 4 else v for v in values] for values in (before, after))
    table = sums_of([*old, *(b - a for a, b in zip(old, new, strict=True))])
    return torch.cat(torch.chunk(table, 2), 1)


def _plain(values: Sequence[Any]) -> Any:
    """Return the sums of tensors on a processor where plain squares of all are sound, else None."""
    dtype = values[0].dtype
    if torch.compiler.is_compiling() or not all(value.is_cpu and value.dtype == dtype for value in values):
        return None
    squares = torch.stack(foreach_norm(values)) ** 2
    if not all(sound(square) for square in squares.tolist()):
        return None
    return torch.stack([torch.ones_like(squares), squares, torch.zeros_like(squares)], 1)


def _zeros(value: Any) -> Any:
    return value.numel() - torch.count_nonzero(value)


def view(variable: Any) -> Array:
    """See `protocol.Backend`."""
    return _array(variable.value)


def read(variable: Any) -> Any:
    """See `protocol.Backend`."""
    return variable.value.detach().clone()


def copied(value: Any) -> Any:
    """See `protocol.Backend`."""
    return value.clone()


def still(value: Any) -> Any:
    """See `protocol.Backend`; nothing is fused, and the copy is one of no entries."""
    value = value.detach()
    return value.to_dense() if value.is_sparse else value


def passing(model: Any, run: Callable[[Any], Any], variables: Sequence[Any]) -> Callable[[Any, Sequence[Any]], Any]:
    """See `protocol.Backend`; no graph is made."""
    forward = passing_of(model, run, variables)

    def without_gradients(inputs: Any, values: Sequence[Any]) -> Any:
        with torch.no_grad():
            return forward(inputs, values)

    return without_gradients


def keeping(model: Any, tally: Any, variables: Sequence[Any]) -> Keeper:
    """See `protocol.Backend`."""
    return Kept(model, tally, variables)


class Kept:
    """Copy trained weights where the step shows a value that is not finite; others at its beginning.

    On another device than a processor all are copied at once: to look would wait for that device.
    """

    waits = False

    def __init__(self, model: Any, tally: Any, variables: Sequence[Any]) -> None:
        """Arguments as of `protocol.Backend.keeping`."""
        self._variables, self._trained = variables, {id(variable) for variable in model.trainable_variables}
        self._values: list[Any] = []
        self._tap = tapped(model, tally, self._before)

    def step(self, data: Any) -> Any:
        """Take a step."""
        self._values = [None if id(v) in self._trained else read(v) for v in self._variables]
        logs, sums = self._tap(data)
        return logs, {**sums, "batch": data, "weights": tuple(self._values)}

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], *, look: bool) -> Any:  # noqa: ARG002
        """See `protocol.Keeper`; who looks has looked before the step."""
        return function(*arguments)

    def begun(self, sums: dict[str, Any]) -> list[Any]:
        """See `protocol.Keeper`."""
        return list(sums["weights"])

    def _before(self, found: dict[str, Any]) -> None:
        loss, nonfinite = found.get("loss", torch.zeros(())), found["gradients"][:, 2]
        if not (loss.is_cpu and nonfinite.is_cpu) or not math.isfinite(loss) or bool((nonfinite > 0).any()):
            pairs = zip(self._values, self._variables, strict=True)
            self._values = [read(variable) if value is None else value for value, variable in pairs]


def runs(value: Any, run: int, step: int) -> Any:
    """See `protocol.Backend`."""
    return value.reshape(-1, run)[::step]


def function(model: Any, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:  # noqa: ARG001
    """See `protocol.Backend`; nothing is compiled, and no graph is made."""
    return torch.no_grad()(compute)


def counted(model: Any, arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], Callable[[], int]]:  # noqa: ARG001
    """See `protocol.Backend`; Keras takes one step a call on torch."""
    return arguments, lambda: 1


def hand_back(model: Any, result: Any) -> None:
    """See `protocol.Backend`; the variables have it already."""


def build_ahead(model: Any, batches: list[Any]) -> None:
    """See `protocol.Backend`; nothing is compiled, and fit builds by reading a batch, which draws random numbers."""


def train(model: Any, batches: Iterable[Any]) -> None:
    """See `protocol.Backend`."""
    model.train()
    for batch in batches:
        model.train_function([batch])


def seed(seed: int) -> None:
    """Seed torch: an unseeded Dropout of Keras draws from its global generator."""
    torch.manual_seed(seed)


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Put back the random states of torch, what `.grad` holds, `requires_grad`, and the modes train and eval."""
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        parameters = [(p, p.grad, p.requires_grad) for p in model.parameters()]
        modes = [(module, module.training) for module in model.modules()]
        try:
            yield
        finally:
            for parameter, gradient, wanted in parameters:
                parameter.grad = gradient
                parameter.requires_grad_(wanted)
            for module, mode in modes:
                module.training = mode
