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
RMS_EPSILON = (1e-6, 2.220446049250313e-16)
"""Of an RMS normalisation in Keras, and in torch, which takes the dtype's: float64 here."""


def kernel(initialiser: str, fan_in: int, fan_out: int, units: int | None = None) -> WeightStats:
    """Return the moments of a kernel's entries.

    units: of a convolution, whose fan_out counts them once for each place of its window; None where that is one.
    Variances: 2/(fan_in + fan_out) (Glorot & Bengio 2010, eq. 12 and 16), 2/fan_in (He et al. 2015, eq. 10), 1/fan_in
    (LeCun et al. 1998, eq. 16), 1/max(fan_in, units) for orthonormal rows or columns (Saxe et al. 2014), and 1/(3
    fan_in) for torch's uniform entries. Normal and uniform entries of one variance count alike. Raise KeyError for
    another name.
    """
    glorot, units = 2 / (fan_in + fan_out), units or fan_out
    variances = {
        "glorot_uniform": glorot,
        "glorot_normal": glorot,
        "he_normal": 2 / fan_in,
        "he_uniform": 2 / fan_in,
        "lecun_normal": 1 / fan_in,
        "lecun_uniform": 1 / fan_in,
        "orthogonal": 1 / max(fan_in, units),
        "torch": 1 / (3 * fan_in),
        "keras": glorot,
    }
    return _drawn(variances[initialiser], fan_in * units, orthogonal=initialiser == "orthogonal")


def bias(initialiser: str, fan_in: int, units: int) -> WeightStats:
    """Return the moments of a dense layer's biases: zeros, but for torch, which draws them as it draws the kernel."""
    return _drawn(1 / (3 * fan_in) if initialiser == "torch" else 0.0, units)


def table(initialiser: str, size: int, units: int) -> WeightStats:
    """Return the moments of an embedding's entries, which both libraries draw by rules of their own.

    Keras U(+-0.05), whatever its other layers are given; torch N(0, 1).
    """
    return _drawn(1.0 if initialiser == "torch" else 0.05**2 / 3, size * units)


def recurrent(initialiser: str, fan_in: int, units: int) -> tuple[WeightStats, WeightStats, WeightStats]:
    """Return the moments of a simple recurrent layer's kernel, of what its state is multiplied by, and of its bias.

    Keras makes the second one orthogonal, whatever the kernel is given; torch draws all from U(+-1/sqrt(units)), and
    two biases, which are added.
    """
    if initialiser == "torch":
        uniform = 1 / (3 * units)
        return _drawn(uniform, fan_in * units), _drawn(uniform, units * units), _drawn(2 * uniform, units)
    again = kernel("orthogonal", units, units)
    return kernel(initialiser, fan_in, units), again, bias(initialiser, fan_in, units)


def _drawn(variance: float, size: int, *, orthogonal: bool = False) -> WeightStats:
    return WeightStats(mean=0.0, variance=variance, size=size, orthogonal=orthogonal)
