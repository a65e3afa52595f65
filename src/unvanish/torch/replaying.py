"""Run a script until it calls the model that a run was of, and run the batch that was kept of it once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unvanish.core.nonfinite import Located, Spoilt
from unvanish.errors import DataError
from unvanish.torch.arrays import tensors_in
from unvanish.torch.compat import belongs_to_keras
from unvanish.torch.held_passes import Pass, run_again
from unvanish.torch.patches import Patches
from unvanish.torch.structures import mapped
from unvanish.watching.session import Enough

Found = Callable[[Located], object]


class Replay:
    """End the script at the first training call of the model whose weights were kept, and locate."""

    def __init__(self, spoilt: Spoilt, values: Mapping[str, NDArray[Any]], found: Found) -> None:
        """found: is told where the value comes from."""
        self._spoilt, self._found, self._patches = spoilt, found, Patches()
        self._tensors = {name: _tensor(value, spoilt.kinds[name]) for name, value in values.items()}
        self._weights = {n.removeprefix("weight/"): t for n, t in self._tensors.items() if n.startswith("weight/")}

    def __enter__(self) -> Replay:
        """Listen."""
        self._patches.wrap(torch.nn.Module, "__call__", self._call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._patches.undo()

    def _call(self, original: Callable[..., Any], module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not self._is_it(module):
            return original(module, *args, **kwargs)
        self._patches.undo()
        device = next(module.parameters()).device
        batch = self._numbered("batch", device)
        if len(batch) != len([*tensors_in((args, kwargs))]):
            raise DataError(
                "the script does not call its model as it did",
                found=f"{len(batch)} tensors are kept of a batch",
                hint="the script as it was when it was watched",
            )
        waiting = iter(batch)
        args, kwargs = mapped((args, kwargs), lambda leaf: next(waiting) if isinstance(leaf, torch.Tensor) else leaf)
        module.load_state_dict({name: tensor.to(device) for name, tensor in self._weights.items()}, strict=False)
        finite = self._spoilt.located.where in (
            "loss",
            "backward",
        )  # else what came back from the loss is of bad outputs
        gradients: list[torch.Tensor | None] = [*(self._numbered("gradient", device) if finite else [])]
        one = Pass(args, kwargs, self._tensors["stream"], self._spoilt.autocast, gradients)
        self._found(run_again(module, one))
        raise Enough

    def _is_it(self, module: torch.nn.Module) -> bool:
        if not torch.is_grad_enabled() or not module.training or belongs_to_keras(module):
            return False
        there = {name: tuple(t.shape) for name, t in module.state_dict().items() if isinstance(t, torch.Tensor)}
        return there == {name: tuple(t.shape) for name, t in self._weights.items()}

    def _numbered(self, kind: str, device: torch.device) -> list[torch.Tensor]:
        found = {int(n.partition("/")[2]): t for n, t in self._tensors.items() if n.startswith(f"{kind}/")}
        return [found[i].to(device) for i in sorted(found)]


def _tensor(value: NDArray[Any], dtype: str) -> torch.Tensor:
    return torch.from_numpy(np.array(value)).to(getattr(torch, dtype))
