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
