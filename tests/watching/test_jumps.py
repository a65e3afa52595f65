"""A loss that jumps has the next step sampled, and is told."""

import math

import pytest

from unvanish.watching.pace import Pace
from unvanish.watching.run import Run


def jumps(losses, tmp_path):
    """Return the texts of the jumps, and the steps of the losses after which a sample was asked for."""
    pace = Pace(10**6)
    run = Run("t", "f", pace, home=tmp_path, tell=print)
    pace.stop(0)
    texts, alarms = [], []
    for step, loss in enumerate(losses):
        texts += [event.text for event in run._jump(step, 0.0, loss)]
        if pace.left == 0:
            alarms.append(step)
            pace.stop(step + 1)
    return texts, alarms


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([1.0, 1.1, 0.9, 1.2, 1.0, 3.5, 1.0], None),
        ([1.0, 1.1, 0.9, 1.2, 1.0, 3.7, 1.0], 5),
        ([-1.0, -1.1, -0.9, -1.2, -1.0, -3.7], 5),
        ([1.0, 9.0, 1.0], None),  # too few before it
        ([1.0] + [0.0] * 20 + [1e-9, 0.0], None),
        ([1.0] + [0.0] * 20 + [0.5, 0.0], 21),
        ([0.0] * 20 + [1e-9], 20),
    ],
)
def test_a_jump_is_told_and_sampled(losses, step, tmp_path):
    texts, alarms = jumps(losses, tmp_path)
    assert alarms == ([] if step is None else [step])
    assert len(texts) == len(alarms)


def test_after_losses_of_nothing_no_ratio_is_told(tmp_path):
    texts, _ = jumps([1.0] + [0.0] * 20 + [0.5], tmp_path)
    assert texts == ["the loss jumped to 0.5, the last ones were 0"]


def test_a_loss_that_is_no_number_is_sampled_and_no_jump(tmp_path):
    assert jumps([1.0] * 6 + [math.nan], tmp_path) == ([], [6])
