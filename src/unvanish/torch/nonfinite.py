"""Run one batch again and find the first operation whose inputs are finite and whose output, or gradient, is not.

Forward: what is not finite is followed from where it appears to the model's outputs. An infinity that is written down
(a mask of -inf) is meant; of those the operation counts that makes a nan of it. Backward: autograd's own nodes, in the
order in which they run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

from unvanish.core.nonfinite import Located, Magnitudes, joined
from unvanish.torch.arrays import tensors_in
from unvanish.torch.functions import QUIET, name_of
from unvanish.torch.places import Places


class Operation(NamedTuple):
    """Hold one call of a function of PyTorch."""

    layer: str
    name: str
    inputs: Magnitudes | None


def magnitudes_of(tensor: torch.Tensor) -> Magnitudes:
    """Return what the entries of a float tensor are, by magnitude."""
    values = tensor.detach()
    values = (values.to_dense() if values.layout is not torch.strided else values).abs()
    finite = values[torch.isfinite(values)].double()
    return Magnitudes(
        smallest=float(finite.min()) if finite.numel() else None,
        largest=float(finite.max()) if finite.numel() else None,
        dtype=str(tensor.dtype).removeprefix("torch."),
        nonfinite=values.numel() - finite.numel(),
        entries=values.numel(),
    )


def locate(
    model: torch.nn.Module, args: Any, kwargs: Any, cotangents: Sequence[torch.Tensor | None], autocast: str = ""
) -> Located:
    """Return where the first value that is not finite comes from, in a forward and backward pass of the model.

    model: is changed as by a training pass; a copy. cotangents: the gradient of the loss by each float output.
    """
    given = [*_floats((args, kwargs))]
    if any(torch.isnan(tensor).any() for tensor in given):
        return Located(where="data", inputs=joined([magnitudes_of(tensor) for tensor in given]))
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            layer = name.rpartition(".")[0] or name
            return Located(where="weights", layer=layer, inputs=magnitudes_of(parameter))
    places = Places(model)
    trail = _Trail(places, {id(p) for p in model.parameters()})
    places.open()
    try:
        with torch.enable_grad(), autocasting(autocast), trail:
            output = model(*args, **kwargs)
    finally:
        places.close()
    outputs = [*_floats(output)]
    found = trail.origin(outputs)
    if found is not None:
        return Located(where="forward", layer=found.layer, operation=found.name, inputs=found.inputs)
    if not all(torch.isfinite(tensor).all() for tensor in outputs):
        if not all(torch.isfinite(tensor).all() for tensor in given):
            return Located(where="data", inputs=joined([magnitudes_of(tensor) for tensor in given]))
        name = type(model).__name__
        return Located(where="forward", layer=name, inputs=joined([magnitudes_of(tensor) for tensor in given]))
    known = [(o, c) for o, c in zip(outputs, cotangents, strict=False) if c is not None and o.requires_grad]
    if any(not torch.isfinite(cotangent).all() for _, cotangent in known):
        return Located(where="loss", inputs=joined([magnitudes_of(tensor) for tensor in outputs]))
    return _backward(known, trail)


def autocasting(autocast: str) -> AbstractContextManager[Any]:
    """Return the context of `device:dtype`; of none for an empty word."""
    if not autocast:
        return nullcontext()
    device, _, dtype = autocast.partition(":")
    return torch.autocast(device, getattr(torch, dtype))


def autocast_now() -> str:
    """Return what autocast computes in here, as `device:dtype`; empty where it does not."""
    for device in ("cuda", "cpu"):
        if torch.is_autocast_enabled(device):
            return f"{device}:{str(torch.get_autocast_dtype(device)).removeprefix('torch.')}"
    return ""


def _backward(known: Sequence[tuple[torch.Tensor, torch.Tensor]], trail: _Trail) -> Located:
    seen: list[tuple[Any, Magnitudes | None]] = []

    def listen(node: Any) -> Any:
        def hear(passed_on: Any, came: Any) -> None:
            came = [g for g in came if g is not None and g.is_floating_point()]
            if not seen and all(torch.isfinite(g).all() for g in came) and not _all_finite(passed_on):
                seen.append((node, joined([magnitudes_of(g) for g in came])))

        return node.register_hook(hear)

    handles = [listen(node) for node in _nodes([output.grad_fn for output, _ in known], set())]
    try:
        if known:
            torch.autograd.backward([o for o, _ in known], [c.to(o.dtype) for o, c in known])
    finally:
        for handle in handles:
            handle.remove()
    if not seen:
        return Located(where="unknown")
    node, came = seen[0]
    made = trail.maker(node)
    if made is None:
        return Located(where="backward", layer=node.name().removesuffix("Backward0"), gradient=came)
    return Located(where="backward", layer=made.layer, operation=made.name, inputs=made.inputs, gradient=came)


class _Trail(TorchFunctionMode):
    """Follow what is not finite through a forward pass, and remember which operation made which node of the graph."""

    def __init__(self, places: Places, parameters: set[int]) -> None:
        super().__init__()
        self._places, self._parameters = places, parameters
        self._origins: dict[int, tuple[torch.Tensor, Operation | None]] = {}
        """Tensors that are not finite, by id, kept alive; the operation is None where that was meant."""
        self._nodes: dict[Any, Operation] = {}

    def origin(self, outputs: Sequence[torch.Tensor]) -> Operation | None:
        """Return the operation from which outputs are not finite; None where they are, or it was not seen."""
        found = [self._origins[id(t)][1] for t in outputs if id(t) in self._origins]
        return next((operation for operation in found if operation is not None), None)

    def maker(self, node: Any) -> Operation | None:
        """Return the operation that made a node of the graph."""
        return self._nodes.get(node)

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Run the function and note what it did."""
        kwargs = kwargs or {}
        name = name_of(func)
        if name in QUIET:
            return func(*args, **kwargs)
        given = [*_floats((args, kwargs))]
        data = [t for t in given if id(t) not in self._parameters] or given
        operation = Operation(self._layer(name), name, joined([magnitudes_of(t) for t in data]))
        spoilt = [t for t in given if not torch.isfinite(t).all()]
        had_nan = any(bool(torch.isnan(t).any()) for t in spoilt)
        origins = [self._origins[id(t)][1] for t in spoilt if id(t) in self._origins]
        result = func(*args, **kwargs)
        meant = any(not math.isfinite(n) for n in _numbers((args, kwargs))) or (bool(spoilt) and not any(origins))
        for tensor in _floats(result):
            self._note(tensor, operation)
            self._origins.pop(id(tensor), None)
            if not torch.isfinite(tensor).all():
                arose = next((o for o in origins if o is not None), None)
                if arose is None and not (meant and (had_nan or not bool(torch.isnan(tensor).any()))):
                    arose = operation
                self._origins[id(tensor)] = tensor, arose
        return result

    def _layer(self, name: str) -> str:
        place = self._places.stack[-1]
        leaf = next(place.module.children(), None) is None
        return place.path if place.path and leaf else f"{place.path}.{name}".strip(".")

    def _note(self, tensor: torch.Tensor, operation: Operation) -> None:
        if tensor.grad_fn is not None:
            for node in _nodes([tensor.grad_fn], self._nodes):
                self._nodes[node] = operation


def _nodes(roots: Sequence[Any], known: Any) -> Iterator[Any]:
    """Yield the nodes of the graph behind the roots that are not known."""
    waiting = [root for root in roots if root is not None]
    visited: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node in visited or node in known:
            continue
        visited.add(node)
        yield node
        waiting += [before for before, _ in node.next_functions if before is not None]


def _floats(value: Any) -> Iterator[torch.Tensor]:
    return (t for t in tensors_in(value) if t.is_floating_point() and t.layout is torch.strided)


def _numbers(value: Any) -> Iterator[float]:
    """Yield the plain floats among the arguments of a call."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, dict):
        yield from _numbers(list(value.values()))


def _all_finite(tensors: Any) -> bool:
    return all(bool(torch.isfinite(t).all()) for t in tensors if t is not None and t.is_floating_point())
