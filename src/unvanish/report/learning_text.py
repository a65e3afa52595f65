"""Whether a network learns, in words."""

from __future__ import annotations

from unvanish.core.learning import Learning
from unvanish.report.numbers import counted, plain


def learning_text(learning: Learning) -> str:
    """Return yes or no with the reason and its numbers, in one sentence."""
    if learning.learns is None:
        return "not known: the forecast says nothing of some layer"
    return f"{'yes' if learning.learns else 'no'}, {_because(learning)}"


def _because(learning: Learning) -> str:
    steps = counted(learning.steps, "step")
    match learning.obstacle:
        case "overflow":
            return "its numbers leave float32 before the first step"
        case "outputs alike":
            return "the outputs of different samples are the same number in float32"
        case "gradient below epsilon":
            smallest = (
                f"the gradient at {learning.smallest_at} is 10^({plain(learning.smallest_gradient, 2)}) per entry"
            )
            return f"{smallest}, below Adam's epsilon of {plain(learning.epsilon)}"
    how = (
        f"{steps} of {plain(learning.stable_rate, 2)}, above which one promises too much of the loss, change a gain by"
    )
    needed = f"{plain(learning.needed, 2)} {'are' if learning.learns else 'would be'} needed"
    return f"{how} {plain(learning.travel, 2)}; {needed}"
