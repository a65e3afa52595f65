"""What one probe measured at every layer: forward and backward, in training mode, on real batches.

All norms are Euclidean over the whole array and root-mean-square over the probe's batches. Gradients are of the
batch-mean loss that the user compiled, raw: before clipping, after unscaling. A number that could not be taken is None.
"""

from __future__ import annotations

import msgspec


class LayerProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the measures of one layer, in forward order of the network."""

    name: str
    # weights: the kernel's gradient (a normalisation or other layer: all its trainable weights together)
    gradient_norm: float | None = None
    gradient_rms: float | None = None
    """gradient_norm / sqrt(number of entries)."""
    gradient_zero_share: float | None = None
    """Share of entries whose gradient was exactly zero in every batch."""
    gradient_nonfinite: int = 0
    """Entries that were not finite, over all batches."""
    reached: bool | None = None
    """Whether a path leads from the loss to any of these weights, in any batch; None when that was not looked at."""
    distinct_units: int | None = None
    """As Layer.distinct_units, at the time of the probe."""
    weight_norm: float | None = None
    weight_rms: float | None = None
    # forward
    preactivation_second_moment: float | None = None
    """Mean square q of the input of the activation (for an add, a normalisation: of the output)."""
    output_second_moment: float | None = None
    correlation: float | None = None
    """c = k/q of the pre-activation: k = mean over pairs of different samples of the inner product / features."""
    output_nonfinite: int = 0
    saturated_share: float | None = None
    """Share of (sample, unit) pairs where |f'(z)| is below 1 % of the activation's largest derivative."""
    dead_share: float | None = None
    """Share of units whose output (relu family: also derivative) was zero on every sample of every batch."""
    # backward, per-sample-summed cotangents of the activations
    output_gradient_norm: float | None = None
    """|dL/d output|."""
    preactivation_gradient_norm: float | None = None
    """|dL/d pre-activation|."""
    preactivation_gradient_rms: float | None = None
    input_gradient_norm: float | None = None
    """|dL/d input| through this layer alone."""
    transmission: float | None = None
    """|dL/d input| / |dL/d output|."""
    activation_transmission: float | None = None
    """|dL/d pre-activation| / |dL/d output|: the activation's part."""
    weight_transmission: float | None = None
    """|dL/d input| / |dL/d pre-activation|: the weights' part."""


class TimeProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how much of the gradient at a recurrent layer's last step arrives at each step before it.

    Of the layer alone, with its own weights and its own inputs of the probe: a random unit cotangent on the state after
    the last step T, taken back to the input of every step. The network's own loss would mix short and long paths.
    """

    layer: str
    cell: str
    """`rnn`, `lstm`, `gru` or `other`."""
    log10_gradient: tuple[float, ...]
    """log10 of |d (v . h_T) / d x_t|, for t = 1 .. T in the order in which the layer reads them; -inf for zero."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one probe of the whole network."""

    step: int
    """Optimizer steps taken before the probe; 0 is the initialisation."""
    batches: int
    batch_size: int
    loss: float
    """Mean over the batches, regularisation included; without what a loop multiplies its loss by, unlike gradients."""
    dtype: str
    """Compute dtype of the layers: float32, float16, bfloat16 or float64."""
    layers: tuple[LayerProfile, ...]
    through_time: tuple[TimeProfile, ...] = ()
    unreached: tuple[str, ...] = ()
    """Names of the trainable parameters to which no path leads from the loss, in any batch."""
    depths: dict[str, tuple[int, int]] = {}
    """Parameter -> weight operations on the (shortest, longest) path to the loss, where the framework shows them."""
    seconds: float = 0.0

    def layer(self, name: str) -> LayerProfile:
        """Return the measures of the layer of that name; raise KeyError if there are none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)
