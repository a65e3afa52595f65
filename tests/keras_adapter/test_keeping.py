"""What a sampled step begins with: there when it is wanted, the true values, and nothing is copied for it elsewhere."""

import itertools

import keras
import numpy as np
import pytest
from planted import BAD, SIZE
from planted import fitted as spoilt_fit
from planted import made as spoilt_model
from stepped import BACKEND, STEPS, assert_same_bits, fitted, made, state, unwatched

import unvanish
from unvanish.core import spoilt_file
from unvanish.keras.nonfinite import weights_of
from unvanish.watching import pace as pace_module

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]

WAYS = ["small", "large"] if BACKEND == "jax" else ["small"]


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Keep what a step begins with as of a small network, and as of a large one."""
    if request.param == "large":
        monkeypatch.setattr("unvanish.keras.backends.jax_keeping.LARGE", 0)
    return request.param


@pytest.mark.parametrize("every", [1, 5, "auto"])
def test_the_bits_are_those_of_an_unwatched_fit_also_where_every_sample_is_looked_into(
    way, every, tmp_path, monkeypatch
):
    monkeypatch.setattr(pace_module, "LOOK_STEPS", 1)
    values, history = unwatched("residual", "adam")
    model, watch = made("residual", "adam"), unvanish.keras.Watch(every=every, folder=tmp_path)
    assert fitted(model, callbacks=[watch]).history == history
    assert_same_bits(state(model), values)
    looked = watch.recording.looked_into()
    assert looked[:3].all() if every != "auto" else looked.any()  # a last batch that is smaller is not


def test_the_weights_before_a_spoilt_step_are_those_of_a_training_that_ended_there(way, tmp_path):
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    spoilt_fit(spoilt_model("division by 0"), [watch])
    spoilt, values = spoilt_file.read(watch.run)
    assert (spoilt.step, spoilt.located.layer) == (BAD, "part")
    alone = spoilt_model("division by 0")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(SIZE * 6, 6)).astype("float32")[: SIZE * BAD]
    alone.fit([x, np.zeros((len(x), 1), "float32")], x[:, :1].copy(), batch_size=SIZE, shuffle=False, verbose=0)
    for place, variable in enumerate(weights_of(alone)):
        assert values[f"weight/{place}"].tobytes() == keras.ops.convert_to_numpy(variable.value).tobytes(), (
            variable.path
        )


def test_single_steps_are_kept_too(way, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(SIZE, 6)).astype("float32"), rng.normal(size=(SIZE, 1)).astype("float32")

    def trained(model):
        for step in range(5):
            model.train_on_batch([x, np.full((SIZE, 1), step == BAD, "float32")], y)

    alone, model = spoilt_model("log of 0"), spoilt_model("log of 0")
    trained(alone)
    with unvanish.watch(model, every=1, folder=tmp_path) as watch:
        trained(model)
    assert_same_bits(state(model), state(alone))
    assert spoilt_file.read(watch.begun.folder)[0].step == BAD


if BACKEND == "jax":

    def test_the_weights_of_two_steps_take_turns_in_the_same_memory(monkeypatch, tmp_path):
        monkeypatch.setattr("unvanish.keras.backends.jax_keeping.LARGE", 0)
        places = []

        class Looks(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                weights, spare = self.model._jax_state["trainable_variables"], watch._running._held._keeper._spare
                places.append([{v.unsafe_buffer_pointer() for v in group} for group in (weights, spare)])

        watch = unvanish.keras.Watch(every=1, folder=tmp_path)
        fitted(made("residual", "adam"), callbacks=[watch, Looks()])
        assert len(places) == STEPS
        for (weights, spare), (later, other) in itertools.pairwise(places[1:]):
            assert weights == other
            assert spare == later


if BACKEND == "tensorflow":

    def test_nothing_is_copied_of_a_step_that_nobody_wants(monkeypatch, tmp_path):
        monkeypatch.setattr(pace_module, "LOOK_STEPS", 3)
        found = []

        class Looks(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                found.extend(held.sums for held in watch._running._held._held)

        watch = unvanish.keras.Watch(every=1, folder=tmp_path)
        model = made("residual", "adam")
        fitted(model, callbacks=[watch, Looks()])
        sizes = {id(sums): sum(len(vector) for vector in sums["weights"][0].values()) for sums in found}
        whole = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
        assert set(sizes.values()) == {0, whole}
