"""Synthetic observations about form: paths from the loss, what the optimizer holds, symmetry, head against loss."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from unvanish.core.network import Edge, Layer, WeightStats
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile
from unvanish.testing.observations import Recipe, observation, parameters
from unvanish.testing.specimen_edits import edit_kernels, edit_profiles, edit_rows, only_start, scaled, with_losses
from unvanish.testing.specimens_of_depth import healthy_relu, healthy_tanh
from unvanish.testing.specimens_of_training import unused_branch

LAYERS, CUT = 12, 6


def cut_in_the_middle() -> Observation:
    """Return a network cut behind its sixth layer: only the six after it have gradients, and the loss stays."""
    return with_losses(_unreached(healthy_tanh(), lambda i: i < CUT), 0.71, 0.69)


def cut_that_learns() -> Observation:
    """Return the same where the upper half learns the task on random features."""
    return _unreached(healthy_tanh(), lambda i: i < CUT)


def cut_beside_a_path() -> Observation:
    """Return a network in which one layer of twelve is cut off, and another path leads around it."""
    seen = _unreached(with_losses(healthy_tanh(), 0.71, 0.69), lambda i: i == 5)
    return replace(seen, network=replace(seen.network, edges=(*seen.network.edges, Edge("dense_4", "dense_6"))))


def cut_off_altogether() -> Observation:
    """Return a loss that does not depend on the network at all."""
    return with_losses(_unreached(healthy_tanh(), lambda _: True), 0.70, 0.70)


def unused_pooler() -> Observation:
    """Return a healthy network with a layer beside its output that the loss does not use."""
    seen, pooler = healthy_tanh(), _pooler()
    unreached = tuple(
        replace(profile, layers=(*profile.layers, LayerProfile(name="pooler", reached=False)), unreached=_names(pooler))
        for profile in seen.profiles
    )
    network = replace(
        seen.network,
        layers=(*seen.network.layers, pooler),
        edges=(*seen.network.edges, Edge("dense_10", "pooler")),
        parameters=(*seen.network.parameters, *parameters((pooler,))),
    )
    return replace(seen, network=network, profiles=unreached)


def paths_unseen() -> Observation:
    """Return a kernel with a gradient of exactly zero of which nobody looked for a path."""
    return edit_profiles(unused_branch(), lambda _, layer: replace(layer, reached=None))


def head_alone_optimised() -> Observation:
    """Return a network whose optimizer was given the last layer alone, with all others marked as trainable."""
    seen = with_losses(healthy_tanh(), 0.71, 0.69)
    held = tuple(replace(p, optimised=p.layer == "dense_11") for p in seen.network.parameters)
    return replace(seen, network=replace(seen.network, parameters=held))


def optimizer_unseen() -> Observation:
    """Return a healthy network of which it is not known what its optimizer holds."""
    seen = healthy_tanh()
    unknown = tuple(replace(p, optimised=None) for p in seen.network.parameters)
    return replace(seen, network=replace(seen.network, parameters=unknown))


def constant_weights() -> Observation:
    """Return hidden layers whose weights all start at 0.01, and whose units are still equal after 60 steps."""
    return with_losses(_symmetric(healthy_relu(4), lambda i: i < 3), 0.70, 0.69)


def constant_weights_at_start() -> Observation:
    """Return the same before the first step: constant readers keep the first two layers equal."""
    return only_start(constant_weights())


def constant_weights_that_learn() -> Observation:
    """Return the same in a task for which one unit is enough."""
    return _symmetric(healthy_relu(4), lambda i: i < 3)


def constant_layer_told_apart() -> Observation:
    """Return a single constant layer that random weights read: different after the first step."""
    seen = _symmetric(healthy_relu(4), lambda i: i == 1)
    return edit_profiles(seen, lambda _, layer: replace(layer, distinct_units=64), first=False)


def units_not_compared() -> Observation:
    """Return a healthy network whose units nobody compared."""
    seen = edit_kernels(healthy_tanh(), lambda _, layer: replace(layer, distinct_units=None))
    return edit_profiles(seen, lambda _, layer: replace(layer, distinct_units=None))


def linear_on_probabilities() -> Observation:
    """Return a linear output in front of a loss on probabilities."""
    return _with_head(with_losses(healthy_tanh(), 7.7, 5.1), "linear")


def linear_on_probabilities_blocked() -> Observation:
    """Return the same where every output is clipped: all gradients are exactly zero."""
    seen = edit_profiles(linear_on_probabilities(), lambda _, layer: scaled(layer, 0.0, 0.0))
    return with_losses(edit_rows(seen, "gradient_norm", lambda *_: 0.0), 7.7, 7.7)


def softmax_twice() -> Observation:
    """Return ten classes whose softmax is applied again by the loss."""
    seen = with_losses(healthy_tanh(), 2.30, 2.1, chance=2.3026)
    seen = edit_kernels(seen, lambda i, x: replace(x, units=10) if i == LAYERS - 1 else x)
    loss = replace(seen.loss, kind="sparse_categorical_crossentropy", from_logits=True, units=10)
    data = replace(seen.data, label_kind="classes", label_min=0.0, label_max=9.0)
    return _with_head(replace(seen, loss=loss, data=data), "softmax")


def softmax_of_softmax() -> Observation:
    """Return ten classes whose softmax is read by another softmax, in front of a loss that takes probabilities."""
    return _with_softmax_layer("softmax")


def softmax_of_logits() -> Observation:
    """Return ten classes whose logits are read by a softmax layer of its own: as it should be."""
    return _with_softmax_layer("linear")


def logits_as_wanted() -> Observation:
    """Return a linear output in front of a loss on logits."""
    seen = healthy_tanh()
    return _with_head(replace(seen, loss=replace(seen.loss, from_logits=True)), "linear")


def labels_beyond_tanh() -> Observation:
    """Return a regression to 120 behind a tanh."""
    seen = with_losses(healthy_tanh(), 1800.0, 1700.0, chance=1296.0)
    data = replace(seen.data, label_kind="regression", label_min=0.0, label_max=120.0, label_sd=36.0)
    return _with_head(_squared(replace(seen, data=data)), "tanh")


def squared_error_on_probability() -> Observation:
    """Return a squared error behind a sigmoid on two classes, where nothing is learnt yet."""
    return _squared(with_losses(healthy_tanh(), 0.26, 0.25, chance=0.25))


def custom_loss() -> Observation:
    """Return a healthy network under a loss of the user's own."""
    seen = healthy_tanh()
    return replace(seen, loss=replace(seen.loss, kind="other", from_logits=None))


def _unreached(seen: Observation, cut: Callable[[int], bool]) -> Observation:
    def hide(i: int, layer: LayerProfile) -> LayerProfile:
        return replace(scaled(layer, 0.0, 0.0), reached=False) if cut(i) else layer

    seen = edit_rows(edit_profiles(seen, hide), "gradient_norm", lambda _, i, norm: 0.0 if cut(i) else norm)
    names = tuple(name for i, layer in enumerate(seen.network.kernels) if cut(i) for name in _names(layer))
    return replace(seen, profiles=tuple(replace(profile, unreached=names) for profile in seen.profiles))


def _names(layer: Layer) -> tuple[str, ...]:
    return tuple(parameter.name for parameter in parameters((layer,)))


def _pooler() -> Layer:
    kernel = observation(Recipe(depth=3)).network.kernels[1]
    return replace(kernel, name="pooler", activation="tanh")


def _symmetric(seen: Observation, constant: Callable[[int], bool]) -> Observation:
    def edit(i: int, layer: Layer) -> Layer:
        assert layer.kernel is not None
        same = WeightStats(mean=0.01, variance=0.0, size=layer.kernel.size)
        return replace(layer, kernel=same, distinct_units=1) if constant(i) else layer

    seen = edit_kernels(seen, edit)
    return edit_profiles(seen, lambda i, layer: replace(layer, distinct_units=1) if constant(i) else layer)


def _with_head(seen: Observation, activation: str) -> Observation:
    seen = edit_kernels(seen, lambda i, x: replace(x, activation=activation) if i == LAYERS - 1 else x)
    return replace(seen, loss=replace(seen.loss, head=activation))


def _with_softmax_layer(before: str) -> Observation:
    """Return ten classes with a softmax layer behind the last kernel, which has that activation itself."""
    seen = edit_kernels(
        softmax_twice(), lambda i, x: replace(x, activation=before, distinct_units=10) if i == LAYERS - 1 else x
    )
    last = seen.network.outputs[0]
    added = Layer(name="softmax", kind="activation", type="Softmax", activation="softmax", units=10, shape=(10,))
    network = replace(
        seen.network,
        layers=(*seen.network.layers, added),
        edges=(*seen.network.edges, Edge(last, added.name)),
        outputs=(added.name,),
    )
    return replace(seen, network=network, loss=replace(seen.loss, from_logits=False))


def _squared(seen: Observation) -> Observation:
    return replace(seen, loss=replace(seen.loss, kind="mean_squared_error", from_logits=None))
