"""What a trial needs of an adapter: copies of one model that are looked at and trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from unvanish.core.edit import Prescription
from unvanish.core.evidence import Run
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.core.patch import Mirrored

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Trainer(Protocol):
    """Train copies of one model: with a prescription or without, over seeds, on batches that are drawn once."""

    network: Network
    """Of the model as it is."""
    planned_steps: int | None
    """Optimizer steps of the user's own training."""
    notes: tuple[str, ...]
    """In what all trainings differ from the user's own, as sentences."""

    @property
    def metric(self) -> str:
        """Return what a score is: `accuracy`, or `loss` (then it is minus the loss)."""

    @property
    def chance(self) -> float | None:
        """Return the score of the best constant answer; None where it is not known."""

    def look(self, prescription: Prescription | None, seed: int) -> Observation:
        """Return a step-0 observation of a fresh copy, on the first batches of its own training; nothing is trained.

        Raise UnsupportedError where the prescription cannot be carried out on this model.
        """

    def watch(self, seed: int) -> Observation:
        """Return what is seen of the first steps of a copy of the model as it is, step by step."""

    def train(
        self, prescription: Prescription | None, seed: int, learning_rate: float, steps: int
    ) -> tuple[Run, Observation]:
        """Train a fresh copy; return the run, and an observation whose profiles are before and after.

        Weights and the order of the batches are drawn from the seed alone. Raise as `look` does.
        """

    def learning_rate(self) -> float:
        """Return that of the user's own optimizer."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return, by name, the arrays that a script may draw: the model's weights and all data. Not to be written to.

        With these alike, equal trainings of the same script in two processes give equal results.
        """

    def fingerprint(self) -> str:
        """Return a digest of what trainings depend on beside the code: all data, and weights that none draws anew."""

    def with_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Trainer:
        """Return a trainer with these in the place of its own; the model's weights, if among them, are overwritten.

        Raise UnsupportedError where one is not there, or of another shape.
        """

    def fresh(self, prescription: Prescription | None, seed: int) -> Any:
        """Return a new model with the prescription, compiled as the user's is, its weights drawn from the seed."""

    def source(self, prescription: Prescription | None) -> str:
        """Return readable source that builds the model with the prescription.

        Raise UnsupportedError where it cannot be written.
        """

    def constant_rate(self) -> float | None:
        """Return the learning rate of the user's own optimizer; None where it is a schedule."""

    def mirrors(self, prescription: Prescription) -> dict[str, Mirrored]:
        """Return the layout of each looks-linear kernel of the prescription; raise as `look` does."""
