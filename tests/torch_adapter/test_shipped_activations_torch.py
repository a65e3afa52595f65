"""Every activation that PyTorch ships is known by what it computes, or named as not modelled: a new one fails here."""

import pytest
import torch
from torch import nn
from torch.nn.modules import activation

import unvanish
from unvanish.adapters import adapter_of

pytestmark = pytest.mark.torch
KNOWN = {
    "CELU": "elu",
    "ELU": "elu",
    "GELU": "gelu",
    "Hardshrink": "hard_shrink",
    "Hardsigmoid": "hard_sigmoid",
    "Hardswish": "hard_silu",
    "Hardtanh": "hard_tanh",
    "LeakyReLU": "leaky_relu",
    "LogSigmoid": "log_sigmoid",
    "Mish": "mish",
    "PReLU": "leaky_relu",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SELU": "selu",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softshrink": "soft_shrink",
    "Softsign": "softsign",
    "Tanh": "tanh",
    "Tanhshrink": "tanh_shrink",
    "Threshold": "relu",
}
"""By their defaults; a CELU of alpha 1 is an ELU, a Threshold(0, 0) a ReLU, a PReLU of equal slopes a leaky ReLU."""
NOT_MODELLED = {"GLU", "LogSoftmax", "RReLU", "Softmax", "Softmin"}
ANOTHER_SHAPE = {"MultiheadAttention", "Softmax2d"}
ARGUMENTS = {"Threshold": (0.0, 0.0), "LogSoftmax": (1,), "Softmax": (1,), "Softmin": (1,)}
X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))


def applying(bent):
    return nn.Sequential(nn.Linear(6, 8), bent, nn.Linear(4 if isinstance(bent, nn.GLU) else 8, 1))


def test_the_lists_are_complete():
    assert KNOWN.keys() | NOT_MODELLED | ANOTHER_SHAPE == set(activation.__all__)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_what_is_elementwise_is_recognised(name):
    model = applying(getattr(nn, name)(*ARGUMENTS.get(name, ())))
    network = adapter_of(model).describe(model, input=X)
    assert KNOWN[name] in {layer.activation for layer in network.layers}
    assert unvanish.forecast(model, input=X).not_modelled == ()


@pytest.mark.parametrize("name", sorted(NOT_MODELLED))
def test_what_is_not_is_named(name):
    model = applying(getattr(nn, name)(*ARGUMENTS.get(name, ()))).train()
    assert unvanish.forecast(model, input=X).not_modelled == ("1",)


@pytest.mark.parametrize(
    ("bent", "name", "parameter"),
    [
        (nn.CELU(0.6), "celu", 0.6),
        (nn.ELU(1.4), "elu", 1.4),
        (nn.Softshrink(0.2), "soft_shrink", 0.2),
        (nn.LeakyReLU(0.3), "leaky_relu", 0.3),
    ],
)
def test_the_parameter_is_found(bent, name, parameter):
    model = applying(bent)
    layers = adapter_of(model).describe(model, input=X).layers
    found = [(layer.activation, layer.activation_parameter) for layer in layers if layer.activation != "linear"]
    assert found == [(name, pytest.approx(parameter, rel=1e-4, abs=0))]


def test_a_threshold_with_a_step_is_named():
    assert unvanish.forecast(applying(nn.Threshold(0.3, 0.1)), input=X).not_modelled == ("1",)
