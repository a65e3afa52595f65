"""Leave a model, its gradients, its optimizer and every random number generator as they were, to the bit."""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from unvanish.errors import UnsupportedError
from unvanish.torch.arrays import tensors_in


@contextmanager
def untouched(modules: Iterable[torch.nn.Module], parameters: Iterable[torch.Tensor] = ()) -> Iterator[None]:
    """Put everything back that a training of the modules changes; also after an exception or Ctrl-C.

    Values of parameters and buffers are kept in copies on their device; `.grad` is taken off and given back, the same
    tensor; so are the attributes of every submodule (training mode, hooks, what a forward pass keeps for itself), and
    the random states of Python, numpy and torch; not what an object of another class holds. parameters: more tensors to
    put back, for example an optimizer's.
    """
    parts = list({id(part): part for module in modules for part in module.modules()}.values())
    tensors = [*parameters]
    for part in parts:
        tensors += [*part.parameters(recurse=False), *part.buffers(recurse=False), *_plain_tensors(part)]
    with ExitStack() as stack:
        stack.enter_context(_same_randomness())
        stack.enter_context(_same_values(list({id(t): t for t in tensors}.values())))
        stack.enter_context(same_attributes(parts))
        yield


@contextmanager
def _same_randomness() -> Iterator[None]:
    """Put the states of the global generators of Python, numpy and torch (every device in use) back afterwards."""
    python, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch's
    devices = torch.cuda.get_rng_state_all() if in_use else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)


def copied(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Return an optimizer in the same state that steps the same parameters; the original never notices.

    Made from the attributes, since what an optimizer gives a copy of itself leaves some out (LBFGS). Raise
    UnsupportedError when its state cannot be copied.
    """
    held = [p for group in optimizer.param_groups for p in group["params"]]
    own = {name: value for name, value in vars(optimizer).items() if name != "step"}  # a scheduler's, bound to it
    made: torch.optim.Optimizer = object.__new__(type(optimizer))
    try:
        made.__dict__.update(copy.deepcopy(own, {id(p): p for p in held}))
    except Exception as error:  # whatever a state of the user's own raises
        raise UnsupportedError(
            f"the optimizer {type(optimizer).__name__} cannot be copied",
            found=f"{type(error).__name__}: {error}",
            hint="unvanish.check(..., optimizer=None) takes its steps with Adam",
        ) from error
    return made


@contextmanager
def _same_values(tensors: list[torch.Tensor]) -> Iterator[None]:
    made = [t for t in tensors if not _is_lazy(t)]
    kept = [(t, t.detach().clone(), t.requires_grad, t.grad if t.is_leaf else None) for t in made]
    for tensor, _, _, gradient in kept:
        if gradient is not None:
            tensor.grad = None
    try:
        yield
    finally:
        with torch.no_grad():
            while kept:  # one after the other, so that no two copies of everything are there
                tensor, value, requires_grad, gradient = kept.pop()
                with torch.inference_mode() if tensor.is_inference() else nullcontext():  # else it cannot be written
                    tensor.copy_(value)
                if tensor.is_leaf:
                    tensor.requires_grad_(requires_grad)
                    tensor.grad = gradient


@contextmanager
def same_attributes(parts: list[torch.nn.Module]) -> Iterator[None]:
    """Put back which attributes the modules had, and what was in those that are containers."""
    kept = [(part.__dict__, dict(part.__dict__), _contents(part.__dict__)) for part in parts]
    try:
        yield
    finally:
        for own, attributes, contents in kept:
            for name in own.keys() - attributes.keys():
                del own[name]
            own.update(attributes)
            for container, items in contents:
                _refill(container, items)


@contextmanager
def same_plain_tensors(parts: list[torch.nn.Module]) -> Iterator[None]:
    """Put back the values of the tensors that modules keep as plain attributes or in containers, where they changed."""
    kept = [(tensor, tensor.detach().clone()) for part in parts for tensor in _plain_tensors(part)]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in kept:
                if not torch.equal(tensor, value):
                    tensor.copy_(value)


def _contents(value: Any, depth: int = 4) -> list[tuple[Any, Any]]:
    """Return (container, copy of what is in it) for the containers and arrays among what a container holds."""
    found: list[tuple[Any, Any]] = []
    for part in value.values() if isinstance(value, Mapping) else value:
        if isinstance(part, np.ndarray | deque | list | set | MutableMapping):
            found.append((part, copy.copy(part)))
        if depth and isinstance(part, deque | list | tuple | Mapping):
            found += _contents(part, depth - 1)
    return found


def _refill(container: Any, items: Any) -> None:
    if isinstance(container, list):
        container[:] = items
    elif isinstance(container, np.ndarray):
        if container.flags.writeable:
            container[...] = items
    else:
        container.clear()
        (container.extend if isinstance(container, deque) else container.update)(items)


def _plain_tensors(part: torch.nn.Module) -> list[torch.Tensor]:
    """Return the tensors that a module keeps as plain attributes or in containers, for example a state of its own."""
    own = {name: value for name, value in vars(part).items() if name not in ("_parameters", "_buffers", "_modules")}
    return list(tensors_in(own, 4))


def _is_lazy(tensor: torch.Tensor) -> bool:
    return bool(torch.nn.parameter.is_lazy(tensor))
