"""Changes as one types them in Keras 3."""

from __future__ import annotations


def activation(name: str) -> str:
    """Return the argument of a layer."""
    return f"activation='{name}'"


def hidden_activation(name: str) -> str:
    """Return the argument of a layer."""
    return activation(name)


def initializer(name: str) -> str:
    """Return the argument of a layer."""
    return f"kernel_initializer='{name}'"


def orthogonal(gain: float) -> str:
    """Return the argument of a layer."""
    return f"kernel_initializer=Orthogonal(gain={gain:.3g})"


def orthogonal_recurrence() -> str:
    """Return the argument of a recurrent layer."""
    return "recurrent_initializer='orthogonal'"


def centred() -> str:
    """Return lines for a model that is built; the first kernel reads data, whose mean is not that of a sigmoid."""
    return """\
kernel_initializer=keras.initializers.Orthogonal(gain=4)  # hidden
for layer in hidden[1:]:  # not the first: it reads the data
    layer.bias.assign(-keras.ops.sum(layer.kernel, axis=0) / 2)"""


def looks_linear() -> str:
    """Return lines for a model of dense layers that is built; widths have to be even."""
    return """\
n, m = layer.kernel.shape  # hidden; the first [O, -O], output [O; -O]
cat, half = keras.ops.concatenate, (n // 2, m // 2)
O = keras.initializers.Orthogonal()(half)
layer.kernel.assign(cat([cat([O, -O], 1), cat([-O, O], 1)], 0))"""


def unit_variance() -> str:
    """Return lines for a model that is built."""
    return """\
for layer in hidden:  # in order; z: its pre-activations on a batch
    layer.kernel.assign(layer.kernel / keras.ops.std(z))"""


def residual() -> str:
    """Return lines for a functional model; the block has to keep the width."""
    return """\
class Gain(keras.layers.Layer):
    def build(self, shape):
        self.g = self.add_weight(shape=(), initializer='zeros')
    def call(self, x):
        return self.g * x
h = h + Gain()(F(h))  # F: the layers of a block, as wide as h"""


def forget_bias(cell: str, bias: str) -> str:
    """Return lines for a layer that is built; Keras keeps the gates of an LSTM as i, f, c, o, of a GRU as z, r, h."""
    place = "[units : 2 * units]" if cell == "lstm" else "[0, :units]"
    return f"""\
b = keras.ops.convert_to_numpy(layer.cell.bias).copy()
b{place} = {bias}
layer.cell.bias.assign(b)"""


def zero_bias() -> str:
    """Return the argument of a layer."""
    return "bias_initializer='zeros'"


def batch_norm(axes: int) -> str:  # noqa: ARG001  # one class serves all
    """Return the layer and its place."""
    return "BatchNormalization() before every activation"


def layer_norm(axes: int) -> str:  # noqa: ARG001  # one class serves all
    """Return the layer and its place."""
    return "LayerNormalization() before every activation"


def clipping() -> str:
    """Return the argument of an optimizer."""
    return "clipnorm=1.0 in the optimizer"


def learning_rate(rate: str) -> str:
    """Return the argument of an optimizer."""
    return f"learning_rate={rate}"


def epsilon(epsilon: str) -> str:
    """Return the argument of an optimizer."""
    return f"epsilon={epsilon}"


def loss_scale() -> str:
    """Return the wrapper of an optimizer."""
    return "a dynamic loss scale: LossScaleOptimizer(optimizer)"
