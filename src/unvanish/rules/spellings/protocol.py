"""What a language of remedies can say. Its modules are plain text: no framework is imported."""

from __future__ import annotations

from typing import Protocol


class Spelling(Protocol):
    """Describe a module of spellings: each function returns a change as the user would type it."""

    def activation(self, name: str) -> str:
        """Return the activation of that canonical name."""
        ...

    def hidden_activation(self, name: str) -> str:
        """Return that activation in every hidden layer."""
        ...

    def initializer(self, name: str) -> str:
        """Return the initialiser: `glorot_uniform`, `he_normal` or `lecun_normal`."""
        ...

    def orthogonal(self, gain: float) -> str:
        """Return orthogonal kernels of that gain."""
        ...

    def orthogonal_recurrence(self) -> str:
        """Return orthogonal weights from state to state."""
        ...

    def zero_bias(self) -> str:
        """Return biases that start at zero."""
        ...

    def batch_norm(self, axes: int) -> str:
        """Return a batch normalisation before every activation; axes: spatial ones, 0 behind dense layers."""
        ...

    def layer_norm(self, axes: int) -> str:
        """Return a normalisation of each sample before every activation; axes as in `batch_norm`."""
        ...

    def clipping(self) -> str:
        """Return clipping of the gradient to norm 1."""
        ...

    def learning_rate(self, rate: str) -> str:
        """Return that learning rate."""
        ...

    def epsilon(self, epsilon: str) -> str:
        """Return that epsilon of the optimizer."""
        ...

    def loss_scale(self) -> str:
        """Return a dynamic loss scale."""
        ...
