"""Add up what one layer showed on several batches, and turn it into its LayerProfile. Used by every adapter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unvanish.core.activations import GRID, ZERO_BELOW, derivative
from unvanish.core.measures.correlation import correlation
from unvanish.core.measures.dead import dead_share, zero_everywhere
from unvanish.core.measures.norm import combine_norms, norm
from unvanish.core.measures.saturation import saturated_share
from unvanish.core.profile import LayerProfile
from unvanish.core.weight_gradient import WeightGradient, everywhere

Array = NDArray[Any]
NOT_ELEMENTWISE = frozenset({"linear", "other", "softmax"})


class LayerSums:
    """Collect the numbers of one layer, batch by batch. Arrays are not kept."""

    def __init__(self, activation: str, parameter: float | None) -> None:
        """Start empty, for a layer that applies this activation (canonical name, parameter)."""
        self.activation = activation
        self.wants_slopes = activation not in NOT_ELEMENTWISE and activation not in ZERO_BELOW
        self._largest_slope = (
            float(np.abs(derivative(activation, GRID, parameter)).max()) if self.wants_slopes else math.nan
        )
        self._size = 0
        self._norms: dict[str, list[float]] = {}
        self._means: dict[str, list[float]] = {}
        self._weight_norm: float | None = None
        self._zero: list[NDArray[np.bool_]] | None = None
        self._silent: NDArray[np.bool_] | None = None
        self._nonfinite_gradient = 0
        self._nonfinite_output = 0

    def add_weights(self, weights: Sequence[Array], gradients: Sequence[WeightGradient | None]) -> None:
        """Add one batch's weight gradients (None: no path from the loss, taken as zeros)."""
        if not weights:
            return
        if self._weight_norm is None:
            self._weight_norm = math.hypot(*(norm(w) for w in weights))
            self._size = sum(int(w.size) for w in weights)
        known = [g for g in gradients if g is not None]
        self._append(self._norms, "gradient_norm", math.hypot(*(g.norm for g in known)))
        self._nonfinite_gradient += sum(g.nonfinite for g in known)
        zero = [everywhere(True, w.shape) if g is None else g.zeros for g, w in zip(gradients, weights, strict=True)]
        self._zero = zero if self._zero is None else [a & b for a, b in zip(self._zero, zero, strict=True)]

    def add_forward(self, preactivation: Array | None, output: Array | None, slopes: Array | None) -> None:
        """Add one batch's activations, each of shape (samples, ..., features), and f'(z) where it is wanted."""
        if preactivation is not None:
            q, k, _ = correlation(preactivation)
            self._append(self._means, "q", q)
            if math.isfinite(k) or not math.isfinite(q):  # of a single sample there is no pair to tell k from
                self._append(self._means, "k", k)
        if output is not None:
            whole = norm(output)
            self._append(self._means, "output_q", (whole / math.sqrt(max(output.size, 1))) ** 2)
            self._nonfinite_output += 0 if math.isfinite(whole) else _nonfinite(output)
            if self.activation in ZERO_BELOW:
                silent = zero_everywhere(output)
                self._silent = silent if self._silent is None else self._silent & silent
        if slopes is not None:
            self._append(self._means, "saturated", saturated_share(slopes, self._largest_slope))

    def add_backward(self, inputs: Sequence[Array | None], before: Array | None, after: Array | None) -> None:
        """Add one batch's cotangents: of the layer's inputs, of its pre-activation, of its output."""
        known = [norm(g) for g in inputs if g is not None]
        if known:
            self._append(self._norms, "input", math.hypot(*known))
        if before is not None:
            self._append(self._norms, "preactivation", norm(before))
            self._append(self._norms, "preactivation_rms", norm(before) / math.sqrt(max(before.size, 1)))
        if after is not None:
            self._append(self._norms, "output", norm(after))

    def profile(self, name: str, *, reached: bool | None = None) -> LayerProfile:
        """Return the collected numbers as a record. reached: see `LayerProfile.reached`."""
        gradient, output = self._norm("gradient_norm"), self._norm("output")
        inside, entering = self._norm("preactivation"), self._norm("input")
        q, k = self._mean("q"), self._mean("k")
        zero = None if self._zero is None else sum(int(np.count_nonzero(z)) for z in self._zero)
        return LayerProfile(
            name=name,
            gradient_norm=gradient,
            gradient_rms=_over(gradient, math.sqrt(self._size)),
            gradient_zero_share=None if zero is None else zero / max(self._size, 1),
            gradient_nonfinite=self._nonfinite_gradient,
            reached=reached,
            weight_norm=self._weight_norm,
            weight_rms=_over(self._weight_norm, math.sqrt(self._size)),
            preactivation_second_moment=q,
            output_second_moment=self._mean("output_q"),
            correlation=_over(k, q),
            output_nonfinite=self._nonfinite_output,
            saturated_share=self._mean("saturated"),
            dead_share=None if self._silent is None else dead_share(self._silent),
            output_gradient_norm=output,
            preactivation_gradient_norm=inside,
            preactivation_gradient_rms=self._norm("preactivation_rms"),
            input_gradient_norm=entering,
            transmission=_over(entering, output),
            activation_transmission=_over(inside, output),
            weight_transmission=_over(entering, inside),
        )

    def _norm(self, key: str) -> float | None:
        return combine_norms(self._norms[key]) if key in self._norms else None

    def _mean(self, key: str) -> float | None:
        return math.fsum(self._means[key]) / len(self._means[key]) if key in self._means else None

    @staticmethod
    def _append(table: dict[str, list[float]], key: str, number: float) -> None:
        table.setdefault(key, []).append(float(number))


def _nonfinite(array: Array) -> int:
    """Return how many entries are not finite; asked only where the norm is not, which no other array's is."""
    return int(array.size - np.count_nonzero(np.isfinite(array)))


def _over(numerator: float | None, denominator: float | None) -> float | None:
    """Return the ratio; None when either is missing or the denominator is zero or not a number."""
    if numerator is None or denominator is None or not denominator > 0:
        return None
    return numerator / denominator
