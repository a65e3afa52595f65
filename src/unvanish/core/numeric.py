"""Refuse arrays that hold no real numbers, and say how they would become some."""

from __future__ import annotations

from typing import Any

from unvanish.errors import DataError

_BECOME: dict[str, str] = {
    "O": "one numeric type for all entries: numpy.asarray({0}.tolist(), dtype='float32')",
    "S": "numbers for the words; of labels: numpy.unique({0}, return_inverse=True)[1]",
    "U": "numbers for the words; of labels: numpy.unique({0}, return_inverse=True)[1]",
    "T": "numbers for the words; of labels: numpy.unique({0}, return_inverse=True)[1]",
    "M": "numbers: {0}.astype('int64'), and scaled",
    "m": "numbers: {0}.astype('int64'), and scaled",
    "c": "its real and imaginary parts as features: numpy.concatenate([{0}.real, {0}.imag], axis=-1)",
    "V": "one array of one numeric type",
}
"""Kind of a numpy dtype -> what to try; any other kind is one of numbers."""


def numeric(what: str, dtype: Any) -> None:
    """Raise DataError for the dtype of an array that holds no real numbers. what: `x`, `y`, or more words for them."""
    wanted = _BECOME.get(dtype.kind)
    if wanted is None or dtype.name.startswith(("bfloat", "float")):  # types that numpy itself does not have
        return
    raise DataError(
        f"{what} holds no {'real ' if dtype.kind == 'c' else ''}numbers",
        found=f"an array of {'text' if dtype.kind in 'SUT' else f'the type {dtype.name}'}",
        hint=wanted.format("y" if what.startswith(("y", "the y")) else "x"),
    )
