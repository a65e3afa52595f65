"""What loops on Keras' JAX backend do besides what those on every backend do."""

import signal

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("for Keras on JAX", allow_module_level=True)

import jax
from every_loop import kernels, looked, state
from jax import numpy as jnp
from loops import MADE, STEPS, batch, sequential
from loops_on_jax import by_jit, by_step, parts, state_of

from unvanish.keras import compat
from unvanish.keras.backends.jax import gradient_sums, moved_of, sums_of
from unvanish.keras.loops.bell import Bell
from unvanish.keras.loops.handing import PIECE, hand_out

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
L = keras.layers


def raw_gradients(model):
    """Return the norms of the kernels' gradients on the batch, in float64, by an unwatched pass."""
    x, y = batch()
    others = [v.value for v in model.non_trainable_variables]

    def loss(trained):
        output, _ = model.stateless_call(trained, others, x, training=True)
        return jnp.mean(keras.losses.binary_crossentropy(y, output))

    found = jax.grad(loss)([v.value for v in model.trainable_variables])
    return [float(np.linalg.norm(np.asarray(g, np.float64))) for g in found if g.ndim > 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.SGD(0.1, clipnorm=1e-3),
        lambda: keras.optimizers.Adam(clipvalue=1e-6, gradient_accumulation_steps=2),
        lambda: keras.optimizers.SGD(0.1, loss_scale_factor=64.0),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=2.0**10),
        lambda: keras.optimizers.AdamW(weight_decay=0.1, use_ema=True),
    ],
)
def test_what_is_read_is_the_raw_gradient_of_the_unscaled_loss(make):
    expected = raw_gradients(sequential())
    plain = state(by_jit(optimizer=make()))
    seen = looked(lambda: by_jit(optimizer=make()), steps=1000).observation
    assert seen.recording.array("gradient_norm")[0] == pytest.approx(expected, rel=1e-5, abs=0)
    assert seen.recording.losses[0] == pytest.approx(seen.profiles[0].loss, rel=1e-5, abs=0)
    assert kernels(seen.profiles[0], "transmission")[1]
    assert state(MADE[-1]) == plain


def everything():
    keras.utils.set_random_seed(2)
    parts = L.Dense(300, "relu"), L.BatchNormalization(), L.Dropout(0.3), L.Dense(80, "tanh"), L.Dense(1, "sigmoid")
    model = keras.Sequential([keras.Input((20,)), *parts])
    MADE.append(model)
    return model


@pytest.mark.parametrize("compiled", [jax.jit, lambda step: step])
def test_random_layers_and_moving_averages_are_those_of_the_loop(compiled):
    expected = state(by_step(compiled, model=everything()))
    seen = looked(lambda: by_step(compiled, model=everything()), steps=1000).observation
    assert state(MADE[-1]) == expected
    assert kernels(seen.profiles[0], "transmission")[1]
    assert [p.step for p in seen.profiles] == [0, STEPS]


def test_weights_that_the_loop_keeps_to_itself_are_named(monkeypatch):
    monkeypatch.setattr("unvanish.keras.loops.arrivals.EXACT_TOTAL", 10)
    seen = looked(by_jit).observation
    assert [p.step for p in seen.profiles] == [0]
    assert any("keeps its weights to itself" in words for words in seen.not_checked)


def test_a_penalty_that_the_loop_adds_is_part_of_its_loss():
    def made():
        keras.utils.set_random_seed(1)
        penalty = keras.regularizers.L2(0.01)
        return keras.Sequential([keras.Input((20,)), L.Dense(8, "tanh", kernel_regularizer=penalty), L.Dense(1)])

    def train():
        model, optimizer, loss = made(), keras.optimizers.SGD(0.01), keras.losses.MeanSquaredError()
        optimizer.build(model.trainable_variables)
        trained, others, own = state_of(model, optimizer)
        x, y = batch()

        def compute(trained):
            output, _, losses = model.stateless_call(trained, others, x, training=True, return_losses=True)
            return loss(y, output) + sum(losses)

        optimizer.stateless_apply(own, jax.grad(compute)(trained), trained)

    model = made()
    x, y = batch()
    output, kernel = (np.asarray(value, np.float64) for value in (model(x), model.layers[0].kernel))
    expected = np.mean((output - y) ** 2) + 0.01 * np.sum(kernel**2)
    seen = looked(train).observation
    assert seen.profiles[0].loss == pytest.approx(expected, rel=1e-5, abs=0)
    assert any("without what the loop adds" in words for words in seen.not_checked)


def test_a_loss_on_another_batch_beside_is_not_that_of_the_step():
    def train():
        model, optimizer, step = parts()
        held, loss = batch(8, seed=1), keras.losses.BinaryCrossentropy()
        score = jax.jit(lambda s, x, y: loss(y, model.stateless_call(s[0], s[1], x, training=False)[0]))
        state, step = state_of(model, optimizer), jax.jit(step)
        for _ in range(STEPS):
            score(state, *held)
            _, state = step(state, *batch())

    seen, expected = looked(train).observation, looked(by_jit).observation
    assert seen.recording.losses == pytest.approx(expected.recording.losses, rel=1e-6, abs=0)
    assert kernels(seen.profiles[0], "gradient_norm") == pytest.approx(
        kernels(expected.profiles[0], "gradient_norm"), rel=1e-6, abs=0
    )


def test_a_loop_without_an_end_is_ended():
    def endless():
        model, optimizer, step = parts()
        state, step = state_of(model, optimizer), jax.jit(step)
        while True:
            _, state = step(state, *batch())

    assert looked(endless, steps=5).observation.recording.total_steps == 5


SUMS = {
    "one": gradient_sums,
    "several": lambda g: sums_of([g, 2 * g, g[:2]], [g, 2 * g, g[:2]]),
    "moved": lambda g: moved_of([g, g[:2]], [2 * g, 3 * g[:2]]),
}


@pytest.mark.parametrize("kind", SUMS)
def test_what_compiles_nothing_is_not_made_to_compile_at_every_step(kind):
    compiled, gradients = [], [jnp.full((7, 13), 1e-3 * i) for i in (1, 2, 3)]
    SUMS[kind](gradients[0])
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if name == "/jax/core/compile/backend_compile_duration" else None
    )
    try:
        for gradient in gradients:
            SUMS[kind](gradient)
        assert compiled == []
        jax.jit(lambda x: x + 1)(1.0)  # the listener hears what is compiled
        assert compiled
    finally:
        jax.monitoring.clear_event_listeners()


@pytest.mark.parametrize("shape", [(), (3,), (2**15 + 7, 3)])
def test_an_array_of_any_size_is_handed_out_whole(shape):
    value = np.random.default_rng(0).normal(size=shape).astype("float32")
    found = []

    @jax.jit
    def function(x):
        hand_out(x, found.append, lambda: True)
        return x * 2

    function(value)
    jax.effects_barrier()
    assert value.nbytes > PIECE or value.size < 10
    assert np.array_equal(found[0], value)
    assert len(found) == 1


def test_a_signal_that_really_comes_is_the_scripts():
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda *_: heard.append(1))
    try:
        with Bell(lambda: heard.append("ours")):
            signal.raise_signal(signal.SIGUSR2)
        assert heard == [1]
        assert signal.getsignal(signal.SIGUSR2) is not before
        signal.raise_signal(signal.SIGUSR2)
        assert heard == [1, 1]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_variable_holds_what_it_is_lent_and_then_its_own_again():
    variable = keras.Variable([1.0, 2.0])
    own = variable.value
    with compat.lent([(variable, np.array([3.0, 4.0]))]):
        assert variable.numpy().tolist() == [3.0, 4.0]
    assert variable.value is own
