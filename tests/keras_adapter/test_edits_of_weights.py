"""What recurrent layers and measured kernels begin with: by closed forms and by numpy in float64."""

import keras
import numpy as np
import pytest
from families import L
from relative import apart

from unvanish.core.edit import CarryState, Redraw, RedrawRecurrence, SwapActivation, UnitVariance
from unvanish.errors import UnsupportedError, UsageError
from unvanish.keras.aside import aside
from unvanish.keras.describe import describe
from unvanish.keras.draw import drawn, initialise
from unvanish.keras.local_classes import OpenGate, OrthogonalBlocks
from unvanish.keras.source import source_of
from unvanish.keras.surgery import operated

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
STEPS, UNITS = 9, 5


def value(variable):
    return np.array(keras.ops.convert_to_numpy(variable), dtype=np.float64)


def recurrent(layer):
    return keras.Sequential([keras.Input((STEPS, 3)), layer, L.Dense(6, "tanh", name="d"), L.Dense(1, name="out")])


def names(model, kind="recurrent"):
    return tuple(layer.name for layer in describe(model).layers if layer.kind == kind)


def begun(model, *edits, seed=0, x=None):
    """Return a copy with the values that the edits begin with."""
    values = drawn(model, edits, seed, x)
    with aside(model, seed):
        copy = operated(model, edits).model
        for variable, new in zip(copy.variables, values, strict=True):
            variable.assign(new)
    return copy


def executed(text, *given):
    namespace = {}
    exec(compile(text, "<source>", "exec"), namespace)
    return namespace["build_model"](*given)


@pytest.mark.parametrize(("made", "gates"), [(L.SimpleRNN, 1), (L.GRU, 3), (L.LSTM, 4)])
def test_every_gate_has_an_orthogonal_block_of_its_own(made, gates):
    model = recurrent(made(UNITS))
    edit = RedrawRecurrence(layers=names(model), gain=1.5)
    for copy in (begun(model, edit), executed(source_of(model, (edit,)))):
        blocks = np.split(value(copy.layers[0].cell.recurrent_kernel), gates, axis=1)
        for block in blocks:
            assert apart(block @ block.T, 2.25 * np.eye(UNITS)) < 1e-5
        assert gates == 1 or apart(blocks[0], blocks[1]) > 0.5


def test_what_a_recurrence_is_drawn_with_leaves_everything_else_as_drawn():
    model = recurrent(L.LSTM(UNITS))
    plain, edited = drawn(model, (), 3), drawn(model, (RedrawRecurrence(layers=names(model)),), 3)
    differ = [i for i, (a, b) in enumerate(zip(plain, edited, strict=True)) if not np.array_equal(a, b)]
    assert [model.variables[i].name for i in differ] == ["recurrent_kernel"]
    again, other = (drawn(model, (RedrawRecurrence(layers=names(model)),), seed)[1] for seed in (3, 4))
    np.testing.assert_array_equal(edited[1], again)
    assert not np.array_equal(edited[1], other)


def test_cures_of_kernels_leave_recurrent_ones_alone():
    model = recurrent(L.GRU(UNITS))
    plain = drawn(model, (), 0)
    edits = (Redraw(layers=("d",), scheme="orthogonal"), UnitVariance(layers=("d",)))
    edited = drawn(model, edits, 0, np.ones((4, STEPS, 3), "float32") * np.arange(4.0)[:, None, None])
    differ = [model.variables[i].path for i in range(len(plain)) if not np.array_equal(plain[i], edited[i])]
    assert [path.rpartition("/")[0].rpartition("/")[2] for path in differ] == ["d"]


@pytest.mark.parametrize("made", [L.LSTM, L.GRU])
@pytest.mark.parametrize("bias", [1.0, 3.2])
def test_the_gate_carries_the_state_by_its_sigmoid_at_every_step(made, bias):
    """With all kernels at zero, c_t = sigmoid(b) c_(t-1) exactly, and so h_t of a GRU."""
    model = recurrent(made(UNITS))
    edit = CarryState(layers=names(model), bias=bias)
    for copy in (begun(model, edit), executed(source_of(model, (edit,)))):
        layer = copy.layers[0]
        for kernel in (layer.cell.kernel, layer.cell.recurrent_kernel):
            kernel.assign(np.zeros(kernel.shape))
        run = made(UNITS, return_state=True)
        run.build((1, STEPS, 3))
        for mine, theirs in zip(run.weights, layer.weights, strict=True):
            mine.assign(theirs)
        start = [keras.ops.ones((1, UNITS)) for _ in range(2 if made is L.LSTM else 1)]
        *_, carried = run(keras.ops.zeros((1, STEPS, 3)), initial_state=start if made is L.LSTM else start[0])
        expected = (1 / (1 + np.exp(-bias))) ** STEPS
        assert value(carried) == pytest.approx(np.full((1, UNITS), expected), rel=1e-5, abs=0)


def test_both_directions_are_reached_and_written():
    model = recurrent(L.Bidirectional(L.LSTM(UNITS)))
    edits = (RedrawRecurrence(layers=names(model)), CarryState(layers=names(model), bias=2.0))
    for copy in (begun(model, *edits), executed(source_of(model, edits))):
        for half in (copy.layers[0].forward_layer, copy.layers[0].backward_layer):
            block = value(half.cell.recurrent_kernel)[:, :UNITS]
            assert apart(block @ block.T, np.eye(UNITS)) < 1e-5
            assert value(half.cell.bias).reshape(4, UNITS)[:, 0].tolist() == [0.0, 2.0, 0.0, 0.0]


def inputs():
    return np.random.default_rng(0).normal(3.0, 4.0, size=(64, 6)).astype("float32")


def preactivations(model, x):
    """Return what the dense layers h0, h1, h2 give before their activation, by numpy in float64."""
    found, h = [], x.astype(np.float64)
    for name, function in (("h0", "tanh"), ("h1", "relu"), ("h2", "elu")):
        z = h @ value(model.get_layer(name).kernel) + value(model.get_layer(name).bias)
        found.append(z)
        relu = np.maximum(z, 0)
        h = {"tanh": np.tanh(z), "relu": relu, "elu": np.where(z > 0, z, np.expm1(z))}[function]
    return found


def chain():
    parts = [L.Dense(7, "tanh", name="h0"), L.Dense(8, "relu", name="h1"), L.Dense(9, "elu", name="h2")]
    return keras.Sequential([keras.Input((6,)), *parts, L.Dense(1, name="out")])


def test_every_preactivation_has_unit_variance_on_the_batch():
    names = ("h0", "h1", "h2")
    edits = (Redraw(layers=names, scheme="orthogonal"), UnitVariance(layers=names))
    x, model = inputs(), chain()
    for copy in (begun(model, *edits, x=x), executed(source_of(model, edits), x)):
        assert [z.std() for z in preactivations(copy, x)] == pytest.approx([1.0] * 3, rel=1e-5, abs=0)
        kernel = value(copy.get_layer("h1").kernel)
        gram = kernel @ kernel.T
        assert apart(gram, gram[0, 0] * np.eye(7)) < 1e-5
        assert copy.get_layer("h2").activation is keras.activations.elu
        assert not np.any(value(copy.get_layer("h0").bias))
    assert not np.allclose([z.std() for z in preactivations(begun(model, edits[0]), x)], 1.0, rtol=0.02), (
        "the scaling alone does it"
    )


def test_convolutions_and_branches_are_scaled_as_they_are_reached():
    start = keras.Input((8, 8, 2))
    h = L.Conv2D(4, 3, padding="same", activation="relu", name="c0")(start)
    h = L.Add()([h, L.Conv2D(4, 3, padding="same", name="c1")(h)])
    model = keras.Model(start, L.Dense(1)(L.Flatten()(L.Conv2D(3, 3, name="c2")(h))))
    names = ("c2", "c0", "c1")  # told in any order
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 2)).astype("float32") * 5
    edits = (Redraw(layers=names, scheme="orthogonal"), UnitVariance(layers=names))
    for copy in (begun(model, *edits, x=x), executed(source_of(model, edits), x)):
        for name in ("c1", "c2"):
            part = keras.Model(copy.inputs, copy.get_layer(name).output)
            assert value(part(keras.ops.convert_to_tensor(x))).std() == pytest.approx(1.0, rel=1e-4, abs=0)


def test_the_initializers_of_the_source_are_what_was_drawn():
    assert value(OpenGate(2.5, 1, 4)((8,))).tolist() == [0, 0, 2.5, 2.5, 0, 0, 0, 0]
    assert value(OpenGate(2.5, 0, 3)((2, 6))).tolist() == [[2.5, 2.5, 0, 0, 0, 0], [0] * 6]
    for one in (OpenGate(2.5, 1, 4), OrthogonalBlocks(2.0)):
        assert type(one).from_config(one.get_config()).get_config() == one.get_config()


def test_what_cannot_be_begun_so_says_why():
    model = recurrent(L.SimpleRNN(UNITS))
    with pytest.raises(UnsupportedError, match="no gate with a bias"):
        drawn(model, (CarryState(layers=names(model), bias=1.0),), 0)
    with pytest.raises(UnsupportedError, match="no recurrent kernel"):
        drawn(model, (RedrawRecurrence(layers=("d",)),), 0)
    with pytest.raises(UnsupportedError, match="cannot be scaled"):
        drawn(model, (UnitVariance(layers=names(model)),), 0, np.zeros((2, STEPS, 3), "float32"))
    with pytest.raises(UsageError, match="no batch"):
        drawn(model, (UnitVariance(layers=("d",)),), 0)
    with pytest.raises(UnsupportedError, match="no spread"):
        drawn(chain(), (UnitVariance(layers=("h0",)),), 0, np.zeros((4, 6), "float32"))
    unbiased = recurrent(L.LSTM(UNITS, use_bias=False))
    with pytest.raises(UnsupportedError, match="no gate with a bias"):
        drawn(unbiased, (CarryState(layers=names(unbiased), bias=1.0),), 0)
    warm = recurrent(L.GRU(UNITS, bias_initializer="ones"))
    with pytest.raises(UnsupportedError, match="cannot be written"):
        source_of(warm, (CarryState(layers=names(warm), bias=1.0),))


def test_the_model_is_left_as_it_was():
    model, x = chain(), inputs()
    before = [value(w) for w in model.weights]
    drawn(model, (UnitVariance(layers=("h0", "h1")), SwapActivation(layers=("h0",), activation="relu")), 0, x)
    copy = begun(model)
    initialise(copy, UnitVariance(layers=("h0",)), 0, x)
    assert "call" not in copy.get_layer("h0").__dict__
    assert "call" not in model.get_layer("h0").__dict__
    assert all(np.array_equal(a, value(b)) for a, b in zip(before, model.weights, strict=True))
