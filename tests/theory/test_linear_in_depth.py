"""A forecast does the same for every layer, and works out once what layers have in common: counted, not timed."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from types import FrameType

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.spec.build import build
from unvanish.theory import axis, profile, recursion, tap_sums, way_back
from unvanish.theory.recursion import Pass, applies, walk
from unvanish.theory.signal import Signal, moments_of

PLAIN = "conv(8, 3, relu, same)*{}"
RESIDUAL = "conv(8, 3, same), residual(conv(8, 3, same), batch_norm, relu)*{}"
STRIDED = "conv(8, 3, relu, same)*{0}, conv(8, 3, 2, relu, same), conv(8, 3, relu, same)*{0}"


CALLS = {PLAIN: 280, RESIDUAL: 920, "dense(8, tanh)*{}": 120}
"""Of functions, a layer or a block of four, on an image that is not square: a budget, up to a tenth above what it takes
(257, 870 and 105). To take the whole signal through a layer twice, or to work out a matrix twice, is beyond it."""


def walked(shape: str, recipe: str, depth: int) -> dict[str, Pass]:
    return walk(build(f"input({shape}, 3), {recipe.format(depth)}, flatten, dense(1)"), 8, Signal(0.5, 1 / 12, 1 / 12))


def calls(recipe: str, depth: int) -> int:
    """Return how many functions a second walk of so many layers calls, those that are not written in Python included.

    The first one meets each moment of an activation for the first time.
    """
    network, called = build(f"input(14, 9, 3), {recipe.format(depth)}, flatten, dense(1)"), 0

    def count(frame: FrameType, event: str, of: object) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    entering = Signal(0.5, 1 / 12, 1 / 12)
    walk(network, 8, entering)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        walk(network, 8, entering)
    finally:
        sys.setprofile(before)
    return called


def matrices(monkeypatch: pytest.MonkeyPatch, shape: str, recipe: str, depth: int) -> int:
    """Return how many matrices over pairs of places are made, those that are to be worked out when asked for included.

    On the way back through layers of one geometry in a row none is made for a layer.
    """
    made = 0
    start = axis.Axis

    def counted(*given: object, **more: object) -> axis.Axis:
        nonlocal made
        made += 1
        return start(*given, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(axis, "Axis", counted)
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
    """Two matrices a layer: of what the taps find, and behind the activation."""
    square = matrices(monkeypatch, "12, 12", PLAIN, 40) - matrices(monkeypatch, "12, 12", PLAIN, 20)
    oblong = matrices(monkeypatch, "14, 9", PLAIN, 40) - matrices(monkeypatch, "14, 9", PLAIN, 20)
    assert (square, oblong) == (2 * 20, 4 * 20)


def test_layers_that_have_settled_find_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two matrices a layer at first; then none. What is found again is right to rounding."""
    at_first = matrices(monkeypatch, "6, 6", PLAIN, 20) - matrices(monkeypatch, "6, 6", PLAIN, 10)
    at_last = matrices(monkeypatch, "6, 6", PLAIN, 310) - matrices(monkeypatch, "6, 6", PLAIN, 300)
    assert at_first == 2 * 10
    assert at_last <= 2  # now and then rounding is more than is taken for it
    settled = walked("6, 6", PLAIN, 300)
    monkeypatch.setattr(axis, "ROUNDING", 0.0)
    anew = walked("6, 6", PLAIN, 300)
    for name in ("conv_300", "conv_150"):
        one, other = settled[name], anew[name]
        assert one.leaving.second == pytest.approx(other.leaving.second, rel=1e-11, abs=0)
        assert one.overlap == pytest.approx(other.overlap, rel=1e-11, abs=0)


def layer_by_layer(monkeypatch: pytest.MonkeyPatch, shape: str, recipe: str, depth: int) -> dict[str, Pass]:
    with monkeypatch.context() as patched:
        patched.setattr(profile, "can_be_run_through", lambda axes: False)
        return walked(shape, recipe, depth)


def test_linear_layers_that_have_settled_find_the_same_on_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = layer_by_layer(monkeypatch, "5, 5", "conv(8, 3, same)*{}", 1200)
    profiles = [passes[f"conv_{number}"].d_arriving for number in (2, 3, 4, 1199)]
    first, second, third, last = [d.profile for d in profiles if d is not None]
    assert first is not None
    assert first == second == third
    assert last != first


@pytest.mark.parametrize("shape", ["7, 7", "14, 9", "20"])
@pytest.mark.parametrize(
    "recipe",
    [
        PLAIN,
        STRIDED,
        "conv(8, 3, tanh, same)*{0}, conv(6, 3, 2, elu, same), conv(6, 2, relu, same)*{0}",
        "conv(8, 5, same)*{0}, max_pool(2), conv(8, 3, silu, same)*{0}",
        "conv(8, 3, elu, same)*{0}, residual(conv(8, 3, relu, same)*{0})*2, conv(8, 3, linear, same)*{0}",
        "conv(8, 3, sigmoid, same)*{0}, conv(8, 1, relu)*{0}, conv(8, 3, relu, valid)",
    ],
)
def test_a_run_is_gone_back_through_as_layer_by_layer(monkeypatch: pytest.MonkeyPatch, shape: str, recipe: str) -> None:
    """All numbers of every layer, and the profile below the first of a run."""
    found, slowly = walked(shape, recipe, 9), layer_by_layer(monkeypatch, shape, recipe, 9)
    assert any(at.back is not None for at in found.values())
    assert all(at.back is None for at in slowly.values())
    for at, other in zip(found.values(), slowly.values(), strict=True):
        assert at.overlap == pytest.approx(other.overlap, rel=1e-12, abs=0)
        for d, same in ((at.d_before, other.d_before), (at.d_arriving, other.d_arriving)):
            assert d is not None
            assert same is not None
            assert d.log.array == pytest.approx(same.log.array, rel=1e-12, abs=0)
            assert (d.places, d.within) == pytest.approx((same.places, same.within), rel=1e-12, abs=0)
        last = at.d_arriving and at.d_arriving.profile
        if at.back is not None and last is not None:
            assert other.d_arriving is not None
            assert other.d_arriving.profile is not None
            for axis, wanted in zip(last, other.d_arriving.profile, strict=True):
                assert axis is not None
                assert wanted is not None
                assert axis.pairs / axis.unit == pytest.approx(wanted.pairs / wanted.unit, rel=1e-11, abs=0)


def test_a_run_ends_where_a_loss_reads_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("input(7, 7, 3), conv(8, 3, relu, same)*9, flatten, dense(1)")
    two = replace(network, outputs=("conv_5", *(network.outputs or (network.layers[-1].name,))))
    found = walk(two, 8, Signal(0.5, 1 / 12, 1 / 12))
    monkeypatch.setattr(profile, "can_be_run_through", lambda axes: False)
    slowly = walk(two, 8, Signal(0.5, 1 / 12, 1 / 12))
    for at, other in zip(found.values(), slowly.values(), strict=True):
        assert at.overlap == pytest.approx(other.overlap, rel=1e-12, abs=0)


@pytest.mark.parametrize("recipe", [PLAIN, RESIDUAL, STRIDED, "conv(8, 3)*2"])
def test_no_two_forecasts_share_an_axis(recipe: str) -> None:
    """What is kept in one changes as it is asked: forecasts may run at once."""
    held = []
    for _ in range(2):
        passes = walked("12, 12", recipe, 10).values()
        profiles = [
            p for at in passes for p in (at.spread, at.leaving.profile, at.d_arriving and at.d_arriving.profile)
        ]
        held.append({axis for profile in profiles if profile for axis in profile if axis is not None})
    assert held[0]
    assert not held[0] & held[1]


@pytest.mark.parametrize("by_layer", [False, True])
def test_what_follows_from_an_axis_is_let_go_where_layers_have_not_settled(
    monkeypatch: pytest.MonkeyPatch, by_layer: bool
) -> None:
    """Kept, it filled most of the memory of a deep network."""
    if by_layer:
        monkeypatch.setattr(profile, "can_be_run_through", lambda axes: False)
    deep, shallow = walked("6, 6", PLAIN, 300), walked("6, 6", PLAIN, 20)
    settled, unsettled = deep["conv_300"].spread, shallow["conv_10"].spread
    assert settled is not None
    assert unsettled is not None
    assert [axis.known_logs is None for axis in (settled[0], unsettled[0]) if axis] == [False, True]
    assert [axis.bent is None for axis in (settled[0], unsettled[0]) if axis] == [False, True]
    behind = shallow["conv_10"].leaving.profile
    assert behind is not None
    assert [axis.held is None for axis in (unsettled[0], behind[0]) if axis] == [False, True]


@pytest.mark.parametrize("by_layer", [False, True])
@pytest.mark.parametrize(
    "recipe", [PLAIN, STRIDED, RESIDUAL, "conv(8, 3, same)*{}", "(conv(8, 3, relu, same), batch_norm, relu)*{}"]
)
def test_no_axis_outlives_what_it_was_made_for(monkeypatch: pytest.MonkeyPatch, recipe: str, by_layer: bool) -> None:
    """The collector does not look at them: one that led back to itself would stay for good."""
    made: list[weakref.ref[axis.Axis]] = []

    class Watched(axis.Axis, weakref=True, eq=False, gc=True):
        def __post_init__(self) -> None:
            made.append(weakref.ref(self))

    for module in (axis, way_back):
        monkeypatch.setattr(module, "Axis", Watched)
    if by_layer:
        monkeypatch.setattr(profile, "can_be_run_through", lambda axes: False)
    gc.disable()
    try:
        passes = walked("6, 6", recipe, 300)
        assert any(of() is not None for of in made)
        del passes
        for results in (profile._taps_again, profile.handed_back, axis._product):
            results.cache_clear()
        assert not [of for of in made if of() is not None]
    finally:
        gc.enable()


@pytest.mark.parametrize("recipe", ["dense(8, tanh)*{}", "dense(8, relu)*{}", PLAIN, STRIDED, RESIDUAL])
def test_no_layer_is_walked_through_by_a_collection_of_garbage(recipe: str) -> None:
    """Full collections took as long as the forecast of ten thousand layers, whose moments are kept."""
    passes = walked("12, 12", recipe, 10).values()
    held = [of for at in passes for of in (at, at.before, at.leaving, at.d_before, at.d_arriving)]
    held += [moments_of(at.before, applies(at.layer), None) for at in passes]
    held += [of for at in passes for of in (*at.taps.found, *(at.taps.profile or ()), *(at.leaving.profile or ()))]
    assert not any(gc.is_tracked(of) for of in held)


@pytest.mark.parametrize("recipe", [PLAIN, RESIDUAL, STRIDED])
def test_the_windows_of_a_geometry_are_worked_out_once(recipe: str) -> None:
    found = []
    for depth in (10, 80):
        tables = (tap_sums.to_windows, tap_sums.to_places)
        for table in tables:
            table.cache_clear()
        walked("12, 12", recipe, depth)
        found.append([table.cache_info().misses for table in tables])
    assert found[0] == found[1]
    assert min(found[0]) > 0


def test_correlations_are_worked_out_once_for_the_way_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def counted(*given: object, **more: object) -> object:
        nonlocal made
        made += 1
        return np.log(*given, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(axis, "np", type("np", (), {**vars(np), "log": staticmethod(counted)}))
    walked("12, 12", PLAIN, 30)
    assert made == 30


def test_two_places_do_not_take_a_layer_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of kernels without a mean, they differ from two samples in what they have apart alone."""
    through: dict[str, int] = {}

    def counted(name: str) -> Callable[..., object]:
        start = getattr(recursion, name)

        def count(*given: object, **more: object) -> object:
            through[name] = through.get(name, 0) + 1
            return start(*given, **more)

        return count

    for name in ("through_kernel", "through_activation"):
        monkeypatch.setattr(recursion, name, counted(name))
    passes = walked("12, 12", PLAIN, 30)
    assert passes["conv_30"].leaving.across is not None
    assert through == {"through_kernel": 31, "through_activation": 30}


@pytest.mark.parametrize("recipe", ["dense(8, tanh)*{}", PLAIN])
def test_layers_in_a_row_share_the_numbers_of_the_loss_end(recipe: str) -> None:
    """No array over them is made for a layer."""
    found = [at.d_before for at in walked("12, 12", recipe, 30).values()]
    assert len({id(d.log.fixed) for d in found if d is not None}) == 1
    assert len({id(d.alike.fixed) for d in found if d is not None}) == 1


@pytest.mark.parametrize("recipe", CALLS)
def test_a_layer_keeps_within_its_calls(recipe: str) -> None:
    few, more, many = (calls(recipe, depth) for depth in (20, 40, 80))
    assert many - more == pytest.approx(2 * (more - few), rel=0.01, abs=0)  # a collection of garbage may call some
    assert (many - more) / 40 < CALLS[recipe]
