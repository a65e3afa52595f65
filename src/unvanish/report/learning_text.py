"""Whether a network learns, in words."""

from __future__ import annotations

from unvanish.core.learning import Learning
from unvanish.report.numbers import counted, plain


def learning_text(learning: Learning) -> str:
    """Return yes or no with the reason and its numbers, in one sentence."""
    if learning.obstacle == "other head":
        return "not known: how large a step may be is known for classes under a softmax only"
    if learning.obstacle == "dropout":
        return "not known: what the noise of dropout takes from so few steps was not measured"
    if learning.learns is None:
        return "not known: the forecast says nothing of some layer"
    return f"{'yes' if learning.learns else 'no'}, {_because(learning)}"


def _because(learning: Learning) -> str:
    match learning.obstacle:
        case "overflow":
            return "its numbers leave float32 before the first step"
        case "outputs alike":
            return "the outputs of different samples are the same number in float32"
        case "gradient below epsilon":
            smallest = plain(learning.smallest_gradient, 2)
            held = f"{learning.smallest_at} is held: its gradient is 10^({smallest}) per entry, Adam's epsilon"
            return f"{held} {plain(learning.epsilon)}"
    steps = f"at a learning rate of {plain(learning.rate, 2)} {counted(learning.steps, 'step')} change a gain by up to"
    reached = f"{steps} {plain(learning.travel, 2)}, and {plain(learning.needed, 2)} is needed"
    whys = {
        "too narrow": ": the kernels have few entries",
        "step too large": ": larger steps undo what other batches taught",
    }
    return reached + whys.get(learning.obstacle, "")
