"""Synthetic observations about time: recurrent layers whose gradient shrinks or grows with every step back."""

from __future__ import annotations

import math

from msgspec.structs import replace

from unvanish.core.network import Edge, Layer, Parameter, WeightStats
from unvanish.core.observation import Observation
from unvanish.core.profile import TimeProfile
from unvanish.testing.observations import Recipe, observation
from unvanish.testing.specimen_edits import only_start, with_losses


def recurrent(cell: str, factor: float, steps: int = 100, *, every_step: bool = False) -> Observation:
    """Return one recurrent layer of 32 units and a dense output, the gradient changing by that factor per step back.

    every_step: whether the network answers at every position.
    """
    seen = observation(Recipe(depth=2, activation="tanh", factor=0.8, activation_part=0.9, saturated=None))
    source, first, last = seen.network.layers
    layer = Layer(
        name=first.name,
        kind="recurrent",
        type=cell.upper(),
        activation="tanh",
        units=32,
        fan_in=20,
        fan_out=32,
        kernel=WeightStats(mean=0.0, variance=2 / 52, size=640),
        recurrent_kernel=WeightStats(mean=0.0, variance=1 / 32, size=1024, orthogonal=True),
        parameters=1696,
        shape=(steps, 32) if every_step else (32,),
    )
    network = replace(
        seen.network,
        layers=(replace(source, shape=(steps, 20)), layer, replace(last, shape=(steps, 1) if every_step else (1,))),
        edges=(Edge(source.name, layer.name), Edge(layer.name, last.name)),
        parameters=(
            Parameter(name="recurrent_kernel", layer=layer.name, shape=(32, 32), optimised=True),
            *seen.network.parameters,
        ),
    )
    decay = tuple(k * math.log10(factor) + 0.02 * math.sin(k) for k in range(steps - 1, -1, -1))
    time = (TimeProfile(layer=layer.name, cell=cell, log10_gradient=decay),)
    profiles = tuple(replace(profile, through_time=time) for profile in seen.profiles)
    seen = replace(seen, network=network, profiles=profiles, evaluation=None, not_checked=())
    return with_losses(seen, 0.70, 0.69)


def rnn_forgets() -> Observation:
    """Return a plain recurrent layer that loses half of the gradient at each of 100 steps: nothing is learnt."""
    return recurrent("rnn", 0.5)


def rnn_forgets_at_start() -> Observation:
    """Return the same before its first step."""
    return only_start(rnn_forgets())


def rnn_forgets_but_learns() -> Observation:
    """Return the same on a task that needs the last few steps only."""
    return with_losses(recurrent("rnn", 0.5), 0.70, 0.30)


def rnn_of_short_sequences() -> Observation:
    """Return the same on sequences of eight steps, which its horizon covers well enough."""
    return recurrent("rnn", 0.5, 8)


def rnn_slow_start() -> Observation:
    """Return the same at a learning rate of 1e-4: sixty steps are too few to tell."""
    seen = rnn_forgets()
    return replace(seen, optimizer=replace(seen.optimizer, learning_rate=1e-4))


def rnn_begins_to_learn() -> Observation:
    """Return the same where the loss has begun to fall."""
    return with_losses(recurrent("rnn", 0.5), 0.70, 0.66)


def rnn_tagger() -> Observation:
    """Return the same answering at every step, in an early, slow training."""
    return with_losses(recurrent("rnn", 0.5, every_step=True), 0.70, 0.68)


def lstm_by_design() -> Observation:
    """Return an LSTM with a forget bias of one (0.73 per step), learning slowly."""
    return with_losses(recurrent("lstm", 0.73), 0.70, 0.67)


def lstm_standing_still() -> Observation:
    """Return the same where the loss does not move at all."""
    return with_losses(recurrent("lstm", 0.73), 0.6931, 0.6930)


def lstm_shut() -> Observation:
    """Return an LSTM whose forget gates are shut (0.1 per step)."""
    return recurrent("lstm", 0.1)


def time_unseen() -> Observation:
    """Return a recurrent network whose gradient through time nobody looked at."""
    seen = with_losses(recurrent("gru", 0.9), 0.70, 0.40)
    return replace(seen, profiles=tuple(replace(profile, through_time=()) for profile in seen.profiles))


def rnn_explodes() -> Observation:
    """Return recurrent weights that are too large: 1.2x per step back, 8 decades in 100, and the loss goes up."""
    return with_losses(recurrent("rnn", 1.2), 0.75, 4.0)


def rnn_grows() -> Observation:
    """Return a gradient that grows by 4 decades where the loss has not moved."""
    return with_losses(recurrent("rnn", 1.1), 0.70, 0.69)


def rnn_grows_but_learns() -> Observation:
    """Return the same where the loss falls."""
    return with_losses(recurrent("rnn", 1.1), 0.70, 0.40)


def rnn_grows_clipped() -> Observation:
    """Return the same under clipping."""
    seen = rnn_grows_but_learns()
    return replace(seen, optimizer=replace(seen.optimizer, clipping="clipnorm 1"))
