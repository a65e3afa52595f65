"""Synthetic observations about scale: inputs and targets far from unit size, and units in their flat ends."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.network import Edge, Layer
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile
from unvanish.testing.observations import Recipe, observation
from unvanish.testing.specimen_edits import edit_profiles, edit_rows, with_batch_norm, with_losses
from unvanish.testing.specimens_of_depth import healthy_relu, healthy_tanh
from unvanish.testing.specimens_of_training import large_updates

PIXELS = 7283.0
"""Mean square of MNIST's pixels from 0 to 255: 255^2 (0.1307^2 + 0.3081^2)."""


def pixels_to_255() -> Observation:
    """Return a ReLU network on pixels from 0 to 255: its first loss is thirty times that of guessing."""
    return with_losses(_with_inputs(healthy_relu(), PIXELS), 21.0, 3.0)


def pixels_that_learn() -> Observation:
    """Return the same where the loss comes down all the same."""
    return with_losses(_with_inputs(healthy_relu(), PIXELS), 21.0, 0.40)


def pixels_rescaled_inside() -> Observation:
    """Return pixels from 0 to 255 that a layer of the network divides by 255: its first kernel reads unit size."""
    seen = with_losses(_with_inputs(healthy_relu(), PIXELS, read=PIXELS / 255**2), 0.74, 0.69)
    source, *layers = seen.network.layers
    scaling = Layer(name="rescaling", kind="other", type="Rescaling", shape=(20,))
    edges = (Edge("input", "rescaling"), Edge("rescaling", "dense"), *seen.network.edges[1:])
    return replace(seen, network=replace(seen.network, layers=(source, scaling, *layers), edges=edges))


def pixels_normalised_after() -> Observation:
    """Return pixels from 0 to 255 in front of a kernel that a normalisation follows."""
    return with_losses(_with_inputs(with_batch_norm(replace(healthy_relu(), planned_steps=1000)), PIXELS), 0.74, 0.69)


def tokens_embedded() -> Observation:
    """Return integer tokens up to 20,000, read by an embedding."""
    seen = _with_inputs(with_losses(healthy_tanh(), 0.71, 0.69), 1.3e8, read=0.3)
    source, *layers = seen.network.layers
    table = Layer(name="embedding", kind="embedding", type="Embedding", units=20, parameters=400_000, shape=(20,))
    edges = (Edge("input", "embedding"), Edge("embedding", "dense"), *seen.network.edges[1:])
    network = replace(seen.network, layers=(source, table, *layers), edges=edges)
    profiles = tuple(
        replace(p, layers=(LayerProfile(name="embedding", gradient_norm=0.1, reached=True), *p.layers))
        for p in seen.profiles
    )
    return replace(seen, network=network, profiles=profiles)


def features_of_many_scales() -> Observation:
    """Return a table of forty standardised columns and one that was forgotten, with a standard deviation of 60."""
    seen = _with_inputs(with_losses(healthy_tanh(), 0.71, 0.68), 90.0)
    return replace(seen, data=replace(seen.data, feature_sd_min=0.4, feature_sd_max=60.0))


def unscaled_targets() -> Observation:
    """Return a regression on prices: the targets' standard deviation is 115,000, and nothing moves."""
    seen = with_losses(healthy_relu(), 5.6e10, 5.6e10, chance=1.3e10)
    loss = replace(seen.loss, kind="mean_squared_error", head="linear", from_logits=None)
    data = replace(seen.data, label_kind="regression", label_min=15e3, label_max=500e3, label_sd=1.15e5)
    layers = tuple(replace(x, activation="linear") if x.name == "dense_11" else x for x in seen.network.layers)
    return replace(seen, loss=loss, data=data, network=replace(seen.network, layers=layers))


def inputs_unseen() -> Observation:
    """Return a healthy network on inputs of several parts, of which nothing is known."""
    seen = edit_profiles(healthy_tanh(), lambda _, layer: replace(layer, preactivation_second_moment=None))
    unknown = dict.fromkeys(("input_second_moment", "input_cross_moment", "feature_sd_min", "feature_sd_max"))
    return replace(seen, data=replace(seen.data, **unknown))


def saturated_by_inputs() -> Observation:
    """Return three sigmoid layers on raw measurements (RMS 240): the first one is in its flat ends, the loss stays."""
    seen = observation(Recipe(depth=4, factor=0.5, activation_part=0.24))
    return _saturated(with_losses(_with_inputs(seen, 57133.0), 0.80, 0.68), 0, 0.98)


def saturated_by_steps() -> Observation:
    """Return a tanh network that large steps drove into its flat ends."""
    return _saturated(large_updates(), 4, 0.97, first=False)


def saturated_while_diverging() -> Observation:
    """Return the same where the loss went far up."""
    return with_losses(saturated_by_steps(), 0.71, 9.0)


def saturated_and_learnt() -> Observation:
    """Return a trained network with nearly binary features."""
    return _saturated(healthy_tanh(), 4, 0.93, first=False)


def saturated_standing_still() -> Observation:
    """Return three sigmoid layers in their flat ends from the start: the output alone learns, and the loss falls."""
    return _shut(1e-3)


def saturated_but_moving() -> Observation:
    """Return the same where the hidden weights move by half of their size within the plan."""
    return _shut(0.25)


def saturation_unseen() -> Observation:
    """Return tanh layers whose slopes nobody looked at."""
    return edit_profiles(healthy_tanh(), lambda _, layer: replace(layer, saturated_share=None))


def _with_inputs(seen: Observation, q: float, *, read: float | None = None) -> Observation:
    """Return the observation with inputs of that mean square, of which the first kernel reads `read` (or all)."""
    first = seen.network.kernels[0]
    assert first.kernel is not None
    assert first.fan_in is not None
    made = first.fan_in * first.kernel.second_moment * (q if read is None else read)

    def edit(i: int, layer: LayerProfile) -> LayerProfile:
        return replace(layer, preactivation_second_moment=made) if i == 0 else layer

    root = q**0.5
    data = replace(seen.data, input_second_moment=q, input_max=3 * root, feature_sd_min=root / 4, feature_sd_max=root)
    return edit_profiles(replace(seen, data=data), edit)


def _shut(moved: float) -> Observation:
    """Return three saturated layers whose kernels moved by that part of their size at the last watched step."""
    seen = with_losses(observation(Recipe(depth=4, factor=0.9, activation_part=0.24)), 0.71, 0.42)
    for place in range(3):
        seen = _saturated(seen, place, 0.95)
    return edit_rows(seen, "movement", lambda step, i, _: (moved if i < 3 else 2.0) if step else 0.0)


def _saturated(seen: Observation, place: int, share: float, *, first: bool = True) -> Observation:
    """Return the observation with one layer saturated; it passes sqrt(1 - share) of what it passed."""

    def edit(i: int, layer: LayerProfile) -> LayerProfile:
        assert layer.activation_transmission is not None
        passed = layer.activation_transmission * (1 - share) ** 0.5
        return replace(layer, saturated_share=share, activation_transmission=passed) if i == place else layer

    return edit_profiles(seen, edit, first=first)
