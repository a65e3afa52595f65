"""Read the arguments of a word; what does not fit is refused at its place."""

from __future__ import annotations

import math
import re

from unvanish.spec.grammar import Word, refuse
from unvanish.spec.words import ACTIVATIONS

PADDINGS = ("same", "valid")


def whole(text: str, word: Word, number: int, what: str) -> int:
    """Return argument `number` as a whole number from 1 on; what: names it in the refusal."""
    if not re.fullmatch(r"[1-9]\d{0,6}", word.arguments[number], re.ASCII):
        refuse(text, word.places[number], f"{what} of {word.name} is a whole number", ("1 to 9999999",))
    return int(word.arguments[number])


def rate(text: str, word: Word) -> float:
    """Return the rate of a dropout."""
    try:
        found = float(word.arguments[0])
    except ValueError:
        found = math.nan
    if not 0 <= found < 1:
        refuse(text, word.places[0], "the rate of dropout is the share that it sets to zero", ("0 to below 1",))
    return found


def activation(text: str, word: Word, number: int) -> str:
    """Return argument `number` as the name of an activation; `linear` where it was not given."""
    if number >= len(word.arguments):
        return "linear"
    if word.arguments[number] not in ACTIVATIONS:
        what = f"{word.arguments[number]!r} is no activation that is known"
        refuse(text, word.places[number], what, ACTIVATIONS)
    return word.arguments[number]


def convolution(text: str, word: Word) -> tuple[int, str, str]:
    """Return (stride, padding, activation), which follow units and size in any order, each at most once."""
    stride, padding, function = "", "", ""
    for place, found in list(zip(word.places, word.arguments, strict=True))[2:]:
        if re.fullmatch(r"[1-9]\d{0,6}", found, re.ASCII) and not stride:
            stride = found
        elif found in PADDINGS and not padding:
            padding = found
        elif found in ACTIVATIONS and not function:
            function = found
        else:
            accepted = ("a stride", *PADDINGS, *ACTIVATIONS)
            refuse(text, place, f"{found!r} is no stride, padding or activation, or the second one of conv", accepted)
    return int(stride or 1), padding or "same", function or "linear"


def recurrence(text: str, word: Word) -> tuple[str, bool]:
    """Return (activation, whether the whole sequence is handed on) of a simple recurrent layer."""
    function, sequences = "", False
    for place, found in list(zip(word.places, word.arguments, strict=True))[1:]:
        if found == "sequences" and not sequences:
            sequences = True
        elif found in ("tanh", "relu", "linear") and not function:
            function = found
        else:
            what = f"{found!r} is no activation of simple_rnn, or the second one"
            refuse(text, place, what, ("tanh", "relu", "linear", "sequences"))
    return function or "tanh", sequences
