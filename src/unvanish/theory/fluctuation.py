"""How unequally pairs of samples are alike: the fluctuation of k from pair to pair, and what it does (derived).

Centred over the batch, h of n units has the Gram matrix G(s, t) = h(s).h(t)/n, with the spread on its diagonal. Off it
are numbers of mean 0 and variance v spread^2: v = 1/n for n independent features. A random kernel hands G on and an
activation multiplies the relative number by slide = E f'(u) f'(w) spread_u / spread_f, 1 for a linear f; each draw of n
units adds 1/n, of which the linear part slide^2 is exact below an orthogonal kernel. So deep layers of near-linear
activations tell ever fewer directions of a batch apart. Of that a batch normalisation's gradient feels the last draw
alone (FELT). At the loss end r(s) r(t) follows k(s, t), which gradients of large batches add up.
"""

from __future__ import annotations

import math

from msgspec import Struct


class Pairs(Struct, frozen=True, gc=False):
    """Hold v of a layer's output: over the law of one unit, and what the draw of these units adds."""

    law: float = 0.0
    drawn: float = 0.0
    felt: float = 0.0
    """What of the last activation's units a gradient feels below a batch normalisation."""

    @property
    def whole(self) -> float:
        """Return v of the units as they are."""
        return self.law + self.drawn

    def through_kernel(self, drawn: float, window: int) -> Pairs:
        """Return v behind a kernel. drawn: 1/units; 0 for a square orthogonal one. window: places that it adds up."""
        return Pairs(self.whole / window, drawn, self.felt)

    def through_activation(self, slide: float, units: int) -> Pairs:
        """Return v behind an activation of so many units."""
        square = min(slide * slide, 1.0)
        linear = square * self.drawn
        return Pairs(square * self.law, linear + (1 - square) / max(units, 1), FELT * linear * square)

    def scaled(self, factor: float) -> Pairs:
        """Return v times the factor."""
        return Pairs(self.law * factor, self.drawn * factor, self.felt)

    def normalised(self, instances: float) -> Pairs:
        """Return v behind a batch normalisation, which makes units smaller that vary along the largest directions."""
        return Pairs(self.law * (1 - 2 / instances) ** 2, self.drawn, self.felt)


FELT = 0.75
"""How much of a layer's draw of units, at slide 1, the gradient feels below a batch normalisation; fitted on the refine
half of bench/forecast_accuracy.py. What earlier draws did to G is not felt: measured, gradients grow as if it were not
there, since they come to lie where G is small."""


def apart(pairs: Pairs, instances: float) -> float:
    """Return the number of independent instances that so many ones are worth."""
    return 1 + 1 / (1 / (instances - 1) + pairs.felt) if 1 < instances < math.inf else instances


def mixed(parts: list[tuple[float, Pairs]]) -> Pairs:
    """Return v of a sum of signals, from (share of the spread, v); what the least fluctuating has, all share."""
    common = min((pairs.law for _, pairs in parts), default=0.0)
    law = common + math.fsum(share * share * (pairs.law - common) for share, pairs in parts)
    drawn = math.fsum(share * share * pairs.drawn for share, pairs in parts)
    return Pairs(law, drawn, max((pairs.felt for _, pairs in parts), default=0.0))
