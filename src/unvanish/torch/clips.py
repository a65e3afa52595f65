"""What the user's own clipping took from the gradients, so that the raw ones are known at the step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from unvanish.torch.compat import CLIP_BY_NORM, CLIP_BY_VALUE
from unvanish.torch.patches import Patches
from unvanish.torch.tally import Gradient, gradients_of


class Clips:
    """Remember, per kernel, how the norm of its gradient changed by clipping since the last step.

    The quotient is kept, not the norm: a gradient that is clipped before it is unscaled is raw x scale at that time.
    """

    def __init__(self, wanted: Callable[[torch.Tensor], bool]) -> None:
        """wanted: whether the gradient of a parameter is going to be read at the coming step."""
        self.words: dict[str, None] = {}
        """What was seen, as in OptimizerInfo.clipping; in order of appearance."""
        self._wanted = wanted
        self._first: dict[int, Gradient] = {}
        self._quotients: dict[int, torch.Tensor] = {}

    def install(self, patches: Patches) -> None:
        """Wrap torch's clipping functions."""
        for owner, name in CLIP_BY_NORM:
            patches.wrap(owner, name, self._by_norm)
        for owner, name in CLIP_BY_VALUE:
            patches.wrap(owner, name, self._by_value)

    def raw(self, parameter: torch.Tensor, at_step: Gradient) -> Gradient:
        """Return the gradient before any clipping, from what is there at the step.

        A clip to nothing (an infinite total norm) leaves no quotient: then what was there before it is taken.
        """
        first, quotient = self._first.get(id(parameter)), self._quotients.get(id(parameter))
        if first is None or quotient is None:
            return at_step
        raw = at_step.norm * quotient
        return first._replace(norm=torch.where(torch.isfinite(raw), raw, first.norm))

    def forget(self) -> None:
        """Begin anew: the step was taken."""
        self._first.clear()
        self._quotients.clear()

    def _by_norm(self, original: Callable[..., Any], parameters: Any, max_norm: Any, *args: Any, **kwargs: Any) -> Any:
        return self._clip(f"norm {float(max_norm):g}", original, parameters, max_norm, *args, **kwargs)

    def _by_value(
        self, original: Callable[..., Any], parameters: Any, clip_value: Any, *args: Any, **kwargs: Any
    ) -> Any:
        return self._clip(f"value {float(clip_value):g}", original, parameters, clip_value, *args, **kwargs)

    def _clip(self, words: str, original: Callable[..., Any], parameters: Any, *args: Any, **kwargs: Any) -> Any:
        listed = _listed(parameters)
        read = [p for p in listed if p.grad is not None and self._wanted(p)]
        before = gradients_of(read)
        result = original(listed, *args, **kwargs)
        for parameter, gradient, left in zip(read, before, gradients_of(read), strict=True):
            self.words[words] = None
            quotient = gradient.norm / left.norm
            earlier = self._quotients.get(id(parameter))
            self._quotients[id(parameter)] = quotient if earlier is None else earlier * quotient
            self._first.setdefault(id(parameter), gradient)
        return result


def _listed(parameters: torch.Tensor | Iterable[torch.Tensor]) -> list[torch.Tensor]:
    return [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
