"""Networks at the edge: zeros, ones, one layer, none, explosions, lost graphs. No exception and no numpy warning."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.theory.forecast import forecast_network

pytestmark = pytest.mark.filterwarnings("error")


def zeros(shape):
    return np.zeros(shape)


def ones(shape):
    return np.ones(shape)


def numbers(forecast):
    """Return every float of a forecast, by name."""
    found = {}
    for record in (forecast, *forecast.layers):
        for field in record.__struct_fields__:
            value = getattr(record, field)
            if isinstance(value, float):
                found[f"{getattr(record, 'name', '')}.{field}"] = value
    return found


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "linear", "exponential", "softplus", "gelu"])
@pytest.mark.parametrize("init", [zeros, ones, "he", 30.0, 1e-3], ids=["zeros", "ones", "he", "gain30", "gain1e-3"])
@pytest.mark.parametrize("block", ["plain", "residual", "batch_norm_after", "layer_norm_before"])
def test_no_number_is_nan_whatever_the_weights(networks, activation, init, block):
    forecast = forecast_network(networks.of(networks.stack(5, activation, init, block=block)))
    assert not [name for name, value in numbers(forecast).items() if math.isnan(value)]
    assert all(type(value) is float for value in numbers(forecast).values())
    assert [layer.name for layer in forecast.layers][:2] == ["input", "dense_1"]


def test_kernels_of_zeros_stop_the_gradient(networks):
    forecast = forecast_network(networks.of(networks.stack(3, "sigmoid", zeros)))
    assert forecast.log10_first_over_last == -math.inf  # exactly zero, as a real network has it
    assert forecast.log10_sd is None
    assert forecast.layer("dense_3").log10_gradient_norm > -1
    assert forecast.layer("dense_3").transmission == 0
    _, passes = networks.measured(networks.stack(3, "sigmoid", zeros), 1)
    assert [networks.gradient_norm(passes[0][f"dense_{i}"]) for i in (1, 2)] == [0, 0]


def test_kernels_of_ones_are_forecast_by_their_mean(networks):
    build = networks.stack(3, "linear", ones)
    _, passes = networks.measured(build, 12)
    norms = np.log10([[networks.gradient_norm(run[f"dense_{i}"]) for i in (1, 2, 3)] for run in passes])
    forecast = forecast_network(networks.of(build))
    assert forecast.layer("dense_3").second_moment == pytest.approx((10 * 64 * 64) ** 2, rel=0.1, abs=0)
    found = [forecast.layer(f"dense_{i}").log10_gradient_norm for i in (1, 2, 3)]
    assert np.diff(found) == pytest.approx(np.diff(norms.mean(axis=0)), rel=0, abs=0.1)


def test_a_positive_kernel_explodes_through_its_mean(networks):
    def positive(shape):
        return np.random.default_rng(7).uniform(0, 0.1, shape)

    def build(net):
        for _ in range(4):
            net.dense(64, "relu", positive)
        net.dense(1, "linear", positive)
        net.dense(1, "sigmoid", 1.0)

    nets, passes = networks.measured(build, 4)
    forecast = forecast_network(nets[0])
    for name in ("dense_2", "dense_3", "dense_4"):
        seen = [run[name] for run in passes]
        q = np.mean([np.mean(s.preactivation**2) for s in seen])
        factor = np.mean([np.linalg.norm(s.d_inputs[0]) / np.linalg.norm(s.d_output) for s in seen])
        assert forecast.layer(name).second_moment == pytest.approx(q, rel=0.1, abs=0)
        assert forecast.layer(name).transmission == pytest.approx(factor, rel=0.15, abs=0)


def test_zero_initialised_branches_leave_the_trunk_alone(networks):
    def build(net):
        net.dense(64, "relu")
        for _ in range(4):
            trunk = net.last
            net.dense(64, "relu", "he")
            net.dense(64, "linear", zeros)
            net.add(trunk, net.last)
        net.dense(1, "sigmoid")

    forecast = forecast_network(networks.of(build))
    assert forecast.transmission_per_layer == pytest.approx(1, rel=1e-9, abs=0)
    assert abs(forecast.log10_first_over_last) < 0.5
    assert forecast.layer("dense_2").log10_gradient_norm == -math.inf  # by design
    assert forecast.layer("dense_3").log10_gradient_norm > -0.5
    assert forecast.layer("dense_3").gain == 0


def test_an_output_kernel_of_zeros_hides_all_the_others(networks):
    def build(net):
        net.dense(32, "tanh")
        net.dense(32, "tanh")
        net.dense(1, "sigmoid", zeros)

    forecast = forecast_network(networks.of(build))
    assert forecast.log10_first_over_last == -math.inf
    assert forecast.layer("dense_3").log10_gradient_norm == 0


@pytest.mark.parametrize(("init", "depth"), [("he", 6), (4.0, 300), ("he", 300)])
def test_an_exploding_exponential_is_inf_or_none(networks, init, depth):
    forecast = forecast_network(networks.of(networks.stack(depth, "exponential", init, width=16)))
    assert forecast.log10_first_over_last is None
    assert forecast.layers[-1].second_moment == math.inf
    assert forecast.safe_depth is None


def test_an_exploding_relu_is_inf(networks):
    forecast = forecast_network(networks.of(networks.stack(400, "relu", 20.0, width=16)))
    assert forecast.layers[-1].second_moment == math.inf
    assert forecast.layers[5].second_moment < math.inf


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_few_kernels(networks, depth):
    forecast = forecast_network(networks.of(networks.stack(depth, "tanh")))
    assert (forecast.log10_first_over_last is None) == (depth == 0)
    assert (forecast.log10_sd is None) == (depth == 0)
    assert (forecast.transmission_per_layer is None) == (depth == 0)


def test_no_kernels_and_no_layers(networks):
    forecast = forecast_network(networks.of(lambda net: net.activation("relu")))
    assert forecast.log10_first_over_last is None
    assert forecast.layers[1].activation_transmission == pytest.approx(math.sqrt(0.5), rel=0.5, abs=0)
    empty = forecast_network(Network(name="empty", framework="", layers=()))
    assert (empty.layers, empty.log10_first_over_last, empty.safe_depth) == ((), None, None)


@pytest.mark.parametrize("batch_size", [0, 1, 2, 100_000])
@pytest.mark.parametrize("block", ["plain", "batch_norm_after", "batch_norm_before"])
def test_batches_of_any_size(networks, batch_size, block):
    forecast = forecast_network(networks.of(networks.stack(4, "relu", block=block)), batch_size=batch_size)
    assert not any(math.isnan(value) for value in numbers(forecast).values())
    if block == "plain":
        assert math.isfinite(forecast.log10_first_over_last)


@pytest.mark.parametrize(
    ("second", "cross"),
    [(0.0, 0.0), (1e-12, 1e-12), (1e8, 1e8), (1.0, -0.2), (1.0, 5.0), (math.inf, 1.0), (math.nan, 0.0)],
)
def test_inputs_of_any_size(networks, second, cross):
    forecast = forecast_network(networks.of(networks.stack(4, "tanh")), second_moment=second, cross_moment=cross)
    assert not any(math.isnan(value) for value in numbers(forecast).values())
    if 0 < second < math.inf:
        assert math.isfinite(forecast.log10_first_over_last)


def test_a_thousand_layers(networks):
    deep = forecast_network(networks.of(networks.stack(1000, "sigmoid", width=16)))
    assert deep.log10_first_over_last == pytest.approx(-630, rel=0.05, abs=0)
    assert len(deep.layers) == 1002


def test_what_is_not_modelled_is_named_and_passed_unchanged(networks):
    def build(net):
        net.dense(32, "tanh")
        net.other(name="mystery")
        net.dense(32, "other", name="odd")
        net.dense(32, "softmax", name="soft")
        net.dense(1, "sigmoid")

    net = networks.Build()
    build(net)
    forecast = forecast_network(net.network())
    assert forecast.not_modelled == ("mystery", "odd", "soft")
    assert forecast.layer("mystery").transmission == 1
    assert forecast.layer("odd").activation_transmission == 1
    assert math.isfinite(forecast.log10_first_over_last)


def test_a_head_that_the_loss_reads_through_has_no_slope_of_its_own(networks):
    plain = networks.of(networks.stack(4, "tanh"))
    head = plain.layers[-1]
    separate = Layer(name="last", kind="activation", type="Activation", activation="sigmoid", units=1, shape=(1,))
    split = replace(
        plain,
        layers=(*plain.layers[:-1], replace(head, activation="linear"), separate),
        edges=(*plain.edges, Edge(head.name, "last")),
        outputs=("last",),
    )
    fused, apart = forecast_network(plain), forecast_network(split)
    assert fused.layers[-1].transmission is None
    assert fused.layers[-1].critical_gain is None
    assert apart.log10_first_over_last == pytest.approx(fused.log10_first_over_last, rel=1e-9, abs=0)
    counted = forecast_network(replace(plain, layers=(*plain.layers[:-1], replace(head, activation="tanh"))))
    assert counted.layers[-1].activation_transmission < 1


def test_outputs_default_to_the_last_layer(networks):
    network = networks.of(networks.stack(4, "tanh"))
    expected = forecast_network(network)
    assert forecast_network(replace(network, outputs=())) == expected


def test_a_side_branch_without_a_loss_has_no_gradient(networks):
    def build(net):
        trunk = net.dense(32, "tanh")
        net.dense(32, "tanh", name="side")
        net.dense(1, "sigmoid", source=trunk)

    forecast = forecast_network(networks.of(build))
    assert forecast.layer("side").transmission is None
    assert forecast.layer("side").log10_gradient_norm == -math.inf
    assert math.isfinite(forecast.log10_first_over_last)


def test_layers_side_by_side_share_the_gradient_by_size(networks):
    def layer(name, units, kind="dense"):
        stats = WeightStats(mean=0.0, variance=1 / 8, size=8 * units)
        fields = {"kernel": stats, "fan_in": 8, "fan_out": units} if kind == "dense" else {}
        return Layer(name=name, kind=kind, type=kind, units=units, shape=(units,), **fields)

    layers = (layer("input", 8, "input"), layer("a", 6), layer("b", 2), layer("joined", 8, "other"), layer("head", 1))
    edges = (Edge("input", "a"), Edge("input", "b"), Edge("a", "joined"), Edge("b", "joined"), Edge("joined", "head"))
    forecast = forecast_network(Network(name="two", framework="", layers=layers, edges=edges, outputs=("head",)))
    assert forecast.layer("joined").second_moment == pytest.approx(forecast.layer("a").second_moment, rel=1e-9, abs=0)
    difference = forecast.layer("a").log10_gradient_norm - forecast.layer("b").log10_gradient_norm
    assert difference == pytest.approx(math.log10(6 / 2) / 2, rel=0.1, abs=0)


def test_adding_an_output_to_itself_doubles_it(networks):
    def build(net):
        first = net.dense(32, "tanh")
        net.add(first, first)
        net.dense(32, "tanh")
        net.dense(1, "sigmoid")

    nets, passes = networks.measured(build, 8)
    forecast = forecast_network(nets[0])
    assert forecast.layer("add_2").second_moment == pytest.approx(
        4 * np.mean([np.mean(run["dense_1"].output ** 2) for run in passes]), rel=0.2, abs=0
    )
    norms = [
        np.log10(networks.gradient_norm(run["dense_1"]) / networks.gradient_norm(run["dense_4"])) for run in passes
    ]
    assert forecast.log10_first_over_last == pytest.approx(np.mean(norms), rel=0, abs=0.15)


def test_a_normalisation_takes_the_gain_out(networks):
    forecast = forecast_network(networks.of(networks.stack(4, "relu", block="batch_norm_before")))
    assert forecast.layer("dense_1").critical_gain is None
    plain = forecast_network(networks.of(networks.stack(4, "linear")))
    assert plain.layer("dense_2").critical_gain == pytest.approx(1, rel=1e-9, abs=0)

    def build(net):
        for _ in range(3):
            net.dense(32)
            net.activation("relu")
        net.dense(1, "sigmoid")

    assert forecast_network(networks.of(build)).layer("dense_1").critical_gain == pytest.approx(
        math.sqrt(2), rel=1e-6, abs=0
    )


def test_the_network_is_not_changed(networks):
    network = networks.of(networks.stack(4, "relu", block="residual"))
    before = repr(network)
    assert forecast_network(network) == forecast_network(network)
    assert repr(network) == before
