"""The declared initialisers: the moments of the weights that they draw."""

from __future__ import annotations

from unvanish.core.network import WeightStats

INITIALISERS = (
    "glorot_uniform",
    "glorot_normal",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "torch",
    "keras",
)
"""`keras` and `torch`: what their dense layers do by themselves, glorot_uniform and U(+-1/sqrt(fan_in))."""


def kernel(initialiser: str, fan_in: int, fan_out: int) -> WeightStats:
    """Return the moments of a dense kernel's entries.

    Variances: 2/(fan_in + fan_out) (Glorot & Bengio 2010, eq. 12 and 16), 2/fan_in (He et al. 2015, eq. 10), 1/fan_in
    (LeCun et al. 1998, eq. 16), 1/max(fan_in, fan_out) for orthonormal rows or columns (Saxe et al. 2014), and 1/(3
    fan_in) for torch's uniform entries. Normal and uniform entries of one variance count alike. Raise KeyError for
    another name.
    """
    glorot = 2 / (fan_in + fan_out)
    variances = {
        "glorot_uniform": glorot,
        "glorot_normal": glorot,
        "he_normal": 2 / fan_in,
        "he_uniform": 2 / fan_in,
        "lecun_normal": 1 / fan_in,
        "lecun_uniform": 1 / fan_in,
        "orthogonal": 1 / max(fan_in, fan_out),
        "torch": 1 / (3 * fan_in),
        "keras": glorot,
    }
    size = fan_in * fan_out
    return WeightStats(mean=0.0, variance=variances[initialiser], size=size, orthogonal=initialiser == "orthogonal")


def bias(initialiser: str, fan_in: int, fan_out: int) -> WeightStats:
    """Return the moments of a dense layer's biases: zeros, but for torch, which draws them as it draws the kernel."""
    return WeightStats(mean=0.0, variance=1 / (3 * fan_in) if initialiser == "torch" else 0.0, size=fan_out)
