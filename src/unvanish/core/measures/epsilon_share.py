"""How much of Adam's denominator is the constant that was added to keep it from zero."""

from __future__ import annotations


def epsilon_share(gradient_rms: float, epsilon: float) -> float:
    """Return epsilon / (epsilon + g), between 0 and 1.

    Adam's step is lr * m / (sqrt(v) + epsilon) (Kingma & Ba 2015, algorithm 1). sqrt(v) settles at the gradient's RMS
    g, so the step is the intended one times 1 - share: at a share of 0.5 it is halved. The share of a zero gradient is
    1, and that of a zero epsilon 0.
    """
    if epsilon <= 0:
        return 0.0
    return epsilon / (epsilon + max(gradient_rms, 0.0))
