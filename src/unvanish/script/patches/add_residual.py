"""Wrap the calls that make kernel layers in a local class, which adds the input to the output times a gain."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.edit import AddResidual
from unvanish.core.network import Network
from unvanish.errors import UnsupportedError
from unvanish.script.patches.add_norm import follower
from unvanish.script.patches.plan import Plan, Plans, Target


def plan(edit: AddResidual, plans: Plans, target: Target) -> None:
    """Note the branch for each of its layers.

    Raise UnsupportedError where the activation is a layer of its own: the branch would have to span two calls.
    """
    for name in edit.layers:
        behind = follower(target.network, name)
        if behind is not None and target.network.layer(name).activation == "linear":
            raise UnsupportedError(
                f"the branch around {name!r} would span two calls",
                found=f"its activation is a layer of its own, {behind!r}",
                hint="write the activation into the layer, or h = h + BranchGain()(layer(h))",
            )
        plans[name] = replace(plans.get(name, Plan()), branch=True)


def passes(network: Network, name: str) -> bool:
    """Say whether the local class would do nothing around this layer: it does not keep the shape of its input."""
    layer, sources = network.layer(name), network.sources(name)
    return len(sources) != 1 or network.layer(sources[0]).shape != layer.shape
