"""How unequally large the samples of a batch become behind batch normalisations, and what their gradients make of it.

A batch normalisation fixes each unit's variance over the batch, not the size s of one sample, |u(s)|^2/n, of mean 1.
An activation hands on V(s) = Var f(sqrt(s) z) and, of the batch's common mean m, (m(s) - m)^2. Where V grows faster
than s (silu, gelu, softplus), a sample that is larger by chance, as n units draw it, grows until few rule the batch
(the symmetry of samples breaks: Yang et al. 2019, section 4). Then gradients gather in them, where f' is steep, and the
variance that a unit is divided by is that of few samples. Followed here for the samples of one or a few batches, whose
draws are fixed numbers (derived). For Gaussian a(t) of variance K = diag(V) + d d', with I = 1 + 2xK,

    E a(s)^2 / sum a^2 = integral over x > 0 of det I^(-1/2) [K / I](s, s),    E 1 / sum a^2 = that of det I^(-1/2)
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from unvanish.core.activations import DEFAULT_PARAMETER, derivative, value

Array = NDArray[np.float64]

FOLLOWED = 128
"""Samples that are followed: several small batches, or of a larger one so many, each for several alike."""
MET = 0.6
"""Which part of d d' the gradients meet, which come to lie where K is small; fitted to drawn stacks of six activations,
64 and 256 units, 32 and 128 samples, 100 layers deep."""

_STEP = 0.75
_X = np.exp(np.arange(-7.0, 7.5, _STEP))
_LOG_SIZES = np.linspace(math.log(1e-3), math.log(1e3), 64)
_PER_LOG = 1 / (_LOG_SIZES[1] - _LOG_SIZES[0])


class Sizes(Struct, frozen=True, gc=False):
    """Hold the squares of each sample; shape (batches, samples)."""

    own: Array
    """Var of a sample's units."""
    lean: Array
    """m(s) - m, the part along all units alike."""
    instances: float
    """Samples in the batch."""
    layer: int = 0
    """How many layers drew units, which says where in the fixed draws the next ones begin."""

    @classmethod
    def alike(cls, instances: float, variance: float = 1.0) -> Sizes:
        """Return samples of equal size."""
        samples = int(min(instances, FOLLOWED))
        own = np.full((max(FOLLOWED // samples, 1), samples), variance)
        return cls(own, np.zeros_like(own), instances)

    def normalised(self, variance: float) -> Sizes:
        """Return the samples behind a normalisation of each unit over the batch, to that variance."""
        own = variance * _shares(self.own, self.lean, self.instances)
        return replace(self, own=own, lean=np.zeros_like(own))

    def through_activation(self, of: Curves, drawn: float, units: int) -> Sizes:
        """Return the samples behind an activation of so many units; drawn: Var ln |u|^2 that a kernel's draw made."""
        own, mean, _, elasticity, fresh = of.at(self.own)
        noise = fresh / units + elasticity * elasticity * drawn
        draw = _draws(self.layer, self.own.shape)
        own = own * np.exp(np.sqrt(noise) * draw - noise / 2)
        return replace(self, own=own, lean=mean - _mean(mean)[:, None], layer=self.layer + 1)

    def rise(self, of: Curves) -> tuple[float, float]:
        """Return what unequal samples add to (the mean of f, its variance and spread), these being the samples of u."""
        own, mean, *_ = of.at(self.own)
        alone, level, *_ = of.at_one(float(_mean(_mean(self.own)[None])[0]))
        apart = mean - _mean(mean)[:, None]
        size = mean.size
        return (
            float(np.add.reduce(mean, axis=None)) / size - level,
            float(np.add.reduce(own, axis=None) + np.vdot(apart, apart)) / size - alone,
        )


class Gathered(Struct, frozen=True, gc=False):
    """Hold the square of each sample's cotangent, and its size there; shape (batches, samples)."""

    squares: Array
    """Over their mean."""
    sizes: Array
    """Of the sample itself, over their mean."""


def through_slopes(gathered: Gathered | None, u: Sizes, of: Curves) -> tuple[Gathered, float]:
    """Return (the cotangents behind f', ln of what |dL/du|^2 is more than for samples alike)."""
    squares = np.ones_like(u.own) if gathered is None else gathered.squares
    found = squares * of.at(u.own)[2]
    steep = of.at_one(float(np.add.reduce(u.own, axis=None)) / u.own.size)[2]
    return Gathered(_over_mean(found), _over_mean(u.own)), _mean_log(_mean(found) / steep)


def through_norm(gathered: Gathered, h: Sizes) -> tuple[Gathered, float]:
    """Return the same below a normalisation that reads h, which takes out what lies along the samples' sizes."""
    n, squares, along = h.instances, gathered.squares, gathered.sizes / h.instances
    left = squares * (1 - along) ** 2 + along * _mean(squares * gathered.sizes)[:, None]
    square = h.lean * h.lean
    divided = _inverse(h.own, MET * square, n) * _mean(h.own + square)
    alike = (1 - 1 / n + 1 / n**2) * _inverse_of_alike(n, h.own.shape[1])
    return Gathered(_over_mean(left), gathered.sizes), _mean_log(_mean(left) * divided / alike)


class Curves:
    """Tell what an activation makes of u ~ N(0, s), for sizes s from 1e-3 to 1e3, by interpolation in ln s."""

    def __init__(self, activation: str, parameter: float) -> None:
        """Tabulate the activation of that name."""
        z = np.linspace(-6.5, 6.5, 182)  # none at 0, where kinks are
        weights = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
        sizes = np.exp(_LOG_SIZES)
        u = np.sqrt(sizes)[:, None] * z
        with np.errstate(all="ignore"):
            f, slope = value(activation, u, parameter), derivative(activation, u, parameter)
            mean = f @ weights
            apart = f - mean[:, None]
            square = apart**2 @ weights
            elasticity = (u * slope * apart) @ weights / square
            fresh = np.maximum((apart**4 @ weights) / square**2 - 1 - 2 * elasticity**2, 0.0)
        self._rows = np.stack([square / sizes, mean, (slope**2) @ weights, elasticity, fresh])
        self._last: tuple[Array, Array] | None = None
        known = bool(np.all(np.isfinite(self._rows)) and np.all(square > 0))
        self.runs_away = known and bool(self.at_one(1.0)[3] > 1 + 1e-6)
        """Whether samples that differ in size come to differ more: Var f grows faster than s where a norm holds it.

        Of others the differences stay what the band and its fitted constants know.
        """

    def at(self, sizes: Array) -> Array:
        """Return Var f, E f, E f'^2, d ln Var f / d ln s, and (kurtosis of f) - 1 - 2 elasticity^2; 0 where below."""
        if self._last is not None and self._last[0] is sizes:  # asked for two things in turn
            return self._last[1]
        place = (np.log(sizes) - _LOG_SIZES[0]) * _PER_LOG
        place = np.minimum(np.maximum(place, 0.0), _LOG_SIZES.size - 1.001)
        below = place.astype(np.int64)
        part = place - below
        found: Array = self._rows.take(below, axis=1)
        found += (self._rows.take(below + 1, axis=1) - found) * part
        found[0] *= sizes
        self._last = sizes, found
        return found

    def at_one(self, size: float) -> list[float]:
        """Return the same of one size."""
        place = min(max((math.log(size) - _LOG_SIZES[0]) * _PER_LOG, 0.0), _LOG_SIZES.size - 1.001)
        below = int(place)
        one, other = self._rows[:, below].tolist(), self._rows[:, below + 1].tolist()
        found = [a + (b - a) * (place - below) for a, b in zip(one, other, strict=True)]
        return [found[0] * size, *found[1:]]


@lru_cache(maxsize=64)
def curves(activation: str, parameter: float | None) -> Curves:
    """Return the curves of the activation of that name."""
    return Curves(activation, DEFAULT_PARAMETER.get(activation, 0.0) if parameter is None else parameter)


def _shares(own: Array, lean: Array, n: float) -> Array:
    """Return E a(s)^2 / (the batch's mean a^2), taken to add up to what it must."""
    square = lean * lean
    weight, less, whole = _weighed(own, square, n)
    found = ((weight / (2 * _X))[:, None, :] @ (1 - less))[:, 0]
    found += square / _mean(own + square)[:, None] / n * ((weight / whole)[:, None, :] @ less**2)[:, 0]
    return _over_mean(found)


def _inverse(own: Array, square: Array, n: float) -> Array:
    """Return E 1 / (the batch's mean a^2)."""
    return np.asarray(np.add.reduce(_weighed(own, square, n)[0], axis=1) / _mean(own + square))


@lru_cache(maxsize=64)
def _inverse_of_alike(n: float, samples: int) -> float:
    return float(_inverse(np.ones((1, samples)), np.zeros((1, samples)), n)[0])


def _weighed(own: Array, square: Array, n: float) -> tuple[Array, Array, Array]:
    """Return det I^(-1/2) dx, (batches, x); 1 / (1 + 2xV), (batches, x, samples); and 1 + 2x d' (that) d."""
    mean, times = _mean(own + square)[:, None], n / own.shape[1]
    less = 1 / (1 + (2 / n) * _X[:, None] * (own / mean)[:, None, :])
    whole = 1 + (2 / n) * _X * times * (less @ (square / mean)[:, :, None])[..., 0]
    log = 0.5 * (times * np.add.reduce(np.log(less), axis=2) - np.log(whole))
    return _STEP * _X * np.exp(log), less, whole


def _over_mean(squares: Array) -> Array:
    return np.asarray(squares / _mean(squares)[:, None])


def _mean(squares: Array) -> Array:
    """Return the mean over samples, (batches,): numpy's own takes three times as long for so few."""
    return np.asarray(np.add.reduce(squares, axis=1) / squares.shape[1])


def _mean_log(means: Array) -> float:
    return float(np.add.reduce(np.log(means))) / means.size


def _draws(layer: int, shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)
    start = layer * count % (_normal().size - count)
    return _normal()[start : start + count].reshape(shape)


@lru_cache(maxsize=1)
def _normal() -> Array:
    return np.random.default_rng(0).standard_normal(65_537)
