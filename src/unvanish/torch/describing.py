"""Describe the model that a loop is about to train, with its first batch, and end the script before a step."""

from __future__ import annotations

import torch

from unvanish.core.observation import Observation
from unvanish.torch import capture


class Capture(capture.Capture):
    """End the script at the first step of the plan's training, which is not taken.

    Only then is it known which model is trained; its first backward pass is done by then, and its weights are those
    that it began with. The observation has no profile: nothing is measured.
    """

    @property
    def observation(self) -> Observation | None:
        """Return the model and its data; None before the first step."""
        return None if self._watched is None else self._watched.observation()

    def _before(self, optimizer: torch.optim.Optimizer) -> None:
        with self._ours():
            self._choose(optimizer)
            if self._watched is not None:
                self._finished()
