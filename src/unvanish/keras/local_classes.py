"""What Keras does not ship; a cured model's source has its own copy of what it needs of it, by `source_of`.

Each stands alone: it uses `keras` and `math`, what `tensorflow.keras` has too, and nothing of ours.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import textwrap
from typing import Any

import keras


@keras.utils.register_keras_serializable(package="unvanish")
class BranchGain(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Multiply by one trained number that starts at zero (ReZero, Bachlechner 2021): the block starts as it is."""

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        """Make the gain, a scalar."""
        self.gain = self.add_weight(name="gain", shape=(), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Return gain x inputs."""
        return self.gain * inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the input."""
        return input_shape


@keras.utils.register_keras_serializable(package="unvanish")
class CentredOrthogonal(keras.initializers.Initializer):  # type: ignore[misc]
    """Draw an orthogonal kernel W, then its bias -W.1/2: inputs of mean 1/2 (a sigmoid's) give mean zero.

    One object for both: `init = CentredOrthogonal(); Dense(8, kernel_initializer=init, bias_initializer=init)`.
    """

    def __init__(self, gain: float = 4.0, data: int | None = None) -> None:
        """gain: 4 makes up for a sigmoid's slope of 1/4. data: inputs of the one layer whose mean is not 1/2."""
        self.gain, self.data = gain, data
        self.kernel: Any = None

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return the kernel, and when called for a bias the one that belongs to the kernel."""
        if len(shape) > 1:
            self.kernel = keras.initializers.Orthogonal(self.gain)(shape, dtype)
            return self.kernel
        if self.kernel is None or math.prod(self.kernel.shape[:-1]) == self.data:
            return keras.ops.zeros(shape, dtype)
        return -0.5 * keras.ops.sum(keras.ops.reshape(self.kernel, (-1, shape[0])), axis=0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"gain": self.gain, "data": self.data}


@keras.utils.register_keras_serializable(package="unvanish")
class LooksLinear(keras.initializers.Initializer):  # type: ignore[misc]
    """Draw [O, -O], [[O, -O], [-O, O]] or [A; -A] with orthogonal O and A (Balduzzi et al. 2017).

    With f(u) - f(-u) = u, as for ReLU, GELU and SiLU, the network is an orthogonal linear map at the start. An input
    that is not made of `channels` is no input in pairs, whatever is said.
    """

    def __init__(self, gain: float = 1.0, channels: int | None = None, pairs: bool = True) -> None:
        """channels: of an input in pairs f(u), f(-u); None for another. pairs: whether the units are to be pairs."""
        self.gain, self.channels, self.pairs = gain, channels, pairs

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a kernel."""
        rows, columns = math.prod(shape[:-1]), shape[-1]
        channels = self.channels if self.channels and rows % self.channels == 0 else None
        n = rows if channels is None else rows // 2
        m = columns // 2 if self.pairs else columns
        block = keras.initializers.Orthogonal(self.gain)((n, m), dtype)
        if self.pairs and n > m:
            block = block * (n / m) ** 0.5
        if channels is not None:
            half = keras.ops.reshape(block, (-1, channels // 2, m))
            block = keras.ops.reshape(keras.ops.concatenate([half, -half], axis=1), (rows, m))
        if self.pairs:
            block = keras.ops.concatenate([block, -block], axis=1)
        return keras.ops.reshape(block, shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"gain": self.gain, "channels": self.channels, "pairs": self.pairs}


@keras.utils.register_keras_serializable(package="unvanish")
class ReZero(keras.layers.Wrapper):  # type: ignore[misc]
    """Add the input to what a layer makes of it, times a trained number that starts at zero (Bachlechner 2021).

    Around a layer that does not keep the shape of its input it does nothing.
    """

    def build(self, input_shape: Any) -> None:
        """Build the layer, and make the gain, a scalar."""
        super().build(input_shape)
        self.gain = None
        if tuple(self.layer.compute_output_shape(input_shape)) == tuple(input_shape):
            self.gain = self.add_weight(name="gain", shape=(), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Return inputs + gain x layer(inputs)."""
        outputs = self.layer(inputs)
        return outputs if self.gain is None else inputs + self.gain * outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that the layer gives."""
        return self.layer.compute_output_shape(input_shape)


@keras.utils.register_keras_serializable(package="unvanish")
class OpenGate(keras.initializers.Initializer):  # type: ignore[misc]
    """Draw zeros, but for the bias of one gate (Tallec & Ollivier 2018): the state is carried from the start."""

    def __init__(self, bias: float, gate: int, gates: int) -> None:
        """gate: which of the gates, from 0 on; an LSTM's forget gate is 1 of 4, a GRU's update gate 0 of 3."""
        self.bias, self.gate, self.gates = bias, gate, gates

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return the biases of all gates; of two rows, which are added, the first has it."""
        units = shape[-1] // self.gates
        row = keras.ops.repeat(keras.ops.one_hot(self.gate, self.gates), units) * self.bias
        rest = [keras.ops.zeros_like(row)] * (len(shape) - 1)
        return keras.ops.cast(keras.ops.reshape(keras.ops.stack([row, *rest]), shape), dtype or "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"bias": self.bias, "gate": self.gate, "gates": self.gates}


@keras.utils.register_keras_serializable(package="unvanish")
class OrthogonalBlocks(keras.initializers.Initializer):  # type: ignore[misc]
    """Draw a square orthogonal matrix for each gate; Keras' own Orthogonal draws one wide matrix for all of them."""

    def __init__(self, gain: float = 1.0) -> None:
        """gain: of each."""
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a kernel of shape (units, gates x units)."""
        units, columns = shape
        draw = keras.initializers.Orthogonal
        blocks = [draw(self.gain)((units, units), dtype) for _ in range(columns // units)]
        return keras.ops.concatenate(blocks, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"gain": self.gain}


def unit_variance(model: Any, scaled: Any, x: Any) -> None:
    """Divide the kernels of these layers, in order, by the spread of what they give for x (LSUV, Mishkin 2016)."""
    for layer in scaled:
        read = keras.Model(model.inputs, layer.input)(keras.tree.flatten(x))
        activation, layer.activation = layer.activation, keras.activations.linear
        layer.kernel.assign(layer.kernel / keras.ops.std(layer(read)))
        layer.activation = activation


_CENTRED = '''def centred(gain, data=None):
    """Return the initializers of layers whose inputs have mean 1/2; of one with `data` inputs they have not."""
    initializer = CentredOrthogonal(gain, data)
    return {"kernel_initializer": initializer, "bias_initializer": initializer}'''

LOCAL = (BranchGain, CentredOrthogonal, LooksLinear, OpenGate, OrthogonalBlocks, ReZero, unit_variance)


def definitions(text: str) -> dict[str, str]:
    """Return name -> source of the classes and functions of this module that a text uses, in their order."""
    centred = "**centred(" in text
    used = [
        kind for kind in LOCAL if re.search(rf"\b{kind.__name__}\b", text) or (centred and kind is CentredOrthogonal)
    ]
    return {kind.__name__: text_of(kind) for kind in used} | ({"centred": _CENTRED} if centred else {})


def text_of(kind: Any) -> str:
    """Return the source of one of LOCAL, without annotations and comments."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    lines = ast.unparse(_Bare().visit(tree)).split("\n")
    return "\n".join(line if '"' in line else line.replace("'", '"') for line in lines)


class _Bare(ast.NodeTransformer):
    """Take the annotations away."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # the name is ast's
        for argument in node.args.args:
            argument.annotation = None
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        assert node.value is not None, "no bare annotation in the classes above"
        return ast.copy_location(ast.Assign([node.target], node.value), node)
