"""The verdict words: what each means, and which rules argue for it with an error."""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """Hold the meaning of a verdict word, and the codes of its rules in order."""

    meaning: str
    codes: tuple[str, ...] = ()


VERDICTS = {
    "healthy": Word("every layer receives a gradient that it can learn from"),
    "vanishing": Word(
        "the gradient, or the signal, dies on its way through the layers", ("GF101", "GF103", "GF104", "GF601", "GF701")
    ),
    "exploding": Word("it grows until it drowns the rest", ("GF102", "GF105", "GF602", "GF702")),
    "saturated": Word("nearly all activations of a layer are where their slope is next to nothing", ("GF201",)),
    "dead": Word("most units of a layer are zero on every sample", ("GF202",)),
    "blocked": Word(
        "a gradient is exactly zero, no path leads to it from the loss, or all units of a layer are alike",
        ("GF501", "GF502", "GF603", "GF904"),
    ),
    "nonfinite": Word("NaN or infinity in the loss, a gradient or a weight", ("GF401",)),
    "untrainable-step": Word("the step is too small or too large for these weights", ("GF301", "GF302")),
    "undecided": Word("a rule that matters could not look; the report says why"),
}
"""In the order in which the README tells them."""


def word_of(text: str) -> str | None:
    """Return the verdict word that was typed, in any case, with a hyphen or a space; None where it is none."""
    word = text.strip().casefold().replace(" ", "-").replace("_", "-")
    return word if word in VERDICTS else None
