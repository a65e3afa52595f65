"""Recognise data of frameworks that need not be installed: only those that are imported already are looked at."""

from __future__ import annotations

import sys
from typing import Any


def is_dataset(value: Any) -> bool:
    """Say whether it is a tf.data.Dataset."""
    return _is_one_of(value, "tensorflow", "data.Dataset")


def is_ragged(value: Any) -> bool:
    """Say whether it is a ragged or a sparse tensor, or a sparse matrix of SciPy."""
    return hasattr(value, "tocsr") or _is_one_of(value, "tensorflow", "RaggedTensor", "SparseTensor")


def is_loader(value: Any) -> bool:
    """Say whether it is a torch DataLoader."""
    return _is_one_of(value, "torch", "utils.data.DataLoader")


def is_torch_tensor(value: Any) -> bool:
    """Say whether it is a torch tensor."""
    return _is_one_of(value, "torch", "Tensor")


def _is_one_of(value: Any, framework: str, *names: str) -> bool:
    module = sys.modules.get(framework)
    return module is not None and isinstance(value, tuple(_find(module, name) for name in names))


def _find(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part)
    return module
