"""Changes as one types them in PyTorch: `layer`, `rnn` and `model` stand for the user's own."""

from __future__ import annotations

MODULES = {
    "elu": "nn.ELU()",
    "leaky_relu": "nn.LeakyReLU()",
    "sigmoid": "nn.Sigmoid()",
    "softmax": "nn.Softmax(dim=-1)",
    "tanh": "nn.Tanh()",
}
"""The activations that a remedy names -> their modules."""
INITIALISERS = {
    "glorot_uniform": "nn.init.xavier_uniform_(layer.weight)",
    "he_normal": "nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
    "lecun_normal": "nn.init.kaiming_normal_(layer.weight, nonlinearity='linear')",
}


def activation(name: str) -> str:
    """Return the module."""
    return MODULES[name]


def hidden_activation(name: str) -> str:
    """Return the module, and where it belongs."""
    return f"{activation(name)} as the hidden activation"


def initializer(name: str) -> str:
    """Return the call for every layer."""
    return INITIALISERS[name]


def orthogonal(gain: float) -> str:
    """Return the call for every layer."""
    return f"nn.init.orthogonal_(layer.weight, gain={gain:.3g})"


def orthogonal_recurrence() -> str:
    """Return the call for a recurrent module of one layer; in a stack each has its own weights."""
    return "nn.init.orthogonal_(rnn.weight_hh_l0), further layers alike"


def centred() -> str:
    """Return lines; the first weight reads data, whose mean is not that of a sigmoid."""
    return """\
nn.init.orthogonal_(layer.weight, gain=4)  # hidden
with torch.no_grad():  # not in the first: it reads the data
    layer.bias.copy_(-layer.weight.flatten(1).sum(1) / 2)"""


def looks_linear() -> str:
    """Return lines for linear layers; widths have to be even."""
    return """\
n, m = layer.weight.shape  # hidden; the first [O; -O], output [O, -O]
O, cat = nn.init.orthogonal_(torch.empty(n // 2, m // 2)), torch.cat
with torch.no_grad():
    layer.weight.copy_(cat([cat([O, -O], 1), cat([-O, O], 1)]))"""


def unit_variance() -> str:
    """Return lines."""
    return """\
with torch.no_grad():  # in order; z: its pre-activations on a batch
    layer.weight.div_(z.std())"""


def residual() -> str:
    """Return lines of a module; the block has to keep the width."""
    return """\
self.g = nn.Parameter(torch.zeros(()))  # in __init__
h = h + self.g * self.F(h)  # in forward; F: a block as wide as h"""


def forget_bias(cell: str, bias: str) -> str:  # noqa: ARG001  # i, f, g, o and r, z, n: the second one carries in both
    """Return lines for a module of one layer."""
    return f"""\
n = rnn.hidden_size
with torch.no_grad():
    rnn.bias_hh_l0[n : 2 * n] = {bias}"""


def zero_bias() -> str:
    """Return the call for every layer."""
    return "nn.init.zeros_(layer.bias)"


def batch_norm(axes: int) -> str:
    """Return the module and its place."""
    return f"nn.BatchNorm{max(axes, 1)}d({'channels' if axes else 'features'}) before every activation"


def layer_norm(axes: int) -> str:
    """Return the module and its place; over the channels of an image it is a group normalisation of one group."""
    return f"nn.{'GroupNorm(1, channels)' if axes else 'LayerNorm(features)'} before every activation"


def clipping() -> str:
    """Return the call, and where it belongs."""
    return "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) before optimizer.step()"


def learning_rate(rate: str) -> str:
    """Return the argument of an optimizer."""
    return f"lr={rate}"


def epsilon(epsilon: str) -> str:
    """Return the argument of an optimizer."""
    return f"eps={epsilon}"


def loss_scale() -> str:
    """Return the object, and where it belongs."""
    return "torch.amp.GradScaler() around backward() and step()"
