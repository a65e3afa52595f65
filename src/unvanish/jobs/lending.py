"""Arrays for other processes: told from theirs by a digest, handed over as files where they differ."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unvanish.errors import UnsupportedError

Array = NDArray[Any]


def digests_of(arrays: Mapping[str, Array]) -> dict[str, str]:
    """Return the SHA-256 of each array: of its dtype, its shape and its bytes in C order.

    Raise UnsupportedError for arrays of Python objects, whose bytes say nothing to another process.
    """
    return {name: _digest(name, array) for name, array in arrays.items()}


def write(array: Array, digest: str, folder: Path) -> str:
    """Write the array, once for each digest, in numpy's own format without pickle; return the file's path."""
    path = folder / f"{digest}.npy"
    if not path.exists():
        part = folder / f"{digest}.part"
        with part.open("wb") as file:
            np.save(file, _bytes(array), allow_pickle=False)
        part.replace(path)
    return str(path)


def packed(array: Array) -> bytes:
    """Return what `write` writes."""
    file = io.BytesIO()
    np.save(file, _bytes(array), allow_pickle=False)
    return file.getvalue()


def read(files: Mapping[str, str], like: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of these files, by name; one file is read once.

    like: the arrays in whose place they come; of the same dtype and shape. Raise UnsupportedError where a size differs.
    """
    known = {path: np.load(path, allow_pickle=False) for path in set(files.values())}
    found = {}
    for name, path in files.items():
        data, own = known[path], like[name]
        if data.nbytes != own.nbytes:
            raise UnsupportedError(
                "another run of the script gives arrays of other sizes",
                found=f"{name}: {own.nbytes} bytes instead of {data.nbytes}",
                hint="seed what draws their sizes",
            )
        found[name] = data.view(own.dtype).reshape(own.shape)
    return found


def _digest(name: str, array: Array) -> str:
    if array.dtype.hasobject:
        raise UnsupportedError(
            "arrays of Python objects cannot be handed to another process",
            found=f"{name}: dtype {array.dtype}",
            hint="arrays of numbers, or of strings of a fixed length",
        )
    found = hashlib.sha256(f"{array.dtype.str} {array.dtype.name} {array.shape}".encode())
    found.update(_bytes(array).data)
    return found.hexdigest()


def _bytes(array: Array) -> NDArray[np.uint8]:
    """Return the array's bytes: numpy's format knows no bfloat16."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
