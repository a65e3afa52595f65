"""The bench that trains recipes: its networks are the described ones, and so are their first gradients."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unvanish.spec.build import build
from unvanish.theory.learns import scattered

pytestmark = pytest.mark.torch
BENCH = Path(__file__).parents[2] / "bench"
SEEDS = tuple(range(8))


@pytest.fixture(scope="module")
def bench() -> Any:
    """Import the bench, which needs torch and mnist1d."""
    pytest.importorskip("torch")
    pytest.importorskip("mnist1d")
    sys.path.insert(0, str(BENCH))
    try:
        import trains
        from data import recipes, stacked, told

        yield {"trains": trains, "recipes": recipes, "stacked": stacked, "told": told}
    finally:
        sys.path.remove(str(BENCH))
        for name in [name for name in sys.modules if name.partition(".")[0] in ("data", "trains")]:
            del sys.modules[name]  # examples/ has a module of that name too


def test_no_recipe_is_in_two_sets(bench: Any) -> None:
    recipes, kept = bench["recipes"], json.loads(bench["trains"].KEPT.read_text())
    sets = {name: [one.name for one in drawn()] for name, drawn in bench["trains"].SETS.items()}
    numbers = dict.fromkeys(("first", "second", "third", "fourth", "fifth"), 100)
    assert {name: len(found) for name, found in sets.items()} == {"tuning": 120, "close": 36, **numbers}
    assert set(sets["close"]) == set(kept["close"])
    assert len({name for found in sets.values() for name in found}) == 656
    for found in sets.values():
        assert [one.name for one in recipes.named(found[5:12])] == found[5:12]


def test_more_seeds_near_the_line(bench: Any) -> None:
    """Three seeds that end within NEAR of the line are joined by six; one left early counts as right nowhere."""
    trains = bench["trains"]
    near, far = [[0.1, 0.2, 0.3], [0.21, 0.27, 0.3]], [[0.1, 0.2, 0.3]]
    assert trains.unsure({"runs": {"0.001": near}})
    assert not trains.unsure({"runs": {"0.001": far}})
    more = trains.side_by_side(near, [[0.2] * 6])
    assert more == [[0.1, 0.2, 0.3, *[0.2] * 6], [0.21, 0.27, 0.3, *[0.0] * 6]]
    assert not trains.unsure({"runs": {"0.001": more}})
    assert trains.best({"runs": {"0.001": more}}) == 0.2


def test_more_seeds_are_trained_at_every_rate(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trains, recipe = bench["trains"], bench["recipes"].Recipe("", "dense(8, relu)", "torch", "", 8, 1)
    monkeypatch.setattr(trains, "LEARNT", 0.1)  # where it is after a step
    monkeypatch.setattr(trains, "NEAR", 0.1)
    found = trains.measured(recipe, trains.mnist1d(), 1)
    assert {rate: [len(look) for look in looks] for rate, looks in found["runs"].items()} == {
        str(rate): [9] for rate in trains.RATES
    }
    again = trains.measured(recipe, trains.mnist1d(), 1, kept=found)
    assert again["runs"] == found["runs"]


@pytest.mark.parametrize("initialiser", ["glorot_uniform", "he_normal", "lecun_normal", "orthogonal", "torch"])
def test_weights_are_drawn_as_described(bench: Any, initialiser: str) -> None:
    spec = "dense(64, tanh), residual(dense(64), layer_norm, relu)*2, dense(10)"
    nets = bench["stacked"].stacked(spec, initialiser, 40, SEEDS)
    drawn = [module for module in nets.modules() if isinstance(module, bench["stacked"].Dense)]
    described = build(spec, initialiser=initialiser, features=40).kernels
    assert len(drawn) == len(described)
    for module, layer in zip(drawn, described, strict=True):
        assert layer.kernel is not None
        assert layer.bias is not None
        assert tuple(module.kernel.shape[1:]) == (layer.fan_in, layer.units)
        assert float(module.kernel.square().mean()) == pytest.approx(layer.kernel.second_moment, rel=0.06, abs=0)
        assert float(module.bias.square().mean()) == pytest.approx(layer.bias.second_moment, rel=0.3, abs=0)


def test_the_cured_twin_begins_as_an_isometry(bench: Any) -> None:
    import torch

    x = torch.randn(1, 50, 40, generator=torch.Generator().manual_seed(1)).expand(len(SEEDS), -1, -1)
    twins = bench["stacked"].looks_linear(30, 64, 40, 10, SEEDS)
    behind = twins[:-1](x)  # of the last activation: u and -u have passed it, f(u) - f(-u) = u
    half = behind.shape[2] // 2
    lengths = (behind[..., :half] - behind[..., half:]).norm(dim=2) / x.norm(dim=2)
    assert float(lengths.std() / lengths.mean()) < 0.2
    assert 0.7 < float(lengths.mean()) < 1.1


@pytest.mark.parametrize(
    ("body", "initialiser"),
    [
        ("dense(64, tanh)*12", "glorot_uniform"),
        ("dense(64, sigmoid)*5", "glorot_uniform"),
        ("dense(64, softplus)*12", "torch"),
        ("(dense(64), batch_norm, relu)*12", "he_normal"),
        ("dense(64), residual(layer_norm, dense(64, gelu))*12", "lecun_normal"),
    ],
)
def test_the_first_step_against_backpropagation(bench: Any, body: str, initialiser: str) -> None:
    """The smallest gradient and the scatter of a step within a quarter of a decade of what torch finds."""
    trains, told = bench["trains"], bench["told"]
    recipe = bench["recipes"].Recipe("", body, initialiser, "", 64, 12)
    parts = trains.mnist1d()
    found = told.tell(recipe, trains.BATCH, trains.STEPS).learning
    kernels = build(recipe.spec, initialiser=initialiser, features=40).kernels
    logs = np.array(
        trains.gradients(bench["stacked"].stacked(recipe.logits, initialiser, 40, trains.SEEDS), parts)
    )  # the median of three seeds
    assert found.smallest_gradient == pytest.approx(logs.min(), rel=0, abs=0.25)
    assert found.scatter == pytest.approx(scattered(logs, kernels, trains.BATCH), rel=0, abs=0.25)


@pytest.mark.soak
def test_what_is_kept_can_be_judged(bench: Any) -> None:
    done = subprocess.run([sys.executable, "trains.py", "quick"], cwd=BENCH, capture_output=True, text=True, check=True)
    assert done.stdout.count("told: learns True") == 3
    best = [float(line.split()[1]) for line in done.stdout.splitlines()]
    assert statistics.median(best) > 0.2


def test_the_interval_of_a_share(bench: Any) -> None:
    assert bench["told"].wilson(95, 100) == pytest.approx((0.8882, 0.9785), rel=1e-3, abs=0)
    assert bench["told"].wilson(0, 10)[1] == pytest.approx(0.2775, rel=1e-3, abs=0)
