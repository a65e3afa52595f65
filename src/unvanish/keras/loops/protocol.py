"""What a backend's module of loops must offer, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from unvanish.core.observation import OptimizerInfo
from unvanish.keras.patches import Patches
from unvanish.keras.tally import Tally
from unvanish.keras.witness import Witness

if TYPE_CHECKING:
    from unvanish.keras.loop_data import LoopData


class Left(NamedTuple):
    """Hold the numbers that one step left."""

    step: int
    loss: float
    rows: dict[str, list[float]]
    """The statistics of a recording."""
    at: float
    """When it was taken, or read, by time.perf_counter."""


class Trail(Protocol):
    """Keep what the steps inside of a compiled function leave for Python to read."""

    def read(self) -> list[Left]:
        """Return the numbers of the steps since the last call, those that are known."""

    def data(self) -> LoopData | None:
        """Return the first batch where it became known only when the first step ran; else None."""

    def knows(self, step: int) -> bool:
        """Say whether `values` has the weights before the first step (0), or those after the last one."""

    def values(self, step: int) -> AbstractContextManager[None]:
        """Let the model have the weights before the first step (0), or those after the last one, in the context."""


class Look(Protocol):
    """The look at one loop, as a backend sees it."""

    tally: Tally

    @property
    def enough(self) -> bool:
        """Say whether as many steps ran as were asked for."""

    def before(self, gradients: tuple[Any, ...], loss: Any, scale: Any = 1.0) -> None:
        """Read what a step is about to apply: the sums of the gradients of the kernels, scaled as the loss is."""

    def after(self) -> None:
        """Read what the step did."""

    def read(self) -> bool:
        """Read what a compiled function's steps left; say whether that is enough."""


def eagerly(look: Look, apply: Callable[[], Any], gradients: tuple[Any, ...], loss: Any, scale: Any) -> Any:
    """Take a step that is not being compiled, and read its numbers. Arguments as of `Look.before`."""
    look.before(gradients, loss, scale)
    result = apply()
    look.after()
    return result


class Watcher(Protocol):
    """What watches the loops of a script."""

    witness: Witness

    @property
    def models(self) -> Iterable[Any]:
        """Return every model that the script made."""

    @property
    def look(self) -> Look | None:
        """Return the look that was begun, if there is one."""

    @property
    def busy(self) -> bool:
        """Say whether what happens now is not the script's own loop."""

    def look_at(self, optimizer: Any, info: Callable[[], OptimizerInfo], variables: Sequence[Any]) -> Look | None:
        """Return the look that a step belongs to; None for a step of another training."""

    def aside(self) -> AbstractContextManager[None]:
        """Let what happens in the context not be the script's own loop."""

    def finish(self) -> None:
        """End the look, and the script."""

    def stop(self) -> None:
        """End the script, unless the look was ended meanwhile; the look ends with it."""


class Ways(Protocol):
    """See what the loops of one backend do besides calling models, losses and optimizers of Keras."""

    UNKNOWN: tuple[str, str]
    """What was found, and what to try, where nothing tells what the gradients are of."""
    LOSS_IN_PART: bool
    """Whether the loss that is told may be a part of what the gradients are of."""

    def patch(self, patches: Patches) -> None:
        """Begin; the patches end it."""

    def forget(self) -> None:
        """Let go of all tensors."""

    def loss(self) -> Any:
        """Return what the gradients at hand are of, scaled as they are; None where that is not known."""

    def stepped(self) -> None:
        """Begin anew: an optimizer of Keras took its step."""

    def array(self, tensor: Any) -> Any:
        """Return the tensor as an array; None for one whose value is not known yet."""

    def same(self, output: Any, given: Any) -> bool:
        """Say whether what a loss was given is the output of a model, perhaps in another shape."""

    def take(self, look: Look, apply: Callable[[], Any], gradients: Mapping[int, Any], loss: Any, scale: Any) -> Any:
        """Take a step of an optimizer of Keras, and have its numbers read; return what `apply` returns.

        gradients: id(variable) -> gradient of the loss, which is scaled by `scale`.
        """

    def trail(self, model: Any, tally: Tally, limit: int) -> Trail | None:
        """Return what steps inside of a compiled function leave; None where nothing is compiled. limit: steps to see.

        May be called from another thread.
        """
