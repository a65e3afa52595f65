"""How large the gradients are in absolute terms, before any data: the output kernel's own (derived, see loss_end)."""

from __future__ import annotations

import math

from unvanish.core.network import Network
from unvanish.theory.geometry import places
from unvanish.theory.gradients import kernel_gradient
from unvanish.theory.loss_end import residual
from unvanish.theory.recursion import Pass


def log10_output_gradient(network: Network, passes: dict[str, Pass], batch_size: int) -> float | None:
    """Return log10 of the norm of the last kernel's gradient of the batch-mean loss; None where it is not known.

    It is not for several outputs: nobody knows how their losses are weighed.
    """
    heads = network.outputs or tuple(passes)[-1:]
    kernels = [at for at in passes.values() if at.layer.kernel is not None]
    if len(heads) != 1 or not kernels or (last := kernels[-1]).d_before is None:
        return None
    head = passes[heads[0]]
    units = max(head.layer.units or 1, 1)
    size = residual(head.before if head.fused else head.leaving, head.layer.activation, units) / places(head.layer)
    log = kernel_gradient(last.d_before, last.arriving, last.layer, *last.overlap, batch_size).mean()
    found = (float(log) + math.log(size)) / (2 * math.log(10)) if 0 < size < math.inf else math.nan
    return found if math.isfinite(found) else None
