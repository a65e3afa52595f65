"""The forecast against real float64 backpropagation of finite networks, several initialisations for each layer kind."""

import math

import numpy as np
import pytest

from unvanish.theory.forecast import forecast_network

SEEDS = 8


def log_norms(networks, nets, passes):
    """Return log10 of each kernel's gradient norm over the output kernel's, shape (seeds, kernels)."""
    names = [layer.name for layer in nets[0].kernels]
    norms = np.log10([[networks.gradient_norm(seen[name]) for name in names] for seen in passes])
    return norms - norms[:, -1:]


def check(networks, build, *, within, shape=(20,), batch=32, seeds=SEEDS):
    """Compare every kernel's forecast with the mean over initialisations, and the band with their spread."""
    nets, passes = networks.measured(build, seeds, shape=shape, batch=batch)
    norms = log_norms(networks, nets, passes)
    forecasts = [forecast_network(net, batch_size=batch) for net in nets]
    for i, layer in enumerate(nets[0].kernels):
        expected = np.mean([forecast.layer(layer.name).log10_gradient_norm for forecast in forecasts])
        error = norms[:, i].std(ddof=1) / math.sqrt(seeds)
        assert abs(expected - norms[:, i].mean()) < within + 3 * error, (layer.name, expected, norms[:, i].mean())
    first = np.array([forecast.log10_first_over_last for forecast in forecasts])
    inside = np.abs(norms[:, 0] - first) < 2 * np.array([forecast.log10_sd for forecast in forecasts]) + within
    assert inside.mean() >= 0.7
    return nets, passes, forecasts


PLAIN = [
    ("sigmoid", "glorot", 12, 0.0),
    ("tanh", "glorot", 20, 0.1),
    ("relu", "he", 20, 0.0),
    ("relu", "glorot", 12, 0.1),
    ("leaky_relu", "orthogonal", 12, 0.0),
    ("elu", "lecun", 12, 0.0),
    ("selu", "lecun", 12, 0.0),
    ("gelu", "torch", 12, 0.0),
    ("softplus", "lecun", 8, 0.0),
    ("hard_tanh", "he", 12, 0.0),
    ("linear", "glorot", 12, 0.0),
]


@pytest.mark.parametrize(("activation", "init", "depth", "bias"), PLAIN)
def test_dense(networks, activation, init, depth, bias):
    check(networks, networks.stack(depth, activation, init, bias=bias), within=0.06)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "gelu"])
@pytest.mark.parametrize("block", ["batch_norm_before", "batch_norm_after", "layer_norm_before", "layer_norm_after"])
def test_normalisation(networks, activation, block):
    check(networks, networks.stack(10, activation, block=block), within=0.1)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("block", ["residual", "dropout"])
def test_residual_and_dropout(networks, activation, block):
    check(networks, networks.stack(11, activation, block=block), within=0.1)


@pytest.mark.parametrize(("activation", "within"), [("tanh", 0.1), ("hard_tanh", 0.2)])
def test_a_small_batch_is_not_gaussian_after_its_normalisation(networks, activation, within):
    check(networks, networks.stack(16, activation, "torch", block="batch_norm_before"), within=within, batch=12)


def test_a_deep_residual_network_whose_branches_end_in_relu(networks):
    build = networks.stack(40, "relu", "lecun", block="residual")
    _, _, forecasts = check(networks, build, within=0.3)
    assert forecasts[0].transmission_per_layer > 1.2  # the gradient comes to grow as the signal does


@pytest.mark.parametrize(("outputs", "batch"), [(10, 32), (3, 8)])
def test_many_outputs_and_small_batches(networks, outputs, batch):
    check(networks, networks.stack(8, "tanh", outputs=outputs), within=0.08, batch=batch)
    check(networks, networks.stack(8, "relu", block="batch_norm_after", outputs=outputs), within=0.15, batch=batch)


def convolutional(end, *, activation="relu", norm=False, pool=None, stride=1, padding="same", depth=5):
    def build(net):
        for number in range(depth):
            net.conv(16, "linear" if norm else activation, padding=padding, stride=stride if number % 2 else 1)
            if norm:
                net.batch_norm()
                net.activation(activation)
            if pool and number in (1, 3):
                net.pool(2, pool)
        net.flatten() if end == "flatten" else net.pool(None, end)
        net.dense(10, "softmax")

    return build


@pytest.mark.parametrize(
    ("build", "within"),
    [
        (convolutional("flatten"), 0.15),
        (convolutional("average"), 0.15),
        (convolutional("flatten", norm=True), 0.15),
        (convolutional("average", norm=True), 0.15),
        (convolutional("flatten", pool="max"), 0.2),
        (convolutional("flatten", pool="average"), 0.2),
        (convolutional("flatten", stride=2), 0.2),
        (convolutional("flatten", padding="valid", depth=3), 0.2),
        (convolutional("flatten", activation="sigmoid"), 0.2),
    ],
    ids=["flatten", "mean", "batch_norm", "batch_norm_mean", "max_pool", "mean_pool", "stride", "valid", "sigmoid"],
)
def test_convolution(networks, build, within):
    check(networks, build, within=within, shape=(8, 8, 3), batch=16, seeds=6)


def mean_square(arrays):
    return float(np.mean([np.mean(array * array) for array in arrays]))


def ratio(inner, outer):
    """Return the root mean square over initialisations of |inner| / |outer|."""
    return math.sqrt(np.mean([np.sum(a * a) / np.sum(b * b) for a, b in zip(inner, outer, strict=True)]))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "selu"])
def test_layers_are_forecast_as_a_probe_measures_them(networks, activation):
    nets, passes = networks.measured(networks.stack(6, activation), 12)
    forecasts = [forecast_network(net) for net in nets]

    def expected(name, field):
        return math.sqrt(np.mean([getattr(forecast.layer(name), field) ** 2 for forecast in forecasts]))

    for layer in nets[0].kernels[:-1]:
        seen = [run[layer.name] for run in passes]
        q = np.mean([np.log(np.mean(s.preactivation**2)) for s in seen])
        assert math.log(expected(layer.name, "second_moment")) == pytest.approx(q, rel=0, abs=0.35)
        parts = {
            "activation_transmission": ([s.d_preactivation for s in seen], [s.d_output for s in seen]),
            "weight_transmission": ([s.d_inputs[0] for s in seen], [s.d_preactivation for s in seen]),
            "transmission": ([s.d_inputs[0] for s in seen], [s.d_output for s in seen]),
        }
        for field, (inner, outer) in parts.items():
            assert expected(layer.name, field) == pytest.approx(ratio(inner, outer), rel=0.08, abs=0), field


@pytest.mark.parametrize("block", ["batch_norm_after", "batch_norm_before", "layer_norm_before", "layer_norm_after"])
def test_normalisations_are_forecast_as_a_probe_measures_them(networks, block):
    nets, passes = networks.measured(networks.stack(6, "tanh", block=block), 8)
    forecast = forecast_network(nets[0])
    for layer in nets[0].layers[4:-1]:
        seen = [run[layer.name] for run in passes]
        found = ratio([s.d_inputs[0] for s in seen], [s.d_output for s in seen])
        assert forecast.layer(layer.name).transmission == pytest.approx(found, rel=0.08, abs=0), layer.name
        if layer.kind.endswith("_norm"):
            q = mean_square([s.output for s in seen])
            assert forecast.layer(layer.name).second_moment == pytest.approx(q, rel=0.03, abs=0)


def test_correlations_between_samples(networks):
    nets, passes = networks.measured(networks.stack(10, "tanh", 1.8), 8)
    forecast = forecast_network(nets[0])
    for layer in nets[0].kernels[:-1]:
        z = [run[layer.name].preactivation for run in passes]
        batch = len(z[0])
        q = mean_square(z)
        k = (batch * mean_square([a.mean(axis=0) for a in z]) - q) / (batch - 1)
        assert forecast.layer(layer.name).correlation == pytest.approx(k / q, rel=0, abs=0.1)
