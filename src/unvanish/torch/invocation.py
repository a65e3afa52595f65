"""One function that is called with these arguments, and what has to be known of them before it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from unvanish.torch.compat import version_of
from unvanish.torch.expressions import Expression
from unvanish.torch.origins import Origin
from unvanish.torch.reading import Reading
from unvanish.torch.taps import Edge


class Invocation(NamedTuple):
    """Hold a function of PyTorch and its arguments."""

    name: str
    """As functions.name_of gives it."""
    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self) -> Any:
        """Return what the function returns."""
        return self.function(*self.args, **self.kwargs)


@dataclass(slots=True)
class Before:
    """Hold what has to be known before a call runs, since it may write over its arguments."""

    reading: Reading
    data: list[torch.Tensor] = field(default_factory=list)
    """The arguments that data flow through."""
    first: Origin | None = None
    """Of the first of them."""
    edges: list[tuple[Edge, ...]] = field(default_factory=list)
    """Where dL/d input of each of them goes."""
    expressions: dict[int, list[Expression]] = field(default_factory=dict)
    """By id of the argument, nearest root first."""
    copy: torch.Tensor | None = None
    """Of the first of them, where it may be written over."""
    version: int = 0
    """Of the first of them."""

    @property
    def entering(self) -> torch.Tensor | None:
        """Return the first argument as it was."""
        return self.copy if self.copy is not None else (self.data[0] if self.data else None)

    @property
    def channels_first(self) -> bool:
        """Say whether axis 1 of the first argument is its channels."""
        return self.first is not None and self.first.channels_first

    def passed_on(self, outputs: list[torch.Tensor]) -> bool:
        """Say whether the call gave its argument back: a dropout that is off, a concatenation with nothing."""
        if all(any(output is tensor for tensor in self.data) for output in outputs):
            return version_of(self.data[0]) == self.version
        alone = self.reading.kind == "concatenate" and len(self.data) == 1
        return alone and outputs[0].shape == self.data[0].shape
