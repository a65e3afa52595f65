"""What must hold of data before anything can be looked at; each refusal in four parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from unvanish.errors import DataError, UnsupportedError, UsageError
from unvanish.torch.structures import leaves, length

_NO_INPUT = (str, bytes, int, float, type(None))
"""What no module could be called with in a batch; objects of a library's own are left to the model."""


def require_data(x: Any, y: Any, of: str = "") -> None:
    """Raise DataError for samples that no training could use. of: whose they are, in words."""
    lengths = {"x": [_len(leaf) for leaf in leaves(x)], "y": [_len(leaf) for leaf in leaves(y)]}
    for name, part in (("x", x), ("y", y)):
        if not lengths[name]:
            raise DataError(
                f"the {'inputs' if name == 'x' else 'labels'} are no tensor and no array",
                found=f"{name}{of} is of the class {type(part).__name__}",
                hint=f"{name}=torch.tensor({name}), or {name}=numpy.asarray({name})",
            )
        for leaf in leaves(part):
            _require_values(name + of, leaf)
    if length(x) == 0:
        raise DataError("the data are empty", found=f"x{of} without a sample", hint="pass at least one sample")
    if len({*lengths["x"], *lengths["y"]}) > 1:
        shortest = min(lengths["x"] + lengths["y"])
        raise DataError(
            "inputs and labels are of different lengths",
            found="every sample needs its label",
            numbers={name + of: ", ".join(map(str, found)) for name, found in lengths.items()},
            hint=f"x[:{shortest}] and y[:{shortest}], or find the lost ones",
        )


def _require_values(what: str, leaf: Any) -> None:
    """Raise DataError for a tensor whose samples cannot be taken by number."""
    if isinstance(leaf, torch.Tensor) and (leaf.is_meta or leaf.layout != torch.strided):
        raise DataError(
            f"{what} has no values" if leaf.is_meta else f"{what} is sparse",
            found="a tensor on the device meta" if leaf.is_meta else f"a tensor of the layout {leaf.layout}",
            hint="pass the data themselves" if leaf.is_meta else "pass dense tensors: x.to_dense()",
        )


def require_stream(x: Any, y: Any) -> None:
    """Raise DataError or UnsupportedError for what gives no batches of (x, y) again and again."""
    if x is None:
        raise DataError("there are no inputs", found="x is None", hint="tensors or arrays x and y, or a DataLoader")
    if isinstance(x, torch.utils.data.Dataset) and not hasattr(x, "__iter__"):
        raise DataError(
            "the data set gives samples, not batches",
            found=f"an object of the class {type(x).__name__}",
            hint="torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)",
        )
    both = isinstance(x, tuple) and any(isinstance(part, torch.Tensor | np.ndarray) for part in x)
    if both or y is not None or isinstance(x, torch.Tensor | np.ndarray | str) or not hasattr(x, "__iter__"):
        raise DataError(
            "the labels are missing" if y is None else "the inputs are no tensor and no array",
            found=f"x is of the class {type(x).__name__}, y of the class {type(y).__name__}",
            hint="tensors or arrays x and y, one after the other, or a DataLoader that gives (x, y) and no y",
        )
    if hasattr(x, "__next__"):
        raise UnsupportedError(
            "the training data can be read only once",
            found=f"an object of the class {type(x).__name__}; what is read from it is gone for the training",
            hint="a list of batches, or a torch.utils.data.DataLoader",
        )


def require_batch(batch: Any) -> Any:
    """Return a batch (x, y, ...) of a stream. Raise DataError for something else."""
    if isinstance(batch, list | tuple) and len(batch) >= 2 and not isinstance(batch[0], _NO_INPUT):
        return batch
    raise DataError(
        "the data are no pairs (x, y)", found=_classes(batch), hint="let the DataLoader's data set return (x, y)"
    )


def require_some(batches: list[Any], stream: Any) -> None:
    """Raise DataError for a stream without a batch."""
    if not batches:
        raise DataError(
            "the data are empty",
            found=f"a {type(stream).__name__} without a batch",
            numbers={"batches": 0},
            hint="pass at least one batch",
        )


def pair_of(validation: Any) -> tuple[Any, Any] | None:
    """Return held-out data that are a pair (x, y); None for a stream of batches. Raise UsageError for anything else."""
    listed = isinstance(validation, list) and bool(validation)
    if listed and all(isinstance(batch, list | tuple) and len(batch) >= 2 for batch in validation):
        return None
    if isinstance(validation, list | tuple):
        if len(validation) == 2 and all(next(leaves(part), None) is not None for part in validation):
            return validation[0], validation[1]
    elif hasattr(validation, "__iter__") and not isinstance(validation, torch.Tensor | np.ndarray | str | dict):
        return None
    raise UsageError(
        "the validation data are no pair (x, y)",
        found=_classes(validation),
        hint="validation=(x_val, y_val), or a DataLoader; without it a fifth of arrays is held out",
    )


def _classes(value: Any) -> str:
    """Return the class of an object; of a list or a tuple its length and the classes in it, too."""
    within = [type(part).__name__ for part in value[:4]] if isinstance(value, list | tuple) else []
    several = f" of {len(value)}: {', '.join(within)}" if within else ""
    return f"an object of the class {type(value).__name__}{several}"


def _len(leaf: Any) -> int:
    return len(leaf) if leaf.ndim else 0
