"""How large the gradients are in absolute terms: the size of the residual that the loss sends back, before any data.

Under the assumptions of loss_end: a sigmoid or softmax head is read by a cross-entropy, any other by a squared error,
both a mean over units (a softmax: a sum over classes); labels are balanced classes, or numbers of mean 0 and variance
1, and the network knows nothing of them (derived).
"""

from __future__ import annotations

import math

from unvanish.core.network import Network
from unvanish.theory.geometry import places
from unvanish.theory.gradients import kernel_gradient
from unvanish.theory.moments import moments
from unvanish.theory.recursion import Pass
from unvanish.theory.signal import Signal


def log10_output_gradient(network: Network, passes: dict[str, Pass], batch_size: int) -> float | None:
    """Return log10 of the norm of the last kernel's gradient of the batch-mean loss; None where it is not known.

    It is not for several outputs: nobody knows how their losses are weighed.
    """
    heads = network.outputs or tuple(passes)[-1:]
    kernels = [at for at in passes.values() if at.layer.kernel is not None]
    if len(heads) != 1 or not kernels or kernels[-1].d_before is None:
        return None
    head, last = passes[heads[0]], kernels[-1]
    units = max(head.layer.units or 1, 1)
    size = residual(head.before if head.fused else head.leaving, head.layer.activation, units) / places(head.layer)
    log = kernel_gradient(kernels[-1].d_before, last.arriving, last.layer, *last.overlap, batch_size).mean()
    found = (float(log) + math.log(size)) / (2 * math.log(10)) if 0 < size < math.inf else math.nan
    return found if math.isfinite(found) else None


def residual(head: Signal, activation: str, units: int) -> float:
    """Return E |dL/du|^2 of one sample, summed over the units of the output.

    head: the pre-activation of a fused head, else the output. With r = p - y and independent p and y: E r^2 = E (p -
    E y)^2 + Var y. A sigmoid's label has Var y = 1/4, one of C classes in all 1 - 1/C; the softmax's own part grows as
    v/(C + v) of that, with v the variance of its inputs (see loss_end). A squared error has the gradient 2 (h - y).
    """
    if activation == "softmax":
        return (1 - 1 / units) * (1 + head.variance / (units + head.variance)) if head.variance < math.inf else math.nan
    if activation == "sigmoid":
        of = moments("sigmoid", mean=head.mean, variance=head.variance)
        return (of.variance + (of.mean - 0.5) ** 2 + 0.25) / units
    return 4 * (head.second + 1) / units
