"""The one layer of ours that a cured model may hold: a scalar gain that starts at zero, on a residual branch."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="unvanish")
class BranchGain(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Multiply the input by one trained number that starts at zero (ReZero, Bachlechner et al. 2021).

    At the initialisation a branch that ends in it gives zeros, and the block around it is the identity.
    """

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        """Make the gain, a scalar."""
        self.gain = self.add_weight(name="gain", shape=(), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Return gain x inputs, of the same shape."""
        return self.gain * inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the input."""
        return input_shape
