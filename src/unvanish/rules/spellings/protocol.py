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

    def centred(self) -> str:
        """Return lines that draw kernels 4 x orthogonal with b = -W.1/2."""
        ...

    def looks_linear(self) -> str:
        """Return lines that draw mirrored orthogonal kernels."""
        ...

    def unit_variance(self) -> str:
        """Return lines that divide every kernel by the spread of what it gives on a batch."""
        ...

    def residual(self) -> str:
        """Return lines that add what goes into a block to what leaves it, times a gain that starts at zero."""
        ...

    def forget_bias(self, cell: str, bias: str) -> str:
        """Return lines that let the gate of an `lstm` or a `gru` which carries the state start open."""
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
