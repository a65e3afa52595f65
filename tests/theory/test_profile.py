"""How padding spreads signal and gradient over the places of a convolution, against sums over every pair of places."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from unvanish.spec.build import build
from unvanish.theory.recursion import walk
from unvanish.theory.signal import Signal

Q, K = 1 / 3, 1 / 4


def moved(field, windows, taps, channels):
    """Return k(p, p') = n Var(w) * mean over taps of k at the two places under it, by going through all of them."""
    found = np.zeros((len(windows), len(windows)))
    for (i, one), (j, other) in itertools.product(enumerate(windows), repeat=2):
        for a, b in zip(one, other, strict=True):
            found[i, j] += field[a, b] * 2 / (taps * channels) * channels if a is not None and b is not None else 0.0
    return found


def windows_of(space, size, stride):
    """Return, for each place of the output, the place of the input under each tap; None on the padding (`same`)."""

    def along(n):
        after = -(-n // stride)
        missing = max((after - 1) * stride + size - n, 0)
        return [[p * stride - missing // 2 + tap for tap in range(size)] for p in range(after)]

    axes = [along(n) for n in space]
    flat = []
    for places in itertools.product(*axes):
        under = itertools.product(*places)
        inside = (all(0 <= x < n for x, n in zip(at, space, strict=True)) for at in itertools.product(*places))
        flat.append(
            [int(np.ravel_multi_index(at, space)) if ok else None for at, ok in zip(under, inside, strict=True)]
        )
    return flat


def mean_of_two(field):
    count = len(field)
    return (field.sum() - np.trace(field)) / (count * (count - 1))


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ("6, 5, 3", [(3, 1), (3, 1), (3, 1)]),
        ("9, 2", [(3, 1), (5, 1), (3, 1), (3, 1)]),
        ("8, 7, 1", [(3, 2), (3, 1)]),
        ("11, 4", [(3, 3), (3, 1)]),
    ],
)
def test_a_linear_network(shape: str, layers: list[tuple[int, int]]) -> None:
    spec = ", ".join(f"conv(8, {size}, {stride})" for size, stride in layers)
    network = build(f"input({shape}), {spec}, flatten, dense(1)", initialiser="he_normal")
    passes = walk(network, 4, Signal(K**0.5, Q - K, Q - K))
    space = [int(n) for n in shape.split(", ")][:-1]
    count = int(np.prod(space))
    q, k = np.full((count, count), Q), np.full((count, count), K)
    for number, (size, stride) in enumerate(layers):
        windows = windows_of(space, size, stride)
        q, k = (moved(field, windows, size ** len(space), 1) for field in (q, k))
        space = [-(-n // stride) for n in space]
        at = passes[f"conv_{number + 1}"]
        assert at.leaving.second == pytest.approx(np.trace(q) / len(q), rel=1e-9, abs=0)
        assert at.leaving.second - at.leaving.spread == pytest.approx(np.trace(k) / len(k), rel=1e-9, abs=0)
        if at.leaving.across is not None:
            assert at.leaving.second - at.leaving.across == pytest.approx(mean_of_two(k), rel=1e-9, abs=0)


def test_the_gradient_of_a_linear_network_is_what_lies_between_two_random_walks() -> None:
    """|dL/dx|^2 at each place of the input, from all ways that lead from the output's places to it."""
    network = build("input(6, 5, 3), conv(8, 3)*3, flatten, dense(1)", initialiser="he_normal")
    passes = walk(network, 4, Signal(K**0.5, Q - K, Q - K))
    windows = windows_of([6, 5], 3, 1)
    back = np.zeros((30, 30))
    for at, under in enumerate(windows):
        for place in (p for p in under if p is not None):
            back[place, at] += 2 * 8 / (9 * 8)
    d = np.ones(30)
    for number in (3, 2):
        found = passes[f"conv_{number}"]
        assert found.d_before is not None
        assert found.d_arriving is not None
        after = back @ d
        ratio = np.exp(found.d_arriving.log.array - found.d_before.log.array).mean()
        assert ratio == pytest.approx(after.sum() / d.sum(), rel=1e-9, abs=0)
        under = [[p for p in window if p is not None] for window in windows]
        own = np.full(30, Q)
        for _ in range(number - 1):
            own = np.array([sum(own[p] for p in window) * 2 / 9 for window in under])
        overlap = np.mean([d[at] * sum(own[p] for p in under[at]) / 9 for at in range(30)]) / (d.mean() * own.mean())
        assert found.overlap[0] == pytest.approx(overlap, rel=1e-9, abs=0)
        d = after


def test_a_long_axis_is_uniform() -> None:
    network = build("input(200, 3), conv(8, 3)*3, flatten, dense(1)")
    passes = walk(network, 4, Signal(K**0.5, Q - K, Q - K))
    assert passes["conv_3"].leaving.profile in (None, (None,))
    assert passes["conv_3"].taps.inside == pytest.approx(1 - 2 / 600, rel=1e-12, abs=0)


@pytest.mark.parametrize("places", [5, 12])
def test_after_many_layers_a_profile_is_that_of_a_walk_between_two_absorbing_ends(places: int) -> None:
    """Of three taps a place: sin(pi p / (n + 1)) on both ways, on a scale that 700 layers would have taken to 3^700."""
    network = build(f"input({places}, 3), conv(8, 3)*700, flatten, dense(1)", initialiser="he_normal")
    passes = walk(network, 4, Signal(K**0.5, Q - K, Q - K))
    shape = np.sin(np.pi * np.arange(1, places + 1) / (places + 1))
    last, first = passes["conv_700"].leaving.profile, passes["conv_1"].d_arriving
    assert first is not None
    for profile in (last, first.profile):
        assert profile is not None
        (axis,) = profile
        assert axis is not None
        assert axis.diagonal / axis.unit == pytest.approx(shape / shape.mean(), rel=1e-9, abs=0)
        assert axis.mean == pytest.approx((axis.matrix / axis.unit).mean(), rel=1e-12, abs=0)
