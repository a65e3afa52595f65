"""Put a model and the random streams back to the bit, whatever happened to them in between."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def restored(model: torch.nn.Module) -> Iterator[None]:
    """Put back at the end, also after an exception: buffers, `.grad`, requires_grad, train and eval modes, streams.

    Buffers are the same tensors with the same bits, `.grad` the same tensors. The streams are those of PyTorch (CPU,
    and CUDA where it is in use), of `random` and of numpy.
    """
    modes = [(module, module.training) for module in model.modules()]
    held = [(module, name, b, b.detach().clone()) for module in model.modules() for name, b in _buffers(module)]
    parameters = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    device: Any = torch.cuda  # is_initialized has no types
    cuda = torch.cuda.get_rng_state_all() if device.is_available() and device.is_initialized() else None
    stream, python, numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(stream)
        random.setstate(python)
        np.random.set_state(numpy)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for module, name, buffer, value in held:
                if not torch.equal(buffer, value):  # a write is seen by a graph of the user's that saved the buffer
                    buffer.copy_(value)
                if getattr(module, name) is not buffer:
                    setattr(module, name, buffer)
        for parameter, trained, gradient in parameters:
            parameter.grad = gradient
            parameter.requires_grad_(trained)


def _buffers(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the module's own buffers that have values."""
    for name, buffer in module.named_buffers(recurse=False, remove_duplicate=False):
        if not torch.nn.parameter.is_lazy(buffer):
            yield name, buffer
