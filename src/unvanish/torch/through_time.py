"""How much of the gradient at a recurrent layer's last step arrives at each step before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from unvanish.core.measures.norm import norm
from unvanish.core.profile import TimeProfile
from unvanish.torch.arrays import array

CELLS = {"gru": "gru", "lstm": "lstm", "rnn_relu": "rnn", "rnn_tanh": "rnn"}
"""Name of the function -> kind of cell."""


class Recurrence(NamedTuple):
    """Hold one call of a recurrent layer; the weights are the model's own."""

    function: str
    inputs: torch.Tensor
    """(steps, samples, features); a copy."""
    state: tuple[torch.Tensor, ...]
    """Each (layers x directions, samples, units)."""
    weights: tuple[torch.Tensor, ...]
    biased: bool
    layers: int
    directions: int

    @property
    def per_direction(self) -> int:
        """Return how many weights one direction of one layer has."""
        return len(self.weights) // (self.layers * self.directions)


def recurrence(name: str, args: Sequence[Any]) -> Recurrence | str:
    """Return the call of a recurrent layer that was made with these arguments, or why it is left out, in words."""
    if name not in CELLS:
        return "a cell that is called step by step"
    if not isinstance(args[3], bool):  # the third argument is the state, not the weights
        return "a packed sequence"
    x, state, weights, biased, layers, _, _, both, batch_first = args
    inputs = x.detach().transpose(0, 1) if batch_first and x.ndim == 3 else x.detach()
    states = (state,) if isinstance(state, torch.Tensor) else tuple(state)
    found = Recurrence(
        name, _float(inputs).clone(), tuple(_float(s) for s in states), tuple(weights), biased, layers, 1 + both
    )
    if inputs.ndim != 3 or found.per_direction != (4 if biased else 2):
        return "a single sample, or a projection of the state"
    return found


def through_time(layer: str, call: Recurrence) -> tuple[TimeProfile, ...]:
    """Return a profile for each layer of the stack and each direction, all by the name of the whole.

    The layer is run by itself, in float32 or better, without dropout, from its own state on its own inputs; v is a
    random unit cotangent on the state after the last step that a direction reads, all samples together. Nothing is
    drawn from PyTorch's random numbers, and hooks of the user's on saved tensors see nothing.
    """
    with (
        torch.enable_grad(),
        torch.autocast(call.inputs.device.type, enabled=False),
        torch.autograd.graph.saved_tensors_hooks(lambda saved: saved, lambda saved: saved),
    ):
        return tuple(TimeProfile(layer=layer, cell=CELLS[call.function], log10_gradient=g) for g in _gradients(call))


def _gradients(call: Recurrence) -> Iterator[tuple[float, ...]]:
    run, inputs = getattr(torch, call.function), call.inputs
    for depth in range(call.layers):
        outputs = []
        for direction in range(call.directions):
            number = depth * call.directions + direction
            first = number * call.per_direction
            weights = [_float(w) for w in call.weights[first : first + call.per_direction]]
            state = tuple(s[number : number + 1].contiguous() for s in call.state)
            x = (inputs.flip(0) if direction else inputs).detach().requires_grad_()
            entry = state if call.function == "lstm" else state[0]
            output = run(x, entry, weights, call.biased, 1, 0.0, True, False, False)[0]
            (gradient,) = torch.autograd.grad(output[-1], x, _unit(output[-1]))
            yield tuple(_log10(norm(step)) for step in array(gradient))
            outputs.append(output.detach().flip(0) if direction else output.detach())
        inputs = torch.cat(outputs, dim=-1)


def _unit(like: torch.Tensor) -> torch.Tensor:
    """Return a random tensor of norm 1 of this shape, always the same."""
    v = np.random.default_rng(0).standard_normal(tuple(like.shape))
    return torch.as_tensor(v / np.linalg.norm(v), dtype=like.dtype, device=like.device)


def _float(tensor: torch.Tensor) -> torch.Tensor:
    values = tensor.detach()
    return values.float() if values.element_size() < 4 else values


def _log10(number: float) -> float:
    return math.log10(number) if number > 0 else -math.inf if number == 0 else number
