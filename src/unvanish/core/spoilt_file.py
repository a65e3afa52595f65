"""The batch and the weights of the first step of a run that went wrong, in the run's folder: JSON beside an .npz."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from unvanish.core.nonfinite import Spoilt
from unvanish.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

FACTS, VALUES = "nonfinite.json", "nonfinite.npz"
LARGEST = 256 << 20
"""Bytes of batch and weights that are kept of a run; of more, only where the value comes from."""


def too_large(size: int) -> str:
    """Return why values of so many bytes are not kept; empty where they are."""
    return f"batch and weights take {size >> 20} MiB, more than the {LARGEST >> 20} that are kept" * (size > LARGEST)


def this_script() -> tuple[str, tuple[str, ...]]:
    """Return the absolute path of the script that runs, empty where none does, and its arguments."""
    path = os.path.abspath(sys.argv[0]) if sys.argv and sys.argv[0].endswith(".py") else ""
    return path if os.path.isfile(path) else "", tuple(sys.argv[1:])


def write(folder: Path, spoilt: Spoilt, values: Mapping[str, Array]) -> None:
    """Write the facts, and the values unless they are left out. Raise OSError where that cannot be done."""
    import numpy as np

    if not spoilt.left_out:
        with (folder / VALUES).open("wb") as stream:
            np.savez(stream, **{name.replace("/", "\\"): value for name, value in values.items()})  # type: ignore[arg-type]  # numpy types the keywords as one with its options
    (folder / FACTS).write_bytes(msgspec.json.encode(spoilt))  # last: whoever finds it finds the values


def read(folder: Path) -> tuple[Spoilt, dict[str, Array]]:
    """Return what is kept of the run in the folder.

    Raise UsageError for a run of which nothing is kept, DataError for files that cannot be read.
    """
    import numpy as np

    if not (folder / FACTS).is_file():
        known = folder.is_dir()
        raise UsageError(
            f"there is nothing to replay in {folder}",
            found="no step of it showed a value that is no finite number, or none could be kept"
            if known
            else "no such folder",
            hint=f"unvanish report {folder}" if known else "the folder of a run, as `unvanish watch train.py` names it",
        )
    try:
        spoilt = msgspec.json.decode((folder / FACTS).read_bytes(), type=Spoilt)
        if spoilt.left_out:
            return spoilt, {}
        with np.load(folder / VALUES, allow_pickle=False) as archive:
            return spoilt, {name.replace("\\", "/"): archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, msgspec.MsgspecError, zipfile.BadZipFile, EOFError) as error:
        raise _broken(folder, error) from None


def _broken(folder: Path, error: Any) -> DataError:
    return DataError(
        f"what is kept of a step in {folder} cannot be read",
        found=f"{error}" or type(error).__name__,
        hint=f"{FACTS} and {VALUES} as `unvanish watch` wrote them",
    )
