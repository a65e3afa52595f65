"""Hold the forward passes of a sampled iteration by what they were given, so that one can be run again.

Inputs are held by reference, and let go of at the next iteration; the gradient by each output is held where it comes
out of the loss, by a hook on the node that made it. Nothing is copied, and nothing hangs on the model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from unvanish.core.nonfinite import Located, Spoilt
from unvanish.core.spoilt_file import this_script, too_large
from unvanish.torch.arrays import array, tensors_in
from unvanish.torch.compat import anything_compiled, as_written, holds_compiled, transformed
from unvanish.torch.nonfinite import autocast_now, locate
from unvanish.torch.patches import Patches
from unvanish.torch.snapshot import untouched
from unvanish.torch.structures import mapped
from unvanish.torch.taps import edges_of

MOST = 64
"""Passes of one iteration that are held: micro-batches beyond that are not."""


@dataclass(eq=False)
class Pass:
    """Hold one forward pass."""

    args: Any
    kwargs: Any
    stream: torch.Tensor
    """The state of torch's generator when it began."""
    autocast: str
    cotangents: list[torch.Tensor | None] = field(default_factory=list)


class HeldPasses:
    """Hold the passes of one model since the last `forget`."""

    def __init__(self, model: torch.nn.Module) -> None:
        """Hold nothing yet."""
        self._model = model
        self._passes: list[Pass] = []
        self._handles: list[Any] = []
        self._inside = False

    def install(self, patches: Patches) -> None:
        """Be there when the model is called, while the patches are."""
        patches.wrap(torch.nn.Module, "__call__", self._call)

    def forget(self) -> None:
        """Let go of everything."""
        while self._handles:
            self._handles.pop().remove()
        self._passes = []

    def _call(self, original: Callable[..., Any], module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if module is not self._model or self._inside or not torch.is_grad_enabled() or transformed():
            return original(module, *args, **kwargs)
        if len(self._passes) >= MOST or (anything_compiled() and holds_compiled(module)):
            return original(module, *args, **kwargs)
        held = Pass(_detached(args), _detached(kwargs), torch.get_rng_state(), autocast_now())
        self._inside = True
        try:
            output = original(module, *args, **kwargs)
        finally:
            self._inside = False
        self._passes.append(held)
        self._listen(held, output)
        return output

    def _listen(self, held: Pass, output: Any) -> None:
        floats = [t for t in tensors_in(output) if t.is_floating_point() and t.layout is torch.strided]
        held.cotangents = [None] * len(floats)
        for place, tensor in enumerate(floats):
            for node, number in edges_of(tensor, may_write=False)[:1]:
                self._handles.append(node.register_prehook(_keeper(held.cotangents, place, number)))

    def spoilt(self, step: int) -> tuple[Spoilt, dict[str, NDArray[Any]]] | None:
        """Return where the first value that is not finite comes from, and what a replay needs; None without a pass.

        The passes are run again, on copies of the model, until one shows it. Nothing of the training is changed.
        """
        passes, located, shown = self._passes, Located(where="unknown"), None
        if not passes:
            return None
        with untouched([]):
            for one in passes:
                located, shown = run_again(self._model, one), one
                if located.where != "unknown":
                    break
        assert shown is not None  # there is a pass
        return _kept(self._model, shown, Spoilt(step=step, state="before", located=located, framework="torch"))


def run_again(model: torch.nn.Module, one: Pass) -> Located:
    """Return where the first value that is not finite comes from in the pass; random numbers are the pass's own."""
    twin = copy.deepcopy(model)
    torch.set_rng_state(one.stream)
    args, kwargs = _detached((one.args, one.kwargs))
    with as_written():
        return locate(twin, args, kwargs, one.cotangents, one.autocast)


def _kept(model: torch.nn.Module, one: Pass, spoilt: Spoilt) -> tuple[Spoilt, dict[str, NDArray[Any]]]:
    """Return the facts and the values, copied; no values where they are too large or of a kind that numpy lacks."""
    tensors = {f"batch/{i}": t for i, t in enumerate(tensors_in((one.args, one.kwargs)))}
    tensors |= {f"gradient/{i}": t for i, t in enumerate(one.cotangents) if t is not None}
    tensors |= {f"weight/{name}": t for name, t in model.state_dict().items() if isinstance(t, torch.Tensor)}
    tensors["stream"] = one.stream
    left_out = too_large(sum(t.numel() * t.element_size() for t in tensors.values()))
    if not left_out and any(t.is_complex() or t.layout is not torch.strided for t in tensors.values()):
        left_out = "a complex or sparse tensor is among batch and weights"
    script, arguments = this_script()
    spoilt = replace(
        spoilt,
        script=script,
        arguments=arguments,
        kinds={name: str(t.dtype).removeprefix("torch.") for name, t in tensors.items()},
        autocast=one.autocast,
        left_out=left_out,
    )
    return spoilt, {} if spoilt.left_out else {name: np.array(array(t)) for name, t in tensors.items()}


def _keeper(cotangents: list[torch.Tensor | None], place: int, number: int) -> Callable[[Any], None]:
    def keep(came: Any) -> None:
        if came[number] is not None:
            cotangents[place] = came[number].detach()

    return keep


def _detached(value: Any) -> Any:
    """Return the structure with the same tensors out of their graphs."""
    return mapped(value, lambda leaf: leaf.detach() if isinstance(leaf, torch.Tensor) else leaf)
