"""Trials train copies: the same for the same seed, comparable between arms, and the user's own model is only read."""

import math
import random

import keras
import numpy as np
import pytest
from families import FAMILIES, L, inputs_of
from looking import labelled, sick

from unvanish.core.edit import AddNorm, AddResidual, Clip, Prescription, Redraw, SwapActivation
from unvanish.core.measures.stuck import stuck
from unvanish.diagnosing import diagnose
from unvanish.errors import UnsupportedError
from unvanish.keras.batches import Batches
from unvanish.keras.trainer import KerasTrainer

pytestmark = pytest.mark.keras
HIDDEN = ("h0", "h1", "h2", "h3")


def small(optimizer="adam", activation="sigmoid", loss="binary_crossentropy"):
    hidden = [L.Dense(16, activation, name=name) for name in HIDDEN]
    model = keras.Sequential([keras.Input((20,)), *hidden, L.Dense(1, "sigmoid", name="out")])
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def trainer(model=None, kind="teacher", **options):
    x, y = labelled(kind)
    return KerasTrainer(model or small(), Batches.of_arrays(x, y, **options), planned_steps=100)


def prescribed(*edits):
    return Prescription(name="cure", change="a change", invasiveness="one word", edits=edits, answers=())


TANH = prescribed(SwapActivation(layers=HIDDEN, activation="tanh"))
LINEAR = prescribed(
    SwapActivation(layers=HIDDEN, activation="relu"), Redraw(layers=(*HIDDEN, "out"), scheme="looks_linear")
)
ARMS = {
    "tanh": TANH,
    "looks linear": LINEAR,
    "centred": prescribed(Redraw(layers=HIDDEN, scheme="centred_orthogonal", gain=4.0)),
    "norm": prescribed(AddNorm(layers=HIDDEN, kind="batch_norm", before=True)),
    "branch": prescribed(AddResidual(layers=HIDDEN[1:])),
}


def test_cures_train_where_the_network_itself_is_stuck():
    model = sick(depth=7, width=32)
    hidden = tuple(layer.name for layer in model.layers[:-1])
    trials = trainer(model)
    as_it_is, seen = trials.train(None, 0, 1e-3, 100)
    clipped, _ = trials.train(prescribed(Clip(kind="norm", bound=1.0)), 0, 1e-3, 100)
    cured, after = trials.train(prescribed(SwapActivation(layers=hidden, activation="tanh")), 0, 1e-3, 100)
    assert (as_it_is.stuck, clipped.stuck, cured.stuck) == (True, True, False)
    for run in (as_it_is, clipped):  # one answer to all
        assert max(run.score, 1 - run.score) == pytest.approx(trials.chance, rel=1e-9, abs=0)
    assert cured.score > 0.65
    assert cured.loss < 0.65 < 0.69 < as_it_is.loss < 0.7
    assert (diagnose(seen).verdict, diagnose(after).verdict) == ("vanishing", "healthy")
    assert [profile.step for profile in after.profiles] == [0, 100]


@pytest.mark.parametrize("arm", ARMS)
def test_every_kind_of_edit_trains(arm):
    trials = trainer()
    run, seen = trials.train(ARMS[arm], 0, 3e-3, 120)
    assert not run.stuck
    assert run.loss < run.loss_before
    assert run.score > trials.chance
    assert run.seconds > 0
    look = trials.look(ARMS[arm], 0)
    assert look.profiles[0].loss == pytest.approx(seen.profiles[0].loss, rel=1e-6, abs=0)


def test_the_same_seed_gives_the_same_run_to_the_bit():
    once, twice = trainer(), trainer()
    other = once.train(LINEAR, 1, 1e-3, 30)[0]
    first = once.train(TANH, 0, 1e-3, 30)[0]
    once.train(TANH, 1, 1e-2, 30)
    random.seed(7)
    np.random.seed(7)
    again, fresh = once.train(TANH, 0, 1e-3, 30)[0], twice.train(TANH, 0, 1e-3, 30)[0]
    for field in ("loss_before", "loss", "score", "train_score", "stuck"):
        assert getattr(first, field) == getattr(again, field) == getattr(fresh, field)
    assert other.loss != first.loss


@pytest.mark.every_backend
def test_a_training_does_not_depend_on_those_before_it():
    """Dropout without a seed draws from whatever generator the backend has."""
    hidden = [layer for name in HIDDEN for layer in (L.Dense(16, "tanh", name=name), L.Dropout(0.3))]
    model = keras.Sequential([keras.Input((20,)), *hidden, L.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    trials = trainer(model)
    first = trials.train(None, 1, 1e-3, 20)[0]
    again = trials.train(None, 1, 1e-3, 20)[0]  # its start is kept by now, its copy compiled
    trials.train(None, 2, 1e-2, 20)
    trials.train(ARMS["norm"], 1, 1e-3, 20)
    for run in (again, trials.train(None, 1, 1e-3, 20)[0], trainer(model).train(None, 1, 1e-3, 20)[0]):
        assert (run.loss_before, run.loss, run.train_score) == (first.loss_before, first.loss, first.train_score)


def test_other_arrays_take_the_place_of_the_own():
    (x, y), (other, labels) = labelled("teacher"), labelled("random")
    one, two = KerasTrainer(small(), Batches.of_arrays(x, y)), KerasTrainer(small(), Batches.of_arrays(other, labels))
    arrays = one.arrays()
    assert any(array is x for array in arrays.values()), "data are not copied"
    mine = two.with_arrays({name: np.array(array) for name, array in arrays.items()})
    assert mine.train(TANH, 1, 1e-3, 20)[0].loss == one.train(TANH, 1, 1e-3, 20)[0].loss
    assert mine.look(None, 0).data == one.look(None, 0).data
    assert mine.arrays().keys() == arrays.keys()
    assert all(np.array_equal(array, arrays[name]) for name, array in mine.arrays().items())
    with pytest.raises(UnsupportedError, match="gave another model, or other data"):
        two.with_arrays({"variable 0": np.zeros((20, 17), np.float32)})


def test_a_fingerprint_is_of_the_data_and_of_weights_that_no_training_draws():
    x, y = labelled("teacher")

    def told(model, inputs):
        return KerasTrainer(model, Batches.of_arrays(inputs, y)).fingerprint()

    moved = x.copy()
    moved[-1, -1] += 1e-3
    frozen = [small(), small()]
    for model in frozen:
        model.get_layer("h1").trainable = False
        model.compile("adam", "binary_crossentropy")
    assert told(small(), x) == told(small(), x), "other weights of the same initializers"
    assert len({told(small(), x), told(small(), moved), *(told(model, x) for model in frozen)}) == 4


def test_the_untreated_arm_is_the_training_that_fit_would_do():
    model = small(keras.optimizers.SGD(0.1, momentum=0.9))
    trials = trainer(model)
    run, _ = trials.train(None, 3, 0.1, 25)
    twin = trials.fresh(None, 3)
    x, y, _ = (
        np.concatenate(part) if part[0] is not None else None for part in zip(*_order(trials, 3, 25), strict=True)
    )
    twin.fit(x, y, batch_size=32, shuffle=False, verbose=0)
    held = trials._batches.held_out()
    assert run.loss == pytest.approx(twin.evaluate(*held, verbose=0)[0], rel=1e-5, abs=0)


def _order(trials, seed, steps):
    return list(trials._batches.epochs_order(steps, seed))


def test_nothing_of_the_users_is_touched():
    model = small()
    x, y = labelled("teacher")
    model.fit(x, y, verbose=0)
    random.seed(1)
    np.random.seed(1)
    keras.utils.set_random_seed(5)
    before = state(model)
    kept = random.getstate(), np.random.get_state()[1].tolist()
    trials = trainer(model)
    for arm in (None, *ARMS.values()):
        trials.look(arm, 0)
    trials.train(TANH, 0, 1e-3, 5)
    trials.fresh(LINEAR, 0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == kept
    assert all(np.array_equal(old, new) for old, new in zip(before, state(model), strict=True))
    drawn = keras.ops.convert_to_numpy(keras.random.normal((3,)))
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(drawn, keras.ops.convert_to_numpy(keras.random.normal((3,))))


def state(model):
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def test_one_architecture_is_compiled_once():
    trials = trainer()
    for rate in (1e-3, 3e-3):
        trials.train(None, 0, rate, 2)
        trials.train(ARMS["centred"], 1, rate, 2)
        trials.train(prescribed(Redraw(layers=HIDDEN, scheme="orthogonal")), 1, rate, 2)
    assert len(trials._copies) == 1
    trials.look(TANH, 0)
    assert len(trials._copies) == 2


def test_a_loss_that_is_no_number_is_a_score_of_minus_infinity():
    broken = prescribed(Redraw(layers=HIDDEN, scheme="normal", gain=1e30))
    run, seen = trainer(small(activation="relu", loss="mse"), kind="random").train(broken, 0, 1e3, 20)
    assert math.isnan(run.loss)
    assert run.score == -math.inf
    assert run.stuck
    assert len(seen.profiles) == 2


def test_a_schedule_stays_a_schedule():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([10], [0.1, 0.0])
    trials = trainer(small(keras.optimizers.SGD(schedule), activation="tanh"))
    assert trials.learning_rate() == pytest.approx(0.1, rel=1e-6, abs=0)
    short, long = (trials.train(None, 0, 0.1, steps)[0] for steps in (10, 30))
    assert short.loss == pytest.approx(long.loss, rel=0.02, abs=0)
    doubled = trials.train(None, 0, 0.2, 30)[0]
    assert doubled.loss < long.loss
    assert len(trials._copies) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains(family):
    model, x = FAMILIES[family](), inputs_of(family, 80)
    random = np.random.default_rng(0)
    shapes = model.outputs[0] if isinstance(model, keras.Sequential) else model.output
    y = keras.tree.map_structure(lambda out: random.normal(size=(80, out.shape[-1])), shapes)
    model.compile("adam", "mse")
    trials = KerasTrainer(model, Batches.of_arrays(x, y))
    run, _ = trials.train(None, 0, 1e-2, 20)
    assert trials.metric == "loss"
    assert run.score == -run.loss
    assert run.loss_before > 0
    assert run.train_score > -run.loss_before
    assert len(run.loss_parts) == 16, "as many as there are held-out samples"
    assert np.mean(run.loss_parts) == pytest.approx(run.loss, rel=1e-4, abs=0)
    assert np.std(run.loss_parts) > 0


class OwnStep(keras.Model):
    """A model whose train step tells nobody its loss."""

    def train_step(self, data):
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {}


def test_a_train_step_that_tells_no_loss_is_measured():
    chain = small(activation="tanh")
    model = OwnStep(chain.inputs, chain.outputs)
    model.compile("adam", "binary_crossentropy")
    trials = trainer(model)
    assert not trials.train(None, 0, 3e-3, 60)[0].stuck
    assert trials.train(None, 0, 1e-9, 60)[0].stuck


def test_half_precision_keeps_its_loss_scale():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small(keras.optimizers.SGD(0.05, momentum=0.9), activation="tanh")
        trials = trainer(model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert trials.learning_rate() == pytest.approx(0.05, rel=1e-6, abs=0)
    run, seen = trials.train(prescribed(Clip(kind="norm", bound=1.0)), 0, 0.05, 60)
    assert run.loss < run.loss_before
    assert seen.optimizer.dynamic_loss_scale
    assert seen.optimizer.clipping == "clipnorm 1"
    assert seen.optimizer.learning_rate == pytest.approx(0.05, rel=1e-6, abs=0)
    assert seen.profiles[0].dtype == "float16"
    assert isinstance(trials.fresh(None, 0).optimizer, keras.optimizers.LossScaleOptimizer)


def test_what_was_adapted_before_the_training_is_kept():
    x, y = labelled("teacher")
    scaled = L.Normalization()
    scaled.adapt(x * 100 + 7)
    model = keras.Sequential([keras.Input((20,)), scaled, L.Dense(8, "tanh"), L.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    trials = KerasTrainer(model, Batches.of_arrays(x * 100 + 7, y))
    fresh = trials.fresh(None, 0)
    part = keras.Model(fresh.inputs, fresh.layers[0].output)
    assert np.abs(part.predict(x * 100 + 7, verbose=0).mean()) < 1e-3
    assert trials.train(None, 0, 1e-2, 60)[0].loss < 0.69


def test_a_model_of_the_users_own_class_says_why_not():
    class Own(keras.Model):
        def __init__(self, layer):
            super().__init__()
            self.out = layer

        def call(self, x):
            return self.out(x)

    model = Own(L.Dense(1))
    model(np.ones((2, 20), "float32"))
    model.compile("adam", "mse")
    with pytest.raises(UnsupportedError, match="not made a second time"):
        trainer(model).look(None, 0)


def test_a_loss_stands_still_unless_it_falls_by_more_than_it_varies():
    noise = np.random.default_rng(0).normal(size=20) * 0.01
    falling = 0.69 - 0.005 * np.arange(20)
    assert stuck(0.69 + noise)
    assert not stuck(falling + noise)
    assert stuck(0.69 + noise + 0.3 * np.exp(-np.arange(20.0)), chance=0.693), "a bad start is no progress"
    assert not stuck(0.69 + noise + 0.3 * np.exp(-np.arange(20.0) / 4))
    assert stuck([1.0, 2.0, math.nan])
    assert not stuck([1.0, 0.5])
    # by hand: quarters 1.0 and 0.9; differences 0, -0.1, 0 beyond the first quarter, sd 0.0577
    assert stuck([1.0, 1.0, 0.9, 0.9])
    assert not stuck([1.0, 1.0, 0.5, 0.5, 0.2, 0.2, 0.1, 0.1])


def test_a_training_that_cannot_be_repeated_or_compared_is_refused():
    remembers = keras.Sequential([keras.Input(batch_shape=(10, 5, 4)), L.SimpleRNN(4, stateful=True), L.Dense(1)])
    remembers.compile("adam", "mse")
    data = Batches.of_arrays(np.zeros((50, 5, 4)), np.zeros((50, 1)), batch_size=10)
    with pytest.raises(UnsupportedError, match="cannot be compared") as refused:
        KerasTrainer(remembers, data)
    assert "stateful layers" in refused.value.found

    class Own(keras.Model):
        def train_step(self, data):
            raise NotImplementedError

    entry = keras.Input((20,))
    silent = Own(entry, L.Dense(1)(entry))
    silent.compile("adam")
    with pytest.raises(UnsupportedError, match="cannot be compared") as refused:
        trainer(silent)
    assert "only the train_step of Own knows" in refused.value.found
