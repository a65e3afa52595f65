"""What each tensor of a forward pass comes from, by its identity. Tensors are not kept alive."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from unvanish.torch.arrays import tensors_in
from unvanish.torch.call import Call, distinct
from unvanish.torch.expressions import Expression


@dataclass(slots=True)
class Origin:
    """Say what a tensor comes from."""

    tensor: weakref.ref[torch.Tensor]
    sources: tuple[Call, ...] = ()
    channels_first: bool = False
    parameters: tuple[torch.Tensor, ...] | None = None
    """What it was computed from, where that is parameters alone."""
    expressions: tuple[Expression, ...] = ()


class Origins:
    """Remember the origin of every tensor that was seen."""

    def __init__(self, parameters: Mapping[int, torch.Tensor]) -> None:
        """parameters: the model's, by id."""
        self._parameters = parameters
        self._known: dict[int, Origin] = {}

    def of(self, tensor: torch.Tensor) -> Origin | None:
        """Return the origin of a tensor that data flow through; None for any other."""
        origin = self._find(tensor)
        return None if origin is None or origin.parameters is not None else origin

    def is_weight(self, tensor: torch.Tensor) -> bool:
        """Say whether the tensor is a parameter, or was computed from parameters alone."""
        origin = self._find(tensor)
        return id(tensor) in self._parameters or (origin is not None and origin.parameters is not None)

    def parameters(self, weights: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return the parameters that these weights are or were computed from, each once."""
        found: dict[int, torch.Tensor] = {}
        for weight in weights:
            origin = self._find(weight)
            behind = (weight,) if id(weight) in self._parameters else ((origin and origin.parameters) or ())
            found.update((id(parameter), parameter) for parameter in behind)
        return tuple(found.values())

    def sources(self, value: Any) -> tuple[Call, ...]:
        """Return the calls that the tensors of a structure come from, each once."""
        return distinct(self.each_source(list(tensors_in(value))))

    def each_source(self, tensors: Sequence[torch.Tensor]) -> tuple[Call, ...]:
        """Return the calls that the tensors come from, in order; one that gives two of them twice."""
        origins = [self.of(tensor) for tensor in tensors]
        return tuple(source for origin in origins if origin is not None for source in origin.sources)

    def note(
        self,
        tensor: torch.Tensor,
        sources: tuple[Call, ...] = (),
        *,
        channels_first: bool = False,
        parameters: tuple[torch.Tensor, ...] | None = None,
        expressions: tuple[Expression, ...] = (),
    ) -> None:
        """Remember where a tensor comes from, or comes from now."""
        self._known[id(tensor)] = Origin(weakref.ref(tensor), sources, channels_first, parameters, expressions)

    def mark_channels(self, tensor: torch.Tensor) -> None:
        """Note that axis 1 of a tensor is its channels, now that something reads it so; of an input layer too."""
        origin = self.of(tensor)
        if origin is None or tensor.ndim < 3:
            return
        origin.channels_first = True
        for source in origin.sources:
            if source.kind == "input" and not source.channels_first and source.shape == tuple(tensor.shape):
                source.channels_first = True
                source.shape = (source.shape[0], *source.shape[2:], source.shape[1])

    def _find(self, tensor: torch.Tensor) -> Origin | None:
        origin = self._known.get(id(tensor))
        return origin if origin is not None and origin.tensor() is tensor else None
