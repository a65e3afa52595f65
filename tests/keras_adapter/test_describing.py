"""A script that is about to train a Keras model is ended before its first step; its model is told with its weights."""

from pathlib import Path

import keras
import loops
import numpy as np
import pytest
from every_loop import LOOPS, PATCHED
from loops import MADE, batch, by_fit, sequential

from unvanish.core.data_stats import data_info
from unvanish.keras.describing import Capture
from unvanish.watching.session import Enough, Plan

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


def described(train, **plan):
    with Capture(Plan(**plan), lambda *_: None, Path(loops.__file__)) as seen, pytest.raises(Enough):
        train()
    return seen


@pytest.mark.parametrize("kind", LOOPS)
def test_no_kind_of_loop_takes_a_step_and_each_tells_its_model(kind):
    before = [getattr(owner, name) for owner, name in PATCHED]
    seen = described(LOOPS[kind])
    assert seen.error is None
    assert [getattr(owner, name) for owner, name in PATCHED] == before
    fresh, found = sequential(), seen.observation
    assert [w.numpy().tobytes() for w in MADE[-2].weights] == [w.numpy().tobytes() for w in fresh.weights]
    kernels = [np.float64(keras.ops.convert_to_numpy(layer.kernel)) for layer in fresh.layers]
    told = [layer.kernel.variance for layer in found.network.kernels]
    assert told == pytest.approx([kernel.var() for kernel in kernels], rel=1e-6, abs=0)
    assert (found.profiles, found.recording.total_steps) == ((), 0)
    assert {leaf.name for leaf in found.network.layers if leaf.kind != "input"} <= seen.sites.keys()
    assert found.data.batch_size == 32
    if found.data.input_second_moment is not None:
        x, drawn = np.asarray(batch()[0], np.float64), kind == "generator"  # of a stream some samples are taken
        assert found.data.input_second_moment == pytest.approx((x**2).mean(), rel=0.1 if drawn else 1e-6, abs=0)


def test_moments_are_those_of_all_that_fit_was_given():
    x, y = batch(500)
    model = sequential()
    found = described(lambda: model.fit(x, y, batch_size=50, verbose=0)).observation.data
    assert found == data_info(x, y, samples=None, held_out=0, batch_size=50, loss_kind="binary_crossentropy")


def test_the_second_fit():
    def twice():
        by_fit()
        by_fit(sequential(optimizer="sgd"))

    seen = described(twice, fit=2)
    assert seen.observation.optimizer.family == "sgd"


def test_a_model_that_cannot_train_is_refused():
    def untrainable():
        model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(1, trainable=False)])
        model.compile("adam", "mse")
        model.fit(*batch(), verbose=0)

    seen = described(untrainable)
    assert seen.observation is None
    assert "no trainable weights" in str(seen.error)
