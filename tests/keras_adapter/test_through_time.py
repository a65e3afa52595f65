"""The gradient through time, against closed forms and against finite differences in float64."""

import math

import keras
import numpy as np
import pytest

from unvanish.keras.kinds import kind_of
from unvanish.keras.through_time import root_mean_square, through_time, unit_cotangent

pytestmark = pytest.mark.keras
L = keras.layers
STEPS, UNITS, FEATURES, SAMPLES = 9, 6, 4, 5


def inputs(seed=0, steps=STEPS):
    return np.random.default_rng(seed).normal(size=(SAMPLES, steps, FEATURES))


def net(*layers, features=FEATURES, dtype="float64"):
    model = keras.Sequential([keras.Input((None, features), dtype=dtype), *layers])
    model.compile("sgd", "mse")
    return model


def profile(model, x):
    found = through_time(model, x)
    assert len(found) == 1
    return 10 ** np.array(found[0].log10_gradient)


def linear(**options):
    return L.SimpleRNN(UNITS, activation="linear", dtype="float64", **options)


def by_powers(layer, v, count=STEPS):
    """Return |W_x W^(T-t) v| for t = 1 .. T, the root mean square over samples."""
    kernel, recurrent = (np.asarray(w, dtype=np.float64) for w in layer.get_weights()[:2])
    norms, back = [], v
    for _ in range(count):
        norms.append(np.sqrt(np.mean(np.sum((back @ kernel.T) ** 2, axis=1))))
        back = back @ recurrent.T
    return np.array(norms[::-1])


def test_a_linear_network_multiplies_by_its_kernel_once_a_step():
    layer = linear(recurrent_initializer=keras.initializers.RandomNormal(0.0, 0.2, seed=1))
    found = profile(net(layer), inputs())
    assert found == pytest.approx(by_powers(layer, unit_cotangent((SAMPLES, UNITS))), rel=1e-9, abs=0)
    assert found[0] < 0.1 * found[-1]


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.5])
def test_an_orthogonal_kernel_of_some_gain_gives_a_line_of_that_slope(gain):
    model = net(linear(recurrent_initializer=keras.initializers.Orthogonal(gain, seed=2), kernel_initializer=ones))
    log10 = np.array(through_time(model, inputs())[0].log10_gradient)
    slopes = np.diff(log10)
    # every W_x row is the same vector u, so |W_x W^k v| = gain^k |u . O^k v|: random in O^k v, the mean is the slope
    assert abs(np.mean(slopes) + math.log10(gain)) < 0.2


def ones(shape, dtype=None):
    return keras.ops.ones(shape, dtype=dtype)


def finite_differences(model, layer, x, h=1e-5):
    """Return |d (v . h_T)/d x_t|, by moving every entry of the input; all the moved inputs go in as one batch."""
    samples, steps, features = x.shape
    moves = h * np.eye(steps * features).reshape(-1, 1, steps, features)
    moved = np.concatenate([x + moves, x - moves]).reshape(-1, steps, features)
    out = np.asarray(keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor(moved))), dtype=np.float64)
    out = out[:, -1] if out.ndim == 3 else out
    out = out.reshape(2, steps, features, samples, -1)
    up, down = np.sum(out * unit_cotangent(out.shape[-2:]), axis=-1)
    gradient = (up - down) / (2 * h)
    return np.sqrt(np.mean(np.sum(gradient**2, axis=1), axis=-1))


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("kind", [L.LSTM, L.GRU, L.SimpleRNN])
def test_gates_by_finite_differences(kind, sequences):
    layer = kind(UNITS, return_sequences=sequences, dtype="float64")
    model, x = net(layer), inputs()
    assert profile(model, x) == pytest.approx(finite_differences(model, layer, x), rel=1e-6, abs=0)
    cell = {L.LSTM: "lstm", L.GRU: "gru", L.SimpleRNN: "rnn"}[kind]
    assert through_time(model, x)[0].cell == cell


def test_a_layer_that_reads_backwards_is_told_in_the_order_in_which_it_reads():
    layer = L.GRU(UNITS, go_backwards=True, dtype="float64")
    model, x = net(layer), inputs()
    assert profile(model, x) == pytest.approx(finite_differences(model, layer, x)[::-1], rel=1e-6, abs=0)


def test_both_directions_and_every_layer_of_a_stack():
    model = net(
        L.LSTM(UNITS, return_sequences=True, dtype="float64", name="first"),
        L.Bidirectional(L.GRU(3, dtype="float64"), dtype="float64", name="both"),
        L.Dense(1, dtype="float64"),
    )
    x = inputs()
    found = {p.layer: 10 ** np.array(p.log10_gradient) for p in through_time(model, x)}
    first, both = model.layers[0], model.layers[1]
    between = keras.ops.convert_to_numpy(first(keras.ops.convert_to_tensor(x)))
    assert list(found) == ["first", f"both/{both.forward_layer.name}", f"both/{both.backward_layer.name}"]
    for layer, name, given, order in (
        (first, "first", x, 1),
        (both.forward_layer, f"both/{both.forward_layer.name}", between, 1),
        (both.backward_layer, f"both/{both.backward_layer.name}", between, -1),
    ):
        expected = finite_differences(model, layer, given)[::order]
        assert found[name] == pytest.approx(expected, rel=1e-6, abs=0), name


def test_steps_that_are_masked_do_not_count_and_last_steps_stand_together():
    layer = linear(recurrent_initializer=keras.initializers.RandomNormal(0.0, 0.2, seed=1))
    model = net(L.Masking(dtype="float64"), layer)
    x, lengths = inputs(), [9, 9, 7, 4, 2]
    for row, length in zip(x, lengths, strict=True):
        row[length:] = 0.0
    v = unit_cotangent((SAMPLES, UNITS))
    squares = np.zeros(STEPS)
    for sample, length in enumerate(lengths):
        squares[STEPS - length :] += by_powers(layer, v[sample : sample + 1], length) ** 2
    counts = np.array([sum(length >= STEPS - t for length in lengths) for t in range(STEPS)])
    assert profile(model, x) == pytest.approx(np.sqrt(squares / counts), rel=1e-9, abs=0)


def test_a_cell_of_the_users_own_and_a_stack_of_cells():
    class Halving(L.Layer):
        state_size = output_size = FEATURES

        def call(self, x, states):
            state = 0.5 * states[0] + x
            return state, [state]

    model = net(L.RNN(Halving(dtype="float64"), dtype="float64"))
    found = through_time(model, inputs())[0]
    assert found.cell == "other"
    assert found.log10_gradient == pytest.approx([math.log10(0.5) * (STEPS - 1 - t) for t in range(STEPS)], rel=1e-9)
    stacked = net(L.RNN([L.GRUCell(3), L.LSTMCell(2)]), dtype="float32")
    assert [p.cell for p in through_time(stacked, inputs().astype("float32"))] == ["other"]


def test_a_layer_used_twice_has_a_profile_for_each_use():
    shared = linear(return_sequences=True, name="twice")
    entry = keras.Input((STEPS, UNITS), dtype="float64")
    model = keras.Model(entry, shared(shared(entry)))
    x = np.random.default_rng(0).normal(size=(SAMPLES, STEPS, UNITS))
    assert [p.layer for p in through_time(model, x)] == ["twice", "twice:2"]


def test_nothing_is_left_behind():
    keras.utils.set_random_seed(0)
    layer = L.LSTM(UNITS, dropout=0.5, recurrent_dropout=0.5, stateful=True, return_sequences=True)
    entry = keras.Input(batch_shape=(SAMPLES, STEPS, FEATURES))
    model = keras.Model(entry, layer(entry))
    x = inputs().astype("float32")
    model(x, training=True)
    before = [v.numpy().tobytes() for v in model.variables], sorted(vars(layer)), layer.return_sequences
    state = np.random.get_state()[1].tolist()
    through_time(model, x)
    assert ([v.numpy().tobytes() for v in model.variables], sorted(vars(layer)), layer.return_sequences) == before
    assert np.random.get_state()[1].tolist() == state
    assert kind_of(layer) == "recurrent"


def test_a_network_without_a_recurrent_layer_has_none():
    assert through_time(net(L.Dense(3)), inputs().astype("float32")) == ()


def test_the_root_mean_square_of_a_mask_by_hand():
    norms = np.array([[3.0, 4.0, 9.0], [1.0, 2.0, 5.0]])
    mask = np.array([[True, True, False], [True, True, True]])
    assert root_mean_square(norms, mask).tolist() == pytest.approx(
        [1.0, math.sqrt(6.5), math.sqrt(20.5)], rel=1e-12, abs=0
    )
