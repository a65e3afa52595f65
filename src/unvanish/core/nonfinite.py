"""Where the first value of a training that is no finite number comes from, in words and as data."""

from __future__ import annotations

from typing import Literal

import msgspec

from unvanish.core import document

CODE, VERDICT = "GF401", "nonfinite"
"""The rule that such a value is for, and its word: it is told as it comes, without a judgment."""

Where = Literal["data", "weights", "forward", "loss", "backward", "unknown"]
"""data: the batch holds it. loss: the outputs are finite, what comes back from the loss is not. unknown: run again, the
same batch gave finite values only."""


class Magnitudes(msgspec.Struct, frozen=True, kw_only=True):
    """Say what entered an operation just before: of the finite entries, by magnitude; None without one."""

    smallest: float | None = None
    largest: float | None = None
    dtype: str = ""
    nonfinite: int = 0
    """Entries that are no finite numbers."""
    entries: int = 0

    def __str__(self) -> str:
        """Return it in words."""
        if self.largest is None or self.smallest is None:
            return f"no finite entry among {self.entries} ({self.dtype})"
        return f"magnitudes from {self.smallest:.3g} to {self.largest:.3g} ({self.dtype})"


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """Hold where it comes from, and what the values were just before."""

    where: Where
    layer: str = ""
    operation: str = ""
    """The function that gave it, where that is known."""
    inputs: Magnitudes | None = None
    """What the layer was given; of `data` and `weights` the finite rest of them."""
    gradient: Magnitudes | None = None
    """Of `backward`: the gradient that came into the layer."""

    def _rest(self) -> str:
        """Return what the finite entries are; empty where there are none."""
        return "" if self.inputs is None or self.inputs.largest is None else f", the rest has {self.inputs}"

    def __str__(self) -> str:
        """Return it in words, one line."""
        by = f" ({self.operation})" if self.operation and self.operation not in self.layer.split(".") else ""
        count = "" if self.inputs is None else f"{self.inputs.nonfinite} of {self.inputs.entries}"
        if self.where == "data":
            return f"in the data: {count} entries of the batch are no finite numbers{self._rest()}"
        if self.where == "weights":
            return f"in the weights of {self.layer}: {count} are no finite numbers when the step begins{self._rest()}"
        if self.where == "forward":
            return f"forward in {self.layer}{by}: its inputs are finite, {self.inputs}, and its output is not"
        if self.where == "loss":
            given = "" if self.inputs is None else f", {self.inputs}"
            return f"in the loss: the model's outputs are finite{given}, and what comes back from the loss is not"
        if self.where == "backward":
            return (
                f"backward in {self.layer}{by}: the gradient into it is finite, {self.gradient}, and the one that it "
                f"passes on is not; its inputs have {self.inputs}"
            )
        return "not to be found again: run once more, the batch gave finite values only"


class Spoilt(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is kept of the first step that showed a value that is no finite number."""

    step: int
    """Steps taken before it."""
    state: Literal["before", "after"]
    """Whether the weights are those that the step began with, or those that it left."""
    located: Located
    framework: Literal["torch", "keras"]
    script: str = ""
    """The absolute path of the script that trained; empty where it was none."""
    arguments: tuple[str, ...] = ()
    kinds: dict[str, str] = {}
    """Of the arrays that are kept: for PyTorch their dtypes, of Keras' weights the paths of their variables."""
    structure: str = ""
    """Of a batch of Keras: JSON, its leaves numbered."""
    autocast: str = ""
    """What the forward pass computed in, `device:dtype`; empty for no autocast."""
    left_out: str = ""
    """Why batch and weights are not kept; empty where they are."""
    since: tuple[int, int] | None = None
    """The first and the last step in which weights that are no finite numbers may have become so; None: not known."""

    def __str__(self) -> str:
        """Return it in words, one line."""
        weights = "" if self.state == "before" else "; the weights are those after the step"
        if self.located.where == "weights" and self.since is not None:
            weights += f"; they are so {since(*self.since)} (every=1 samples every step)"
        return f"step {self.step}: the first value that is no finite number comes {self.located}{weights}"


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a step that was run again: what was found of it when the run was watched, and what is found now."""

    then: Spoilt
    again: Located

    @property
    def mended(self) -> bool:
        """Say whether the batch gives finite values only."""
        return self.again.where == "unknown"

    def to_json(self) -> str:
        """Return the record as JSON, with its schema version."""
        return document.encode(self).decode()


def since(first: int, last: int) -> str:
    """Say in words that something is so since one of these steps."""
    return f"since step {first}" if first == last else f"since one of the steps {first} to {last}"


def joined(parts: list[Magnitudes]) -> Magnitudes | None:
    """Return the magnitudes of all parts together; None for no part."""
    known = [part for part in parts if part.entries]
    if not known:
        return None
    small = [part.smallest for part in known if part.smallest is not None]
    large = [part.largest for part in known if part.largest is not None]
    return Magnitudes(
        smallest=min(small, default=None),
        largest=max(large, default=None),
        dtype=", ".join(dict.fromkeys(part.dtype for part in known)),
        nonfinite=sum(part.nonfinite for part in known),
        entries=sum(part.entries for part in known),
    )


def same_place(one: Located, other: Located) -> bool:
    """Say whether both name the same layer and direction."""
    return (one.where, one.layer, one.operation) == (other.where, other.layer, other.operation)
