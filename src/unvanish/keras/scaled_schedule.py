"""A learning rate schedule of the user's, all of it times a factor."""

from __future__ import annotations

from typing import Any

import keras


class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras has no types
    """Give factor x the schedule's learning rate at every step."""

    def __init__(self, schedule: Any, factor: float) -> None:
        """schedule: a LearningRateSchedule; not changed."""
        self.schedule, self.factor = schedule, factor

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at this step."""
        return self.factor * self.schedule(step)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"schedule": self.schedule, "factor": self.factor}
