"""The gradients of the weights, as the user's own backward pass gives them: increments, not what `.grad` adds up to."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import torch

from unvanish.core.weight_gradient import weight_gradient
from unvanish.torch.arrays import Array, array
from unvanish.torch.call import Call, Key
from unvanish.torch.sums import Sums


class Weights:
    """Read the gradient of every parameter in each backward pass, and add it to the layer that owns it."""

    def __init__(self, sums: Sums) -> None:
        """Start with no parameter."""
        self.arrived: set[int] = set()
        """Ids of the tensors that a gradient reached."""
        self._sums = sums
        self._owned: dict[Key, list[torch.Tensor]] = {}
        self._parameters: dict[Key, list[torch.Tensor]] = {}
        self._owners: dict[Hashable, Key] = {}
        self._copies: dict[Key, list[Array]] = {}
        self._places: dict[int, tuple[Key, int]] = {}
        self._pending: dict[Key, dict[int, Array]] = {}
        self._added: set[Key] = set()
        self._any = False
        self._hooked: dict[int, torch.Tensor] = {}
        self._handles: list[Any] = []

    def hook(self, tensors: Iterable[torch.Tensor]) -> None:
        """Listen to these tensors, those that a gradient is recorded for and that are not listened to."""
        for tensor in tensors:
            if tensor.requires_grad and id(tensor) not in self._hooked and not _unmade(tensor):
                self._hooked[id(tensor)] = tensor
                self._listen(tensor, self._listener(id(tensor)))

    def own(self, call: Call) -> None:
        """Give a layer its weights: the kernel of a kernel layer, else all that are trained."""
        trained = [p for p in call.parameters if p.requires_grad]
        if not trained or self._owners.setdefault(call.identity, call.key) != call.key:
            return
        kernel, key = call.kernel, call.key
        owned = trained if kernel is None else [kernel] if kernel.requires_grad else []
        if kernel is not None and owned and not kernel.is_leaf:  # computed anew in each pass
            self._listen(kernel, lambda gradient: self._take(key, 0, gradient))
        owned = [w for w in owned if self._places.get(id(w), (key, 0))[0] == key]
        self._places.update({id(w): (key, i) for i, w in enumerate(owned) if w.is_leaf})
        self._owned[key], self._parameters[key] = owned, trained
        if len(owned) > 1 and key not in self._copies:
            self._copies[key] = [array(w).copy() for w in owned]

    def next_pass(self) -> None:
        """Close what came so far: a layer that no gradient reached while others had one gets none."""
        if self._any:
            for key, owned in self._owned.items():
                if owned and key not in self._added:
                    pending = self._pending.get(key, {})
                    self._add(key, owned, [pending.get(i) for i in range(len(owned))])
        self._any = False
        self._added.clear()
        self._pending.clear()
        self._handles = [handle for handle in self._handles if handle.hooks_dict_ref() is not None]

    def reached(self, key: Key) -> bool | None:
        """Say whether a gradient came to any weight of the layer; None for one without trained weights."""
        trained = self._parameters.get(key)
        return None if trained is None else any(id(p) in self.arrived for p in trained)

    def close(self) -> None:
        """Remove every hook; what was read stays."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._hooked.clear()

    def _listen(self, tensor: Any, hook: Callable[[torch.Tensor], None]) -> None:
        self._handles.append(tensor.register_hook(hook))  # which has no types

    def _listener(self, which: int) -> Callable[[torch.Tensor], None]:
        def hook(gradient: torch.Tensor) -> None:
            self.arrived.add(which)
            self._any = True
            if which in self._places:
                self._take(*self._places[which], gradient)

        return hook

    def _take(self, key: Key, number: int, gradient: torch.Tensor) -> None:
        owned = self._owned[key]
        if len(owned) == 1:
            self._add(key, owned, [array(gradient)])
            return
        pending = self._pending.setdefault(key, {})
        pending[number] = array(gradient).copy()  # the optimizer may write over the gradient before all are there
        if len(pending) == len(owned):
            self._add(key, owned, [pending[i] for i in range(len(owned))])
            self._pending.pop(key)

    def _add(self, key: Key, owned: list[torch.Tensor], gradients: list[Array | None]) -> None:
        values = self._copies.get(key) or [array(w) for w in owned]
        found = [None if g is None else weight_gradient(g) for g in gradients]
        self._sums.by_key[key].add_weights(values, found)
        self._added.add(key)


def _unmade(tensor: torch.Tensor) -> bool:
    """Say whether a parameter has no entries yet: of a lazy module before its first call."""
    return bool(torch.nn.parameter.is_lazy(tensor))
