"""What may have killed units that were alive before the first step: the steps, by their rate and their size."""

from __future__ import annotations

from itertools import takewhile

from unvanish.core.observation import Observation
from unvanish.rules.step_sizes import step_sizes
from unvanish.rules.words import times


def suspects(seen: Observation) -> dict[str, float]:
    """Return the numbers of the steps by name: the rate, the largest step, from when on every gradient was zero.

    Nothing where no step was watched, or no probe came after one.
    """
    sizes = step_sizes(seen)
    if not sizes or not seen.profiles[-1].step:
        return {}
    largest = max(sizes, key=lambda step: sizes[step])
    rows = list(zip(seen.recording.steps, seen.recording.rows.get("gradient_norm", ()), strict=False))
    silent = [step for step, _ in takewhile(lambda sample: not any(sample[1]), reversed(rows))]
    known = {
        "learning_rate": seen.optimizer.learning_rate,
        "largest_update_over_weight": sizes[largest],
        "largest_update_step": float(largest),
    }
    return known | ({"all_gradients_zero_from_step": float(silent[-1])} if silent else {})


def died_words(seen: Observation, suspect: dict[str, float]) -> str:
    """Return that the units died while training and by what most likely, ending in `; `; empty without suspects."""
    if not suspect:
        return ""
    step, size = suspect["largest_update_step"], times(suspect["largest_update_over_weight"])
    zero = suspect.get("all_gradients_zero_from_step")
    since = "" if zero is None else f"; from step {zero:.0f} on every gradient is exactly zero"
    return (
        f"the units were alive at step {seen.profiles[0].step} and died while training: the likely cause is a learning "
        f"rate of {suspect['learning_rate']:.3g} (largest step: {size} the weights, at step {step:.0f}){since}; "
    )
