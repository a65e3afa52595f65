"""What a backend's module must offer, and the little that is handed through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from unvanish.core.weight_gradient import WeightGradient, weight_gradient

Array = NDArray[Any]


class Mark(Protocol):
    """Mark a float tensor of a forward pass, so that its value and its cotangent are known afterwards."""

    def __call__(self, value: Any, *, alone: bool) -> tuple[Any, int | None]:
        """Return (what is to be passed on, its number); the number is None for what is no float tensor.

        alone: pass on an identity, so that the cotangent is that through what follows alone, not through other readers.
        """


Run = Callable[[Mark, Any], Any]
"""(mark, batch) -> the loss of a forward pass, a scalar tensor; may be run more than once, and while it is traced."""


class Looked(NamedTuple):
    """Hold what one forward and backward pass gave of the unscaled loss; arrays of half precision as float32."""

    loss: float
    gradients: list[WeightGradient | None]
    """Of each variable; None where no path leads to it from the loss."""
    values: list[Array]
    """Of each mark."""
    cotangents: list[Array | None]
    paths_known: bool = True
    """Whether a None of `gradients` could be told from zeros."""


_LOWEST, _HIGHEST = 1e-24, 1e30


def sound(squares: Any) -> Any:
    """Say whether a float32 sum of squares lost nothing to underflow or overflow (relative 1e-6 at 1e8 entries)."""
    return (squares > _LOWEST) & (squares < _HIGHEST)


class Keeper(Protocol):
    """Tap a step so that its sums have its batch, and keep the values of the variables that it began with."""

    waits: bool
    """Whether the values of a step are gone with the next one that is run: who may want them must know before."""

    def step(self, *given: Any) -> Any:
        """Take a step, to be compiled in place of the model's own, and returning what `split` takes apart."""

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], *, look: bool) -> Any:
        """Take a step of what was compiled of `step`, with the arguments of a train function; return what that does.

        look: whether the values are wanted whatever it shows.
        """

    def begun(self, sums: dict[str, Any]) -> list[Any]:
        """Return the values that the variables began a step with, in their order, from its sums.

        Of a step that shows a value that is not finite, or was to be looked into; of others they may not be there.
        """


class Backend(Protocol):
    """Look, watch and train on one backend of Keras."""

    SUMS: str
    """The dtype in which sums are handed out: float64 where there is one."""
    BEFORE: bool
    """Whether Python runs at the beginning of every step; else `begun` has all values that each step began with."""

    def passing(
        self, model: Any, run: Callable[[Any], Any], variables: Sequence[Any]
    ) -> Callable[[Any, Sequence[Any]], Any]:
        """Return a function (inputs, values) -> what `run` makes of the inputs, with these values of the variables.

        Without values, with those that are there. What `run` assigns to Keras' variables goes nowhere.
        """

    def differentiator(self, model: Any, run: Run, variables: Sequence[Any]) -> Callable[[Any, float], Looked]:
        """Return a function (batch, scale) that runs forward and backward and changes no trained variable.

        scale: what the loss is multiplied by on the way, since half precision would underflow without it.
        """

    def slope(self, function: Callable[[Any], Any], z: Array) -> Array | None:
        """Return f'(z) of an elementwise function of tensors."""

    def pullback(self, function: Callable[[Any], Any], x: Any, cotangent: Array) -> Array:
        """Return the gradient of sum(cotangent * function(x)) by x, a float tensor; zeros without a path."""

    def gradient_sums(self, gradient: Any) -> Any:
        """Return the tensor (scale, sum of squares of gradient / scale, non-finite entries); no under- or overflow."""

    def sums_of(self, values: Sequence[Any], zeros: Sequence[Any] | None = None) -> Any:
        """Return the `gradient_sums` of dense tensors, one at least, as the rows of a tensor; nothing is changed.

        zeros: of each of them the part in which to count the entries that are zero, told in a fourth column. Of those
        of one shape it is of one shape.
        """

    def moved_of(self, before: Sequence[Any], after: Sequence[Any]) -> Any:
        """Return the `gradient_sums` of dense tensors, one at least, and beside each that of by how much it changed."""

    def view(self, variable: Any) -> Array:
        """Return the variable's value as an array to be read at once, not copied where that can be helped."""

    def read(self, variable: Any) -> Any:
        """Return a copy of the variable's value as it is now, as a tensor."""

    def copied(self, value: Any) -> Any:
        """Return a tensor of the same entries, which stays as it is when a variable is assigned to."""

    def still(self, value: Any) -> Any:
        """Return a dense tensor of the same entries; what is computed of it does not change how they are computed."""

    def tapped(self, model: Any, tally: Any) -> Callable[..., Any]:
        """Return the model's train step, made to return what `split` takes apart; runs while it is traced."""

    def keeping(self, model: Any, tally: Any, variables: Sequence[Any]) -> Keeper:
        """Return what taps a step and keeps what it begins with.

        variables: the trained ones, then others, in the order in which Keras hands them to a step.
        """

    def runs(self, value: Any, run: int, step: int) -> Any:
        """Return of a tensor, whose size is a multiple of `run`, every so many runs of so many entries, (runs, run)."""

    def function(self, model: Any, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a function of tensors, compiled as the model's steps are."""

    def values_after(self, model: Any, result: Any, variables: Sequence[Any]) -> list[Any]:
        """Return the values of the variables after the step whose train function returned this."""

    def split(self, result: Any) -> tuple[Any, Any]:
        """Return (what Keras expects of a train function, the sums of the tapped step)."""

    def logs_of(self, result: Any) -> Any:
        """Return what a train function tells of its steps, from what it returned."""

    def counted(self, model: Any, arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], Callable[[], int]]:
        """Return the arguments of a train function, and a function that says how many steps its call took."""

    def hand_back(self, model: Any, result: Any) -> None:
        """Let the model have the state that a train function returned, before the training is ended."""

    def build_ahead(self, model: Any, batches: list[Any]) -> None:
        """Make what a first step would make, where that saves a second compilation."""

    def train(self, model: Any, batches: Iterable[Any]) -> None:
        """Take one step through `model.train_function` for each batch (x, y, sample weight), as fit would."""

    def seed(self, seed: int) -> None:
        """Let what the backend draws by itself, past Keras' seed generators, be drawn from the seed."""

    def untouched(self, model: Any) -> AbstractContextManager[None]:
        """Put back, afterwards, the global random state and what the model has besides variables and attributes."""


def loss_in(logs: Any) -> Any:
    """Return the loss that a train step tells: what it calls `loss` as Keras does, or its only number; else None."""
    if not isinstance(logs, dict):
        return None
    numbers = {name: value for name, value in logs.items() if getattr(value, "shape", None) == ()}
    return numbers.get("loss", next(iter(numbers.values())) if len(numbers) == 1 else None)


def as_floats(array: Any) -> Array:
    """Return the array, half precision as float32."""
    found = np.asarray(array)
    return found.astype(np.float32) if found.dtype.itemsize < 4 else found


def kept(gradient: Array | None, scale: float) -> WeightGradient | None:
    """Return what is kept of a weight's gradient of the scaled loss; None stays None."""
    gradient = unscaled(gradient, scale)
    return None if gradient is None else weight_gradient(gradient)


def unscaled(gradient: Array | None, scale: float) -> Array | None:
    """Return the gradient of the loss from that of the scaled loss; None stays None."""
    return gradient if gradient is None or scale == 1.0 else gradient / np.float32(scale)
