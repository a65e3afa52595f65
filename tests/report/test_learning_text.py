"""Whether a network learns, in words: each obstacle by its own number."""

from __future__ import annotations

import pytest

from unvanish.core.learning import Learning, Obstacle
from unvanish.report.learning_text import learning_text


def learning(learns: bool | None, obstacle: Obstacle = "") -> Learning:
    return Learning(
        learns=learns,
        obstacle=obstacle,
        steps=300,
        epsilon=1e-7,
        smallest_gradient=-7.68,
        smallest_at="dense_1",
        rate=8.8e-6,
        travel=0.17,
        needed=2.3,
    )


@pytest.mark.parametrize(
    ("learns", "obstacle", "said"),
    [
        (True, "", "yes, at a learning rate of 8.8e-06 300 steps change a gain by up to 0.17, and 2.3 is needed"),
        (
            False,
            "step too large",
            "no, at a learning rate of 8.8e-06 300 steps change a gain by up to 0.17, and 2.3 is",
        ),
        (
            False,
            "gradient below epsilon",
            "no, dense_1 is held: its gradient is 10^(-7.7) per entry, Adam's epsilon 1.0",
        ),
        (False, "overflow", "no, its numbers leave float32"),
        (False, "outputs alike", "no, the outputs of different samples are the same number"),
        (None, "unknown", "not known: the forecast says nothing"),
        (None, "other head", "not known: how large a step may be"),
        (None, "dropout", "not known: what the noise of dropout takes"),
    ],
)
def test_each_obstacle(learns: bool | None, obstacle: Obstacle, said: str) -> None:
    assert learning_text(learning(learns, obstacle)).startswith(said)
    assert ("larger steps undo" in learning_text(learning(learns, obstacle))) == (obstacle == "step too large")
