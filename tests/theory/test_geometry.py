"""Padding, places and pools, against counting."""

import numpy as np
import pytest

from unvanish.core.network import Layer
from unvanish.testing.reference.windows import Windows
from unvanish.theory.geometry import largest_of, places, pooled, receptive_field, size, windows


def conv(shape, units, channels, length):
    field = length ** (len(shape) - 1)
    fans = {"fan_in": field * channels, "fan_out": field * units}
    return Layer(name="conv", kind="conv", type="Conv2D", units=units, shape=tuple(shape), **fans)


def plain(shape):
    return Layer(name="source", kind="other", type="Source", shape=tuple(shape))


def counted(space, length, stride, padding):
    """Return the share of taps on the input by sliding the window over an array of ones."""
    windows = Windows(space, [length] * len(space), [stride] * len(space), padding)
    padded = windows.pad(np.ones((1, *space, 1)), 0.0)
    return float(np.mean([padded[picked].mean() for _, picked in windows.offsets()]))


def taps_inside(layer, source):
    return float(np.prod([axis.tapped for axis in windows(layer, source)]))


@pytest.mark.parametrize(
    ("space", "length", "stride", "padding"),
    [
        ((8, 8), 3, 1, "same"),
        ((8, 8), 5, 1, "same"),
        ((8, 8), 3, 2, "same"),
        ((7, 9), 3, 2, "same"),
        ((8, 8), 3, 1, "valid"),
        ((9, 9), 3, 2, "valid"),
        ((16,), 5, 1, "same"),
        ((4, 4, 4), 3, 1, "same"),
        ((6, 6), 1, 1, "same"),
    ],
)
def test_the_share_of_taps_inside_equals_counting(space, length, stride, padding):
    after = Windows(space, [length] * len(space), [stride] * len(space), padding).count
    found = taps_inside(conv((*after, 4), 4, 3, length), plain((*space, 3)))
    assert found == pytest.approx(counted(space, length, stride, padding), rel=1e-12, abs=0)


def test_he_on_eight_by_eight_loses_about_a_tenth_of_a_neper_per_layer():
    share = taps_inside(conv((8, 8, 4), 4, 3, 3), plain((8, 8, 3)))
    assert -np.log(share) / 2 == pytest.approx(0.087, rel=0.01, abs=0)


def test_where_the_shapes_do_not_fit_nothing_leaks():
    assert taps_inside(conv((16, 16, 4), 4, 3, 3), plain((8, 8, 3))) == 1
    assert taps_inside(conv((8, 8, 4), 4, 3, 3), plain((192,))) == 1
    assert taps_inside(conv((8, 8, 4), 4, 3, 3), None) == 1
    assert taps_inside(plain((8,)), plain((8,))) == 1
    assert taps_inside(conv((None, None, 4), 4, 3, 3), plain((None, None, 3))) == 1


def test_sizes_of_known_and_unknown_shapes():
    assert (places(plain((8, 8, 3))), size(plain((8, 8, 3)))) == (64, 192)
    assert (places(plain((5,))), size(plain((5,)))) == (1, 5)
    unknown = Layer(name="x", kind="dense", type="Dense", units=7, shape=(None, 7))
    assert (places(unknown), size(unknown)) == (1, 7)
    assert size(Layer(name="x", kind="dense", type="Dense")) == 1
    assert receptive_field(conv((8, 8, 4), 4, 3, 3)) == 9
    assert receptive_field(plain((3,))) == 1


@pytest.mark.parametrize(
    ("shape", "reduction", "covered", "average"),
    [
        ((4, 4, 3), None, 4, False),
        ((3,), None, 64, True),
        ((4, 4, 3), "average", 4, True),
        ((3,), "max", 64, False),
        ((8, 8, 3), "max", 1, False),
    ],
)
def test_what_a_pool_covers(shape, reduction, covered, average):
    layer = Layer(name="pool", kind="pool", type="Pool", shape=shape, reduction=reduction)
    assert tuple(pooled(layer, plain((8, 8, 3)))) == (covered, average)


@pytest.mark.parametrize("count", [1, 2, 4, 9, 64])
def test_the_largest_of_some_normals(count):
    largest = np.random.default_rng(5).standard_normal((100_000, count)).max(axis=1)
    mean, variance = largest_of(count)
    assert mean == pytest.approx(largest.mean(), rel=0.01, abs=0.01)
    assert variance == pytest.approx(largest.var(), rel=0.03, abs=0)
