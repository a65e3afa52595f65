"""The forecast of a convolution does the same for every layer, and works out a geometry once: counted, not timed."""

from __future__ import annotations

import pytest

from unvanish.spec.build import build
from unvanish.theory import axis, geometry, profile
from unvanish.theory.recursion import walk
from unvanish.theory.signal import Signal

PLAIN = "conv(8, 3, relu, same)*{}"
RESIDUAL = "conv(8, 3, same), residual(conv(8, 3, same), batch_norm, relu)*{}"
STRIDED = "conv(8, 3, relu, same)*{0}, conv(8, 3, 2, relu, same), conv(8, 3, relu, same)*{0}"


def walked(shape: str, recipe: str, depth: int) -> None:
    walk(build(f"input({shape}, 3), {recipe.format(depth)}, flatten, dense(1)"), 8, Signal(0.5, 1 / 12, 1 / 12))


def matrices(monkeypatch: pytest.MonkeyPatch, shape: str, recipe: str, depth: int) -> int:
    """Return how many matrices over pairs of places are made."""
    made = 0
    start = axis.Axis.__init__

    def counted(self: axis.Axis, matrix: axis.Array) -> None:
        nonlocal made
        made += 1
        start(self, matrix)

    for kept in (axis.gathered, axis.scattered, axis.bent, axis.evened, axis.mixed, profile.reached):
        kept.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(axis.Axis, "__init__", counted)
        walked(shape, recipe, depth)
    return made


@pytest.mark.parametrize("recipe", [PLAIN, RESIDUAL, STRIDED])
@pytest.mark.parametrize("shape", ["12, 12", "14, 9"])
def test_each_layer_makes_as_many_matrices_however_deep(
    monkeypatch: pytest.MonkeyPatch, shape: str, recipe: str
) -> None:
    few, more, many = (matrices(monkeypatch, shape, recipe, depth) for depth in (10, 20, 40))
    assert 0 < few < more
    assert many - more == pytest.approx(2 * (more - few), rel=0.1, abs=0)  # the last layers make one less, or more


def test_the_two_axes_of_a_square_image_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four matrices a layer: of what the taps find, behind the activation, and the same two on the way back."""
    square = matrices(monkeypatch, "12, 12", PLAIN, 40) - matrices(monkeypatch, "12, 12", PLAIN, 20)
    oblong = matrices(monkeypatch, "14, 9", PLAIN, 40) - matrices(monkeypatch, "14, 9", PLAIN, 20)
    assert (square, oblong) == (4 * 20, 8 * 20)


@pytest.mark.parametrize("recipe", [PLAIN, RESIDUAL, STRIDED])
def test_the_windows_of_a_geometry_are_worked_out_once(recipe: str) -> None:
    found = []
    for depth in (10, 80):
        geometry.taps.cache_clear()
        walked("12, 12", recipe, depth)
        found.append(geometry.taps.cache_info().misses)
    assert 0 < found[0] == found[1]
