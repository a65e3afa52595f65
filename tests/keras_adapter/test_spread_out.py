"""Trainings over several devices, watched: the same bits, and the gradient of the whole batch, raw, against numpy."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import spread_out
from spread_out import BATCH, FEATURES, INF, UNITS
from stepped import BACKEND, NETS, OPTIMIZERS, made

import unvanish
from unvanish.keras.backends.shared import Shared

if BACKEND == "torch":
    pytest.skip("Keras distributes nothing on torch", allow_module_level=True)

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]

QUICK = ("1", "auto", "inf")
MORE = ("5", "normalised", "scaled", "words", "eager", "several")
FIRST, HOWS = {
    "jax": ("data", ("data", "model")),
    "tensorflow": ("replicas", ("replicas", "reducing", "one replica", "one device")),
}[BACKEND]
REPLICAS = ("replicas", "reducing")
STEPS = 12


@functools.cache
def trained(how: str, *cases: str) -> dict[str, Any]:
    """Return what a process of its own prints, in which there are two devices."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, spread_out.__file__, how, folder, *cases],
            env={**os.environ, "KERAS_BACKEND": BACKEND},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def parts_of(how: str, rows: slice, count: int) -> list[slice]:
    """Return the rows that each replica is given of a batch: the first ones are given one more."""
    begin, end = rows.start, min(rows.stop, count)
    if how not in REPLICAS:
        return [slice(begin, end)]
    middle = begin + (end - begin + 1) // 2
    return [slice(begin, middle), slice(middle, end)]


def expected(how: str, weights: list[list[Any]], step: int) -> tuple[float, dict[str, list[float]]]:
    """Return loss and statistics of a step by float64 numpy: the mean over the replicas of the means of their parts."""
    x, y = (part.astype(np.float64) for part in spread_out.data(how))
    before, after = ([np.array(v, np.float64) for v in weights[at]] for at in (step, step + 1))
    w1, b1, w2, b2 = before
    first = step % -(-len(x) // BATCH) * BATCH
    parts = parts_of(how, slice(first, first + BATCH), len(x))
    loss, g1, g2 = 0.0, np.zeros_like(w1), np.zeros_like(w2)
    for part in parts:
        h = np.tanh(x[part] @ w1 + b1)
        error = h @ w2 + b2 - y[part]
        back = 2 * error / len(error) / len(parts)
        loss += np.mean(error**2) / len(parts)
        g2 += h.T @ back
        g1 += x[part].T @ (back @ w2.T * (1 - h**2))
    norm = np.linalg.norm
    return float(loss), {
        "gradient_norm": [norm(g1), norm(g2)],
        "weight_norm": [norm(w1), norm(w2)],
        "update_norm": [norm(after[0] - w1), norm(after[2] - w2)],
        "gradient_zeros": [UNITS, 0],  # of the feature that is always zero
        "gradient_nonfinite": [0, 0],
    }


def assert_true(how: str, found: dict[str, Any], weights: list[list[Any]]) -> None:
    for row, step in enumerate(found["steps"]):
        loss, stats = expected(how, weights, step)
        assert found["losses"][row] == pytest.approx(loss, rel=1e-5, abs=0), step
        for stat, numbers in stats.items():
            rel = 1e-3 if stat == "update_norm" else 1e-5  # the difference of two float32 weights
            assert found["stats"][stat][row] == pytest.approx(numbers, rel=rel, abs=0), (stat, step)


def words_of(found: dict[str, Any]) -> list[str]:
    return [kind for kind, _ in found["words"]]


@pytest.mark.parametrize("case", QUICK)
def test_watching_changes_no_bit_of_what_two_devices_train(case, record_property):
    found = trained(FIRST, *QUICK)[case]
    assert (found["bits"], found["history"]) == (True, True)
    record_property(
        "same bits", (f"Keras on {BACKEND}, two devices ({FIRST})", "1, no number" if case == "inf" else case)
    )
    assert found["steps"][:3] == [0, 1, 2]
    assert len(found["steps"]) == STEPS or case == "auto"


@pytest.mark.parametrize("case", ["1", "auto"])
def test_numbers_are_those_of_the_whole_batch_raw_before_clipping(case):
    seen = trained(FIRST, *QUICK)
    assert_true(FIRST, seen[case], seen["weights"])


def test_what_is_not_recorded_over_several_devices_is_said_once():
    seen = trained(FIRST, *QUICK)
    told = dict(seen["1"]["words"])
    why = "several replicas train the model" if BACKEND == "tensorflow" else "the model is spread over several devices"
    assert told["activations"].startswith(f"activations are not recorded: {why}")
    if BACKEND == "tensorflow":
        assert told["unlocated"].startswith("where the first value that is no finite number arises is not looked for")
    assert len(words_of(seen["1"])) == len(told)
    assert np.isnan(seen["1"]["stats"]["output_second_moment"]).all()


def test_a_value_that_is_no_number_is_told_with_its_step():
    found = trained(FIRST, *QUICK)["inf"]
    (text,) = [text for kind, text in found["words"] if kind == "nonfinite"]
    assert text.startswith(f"step {INF // BATCH}: ")
    assert found["losses"][INF // BATCH] == np.inf
    assert found["stats"]["gradient_nonfinite"][INF // BATCH] == [FEATURES * UNITS, UNITS]


if BACKEND == "tensorflow":

    def test_replicas_that_nobody_tried_are_trained_unwatched_and_that_is_said(tmp_path, capsys):
        model = made("residual", "adam")
        watch = unvanish.keras.Watch(every=1, folder=tmp_path)
        watch.set_model(model)
        model._distribute_strategy = SimpleNamespace(num_replicas_in_sync=2)
        watch.on_train_begin()
        assert "is trained unwatched" in capsys.readouterr().err
        assert "train_function" not in vars(model) or model.train_function is None


def test_taps_of_steps_that_overlap_are_laid_once_and_taken_away_by_the_last():
    """As threads of two replicas do, which take turns within their steps."""
    laid = []

    @contextmanager
    def lay():
        laid.append("laid")
        yield
        laid.append("gone")

    shared = Shared(lay)
    first, second = shared.held(), shared.held()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert laid == ["laid"]
    second.__exit__(None, None, None)
    assert laid == ["laid", "gone"]
    with shared.held():
        assert laid[2:] == ["laid"]


@pytest.mark.soak
@pytest.mark.parametrize("how", HOWS)
def test_each_way_to_train_over_devices(how, record_property):
    cases = [case for case in ("1", *MORE) if (how, case) != ("replicas", "several")]  # where TensorFlow itself fails
    cases += ["own"] if how == "replicas" else []
    seen = trained(how, *cases)
    for case in cases:
        assert (seen[case]["bits"], seen[case]["history"]) == (True, True), case
        record_property("same bits", (f"Keras on {BACKEND}, devices ({how})", case))
    for case in ("1", "5"):
        assert_true(how, seen[case], seen["weights"])
    assert seen["5"]["steps"] == [0, 5, 10]
    if "several" in cases:
        assert seen["several"]["steps"] == [2, 3, 6, 7, 10, 11]
    for case in {"own", "scaled"} & set(cases):  # another loss that is the same, another optimizer
        mine, plain = seen[case], seen["1"]
        assert mine["stats"]["gradient_norm"][0] == pytest.approx(plain["stats"]["gradient_norm"][0], rel=1e-5, abs=0)
        assert mine["losses"][0] == pytest.approx(plain["losses"][0], rel=1e-5, abs=0)


@pytest.mark.soak
@pytest.mark.parametrize("net", NETS)
def test_each_network_with_each_optimizer(net):
    """Replicas of Keras cannot accumulate gradients, nor overwrite weights by their averages, watched or not."""
    optimizers = [name for name in OPTIMIZERS if BACKEND == "jax" or name not in ("accumulating", "averaged")]
    cases = [f"{net}:{optimizer}" for optimizer in optimizers]
    seen = trained(FIRST, *cases)
    assert {case: (seen[case]["bits"], seen[case]["history"]) for case in cases} == dict.fromkeys(cases, (True, True))
