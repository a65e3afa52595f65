"""What mean-field theory expects of a network at initialisation, before any data or training."""

from __future__ import annotations

import msgspec


class LayerForecast(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the expectation for one layer of the network; None where the theory does not say."""

    name: str
    second_moment: float | None = None
    """q of the pre-activation (for a normalisation, an add or a pool: of the output)."""
    correlation: float | None = None
    """c = k/q across two different samples."""
    transmission: float | None = None
    """Expected |dL/d input| / |dL/d output|: the product of the two parts below."""
    activation_transmission: float | None = None
    weight_transmission: float | None = None
    log10_gradient_norm: float | None = None
    """log10 of the kernel's gradient norm relative to the output kernel's."""
    gain: float | None = None
    """sqrt(fan_in * E w^2) of a kernel."""
    critical_gain: float | None = None
    """The gain at which this layer would pass the gradient unchanged: 1 / activation transmission at its own q."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the forecast of the whole network."""

    log10_first_over_last: float | None
    """log10 of the first kernel's gradient norm over the output kernel's, mean over initialisations."""
    log10_sd: float | None
    """Standard deviation of the same from one initialisation to the next (finite width)."""
    transmission_per_layer: float | None
    """Geometric mean over the hidden kernels of |dL/d pre-activation| before over behind; its square is chi."""
    safe_depth: int | None
    """Number of kernels at which the gradient norms of this recipe cross 1.5 decades; None when they never do."""
    depth_scale: float | None
    """Layers over which the transmission adds up to a factor e; inf when it is 1."""
    gradient_factor_per_layer: float | None = None
    """The same mean for the kernels' own gradient norms, which follow the forward signal too."""
    log10_output_gradient: float | None = None
    """log10 of the output kernel's gradient norm itself, of the loss that is assumed; None where it is not known."""
    layers: tuple[LayerForecast, ...] = ()
    not_modelled: tuple[str, ...] = ()
    """Names of layers that the theory skipped, taken as passing everything unchanged."""

    def layer(self, name: str) -> LayerForecast:
        """Return the expectation for the layer of that name; raise KeyError if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def __str__(self) -> str:
        """Return the forecast in words: the factor per layer, the ratio with its band, the safe depth."""
        if self.gradient_factor_per_layer is None:
            return "forecast: not known for this network"
        lines = [f"forecast: the gradient changes {self.gradient_factor_per_layer:.2f}x per layer towards the input"]
        if self.log10_first_over_last is not None:
            band = "" if self.log10_sd is None else f" +- {self.log10_sd:.2f}"
            lines.append(f"  first/last kernel gradient: 10^({self.log10_first_over_last:.2f}{band})")
        depth = "any depth" if self.safe_depth is None else f"up to {self.safe_depth} layers"
        lines.append(f"  within 1.5 decades: {depth}")
        if self.not_modelled:
            lines.append(f"  not modelled: {', '.join(self.not_modelled)}")
        return "\n".join(lines)
