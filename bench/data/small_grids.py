"""The convolutional and recurrent recipes of the forecast's accuracy: (f, initialiser, form, depth, width, body)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

CONVOLUTIONS = {
    "conv same": "conv({n}, 3, {f}, same)*{depth}",
    "conv strided": "conv({n}, 3, 2, {f}, same), conv({n}, 3, {f}, same)*{less}",
    "conv pool": "conv({n}, 3, {f}, same)*{half}, max_pool(2), conv({n}, 3, {f}, same)*{half}",
    "conv BN": "(conv({n}, 3, same), batch_norm, {f})*{depth}",
    "conv residual": "conv({n}, 3, {f}, same), residual(conv({n}, 3, {f}, same))*{less}",
}


def convolutional() -> Iterator[tuple[str, str, str, int, int, str]]:
    """Yield networks of 8 x 8 places."""
    names, drawn = ("elu", "relu", "silu", "tanh"), ("he_normal", "glorot_normal", "keras")
    for f, initialiser, form, depth, n in itertools.product(names, drawn, CONVOLUTIONS, (4, 8, 12), (16, 32)):
        body = CONVOLUTIONS[form].format(n=n, f=f, depth=depth, less=depth - 1, half=depth // 2)
        yield f, initialiser, form, depth, n, f"input(8, 8, 3), {body}, global_avg_pool"


def recurrent() -> Iterator[tuple[str, str, str, int, int, str]]:
    """Yield simple recurrences; depth counts their steps, each of 8 features."""
    drawn = ("he_normal", "glorot_normal", "lecun_normal", "keras", "torch")
    for f, initialiser, steps, n in itertools.product(("tanh", "relu"), drawn, (5, 10, 20, 50), (32, 64)):
        yield f, initialiser, "recurrent", steps, n, f"input({steps}, 8), simple_rnn({n}, {f})"
