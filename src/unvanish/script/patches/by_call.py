"""From what is to be done at each layer to what is to be done at each call: all layers of a call change alike."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from unvanish.core.diagnosis import Site
from unvanish.core.network import Layer, Network
from unvanish.errors import UnsupportedError
from unvanish.script.patches.add_residual import passes
from unvanish.script.patches.plan import Plan, Plans


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one call of the script and what is to be done there."""

    site: Site
    plan: Plan
    layers: tuple[Layer, ...]
    """All that it makes."""


def by_call(plans: Plans, network: Network, sites: Mapping[str, Site]) -> list[Call]:
    """Return the calls that have to change.

    Raise UnsupportedError where a layer has no site, or where a call makes other layers that are to stay as they are.
    """
    wanted: list[Site] = []
    for name in plans:
        if name not in sites:
            raise UnsupportedError(
                f"the call that makes {name!r} was not found",
                found="no line of the script, or of the files beside it, made it",
                hint="write the layer as a call of its class",
            )
        if sites[name] not in wanted:
            wanted.append(sites[name])
    return [_call(site, plans, network, sites) for site in wanted]


def _call(site: Site, plans: Plans, network: Network, sites: Mapping[str, Site]) -> Call:
    layers = tuple(layer for layer in network.layers if sites.get(layer.name) == site and layer.shares is None)
    given = _agreed({layer.name: plans.get(layer.name, Plan()) for layer in layers}, network)
    if len(set(given.values())) > 1:
        stay = [name for name, plan in given.items() if plan == Plan()]
        raise UnsupportedError(
            f"{site.file}:{site.line} makes {len(layers)} layers that would have to differ",
            found=f"of them {', '.join(map(repr, stay[:3]))} must stay as it is"
            if stay
            else "each needs other arguments",
            numbers={"line": site.text},
            hint="write the layers that are to differ as calls of their own",
        )
    return Call(site=site, plan=next(iter(given.values())), layers=layers)


def _agreed(given: Plans, network: Network) -> Plans:
    """Return the plans, made alike where the local class of the source tells the layers apart by itself."""
    if any(plan.branch for plan in given.values()):
        given = {n: replace(plan, branch=plan.branch or passes(network, n)) for n, plan in given.items()}
    return _centred_alike(_mirrored_alike(given, network), network)


def _mirrored_alike(given: Plans, network: Network) -> Plans:
    """Let the first layer of a loop be told by its number of inputs: it is no multiple of the others' channels."""
    layouts = {name: plan.mirrored for name, plan in given.items() if plan.mirrored is not None}
    channels = {layout.channels for layout in layouts.values()} - {None}
    first = [network.layer(name).fan_in for name, layout in layouts.items() if layout.channels is None]
    if len(channels) != 1:
        return given
    (shared,) = channels
    if any(not inputs or not shared or inputs % shared == 0 for inputs in first):
        return given
    return {name: replace(given[name], mirrored=replace(one, channels=shared)) for name, one in layouts.items()} | {
        name: plan for name, plan in given.items() if name not in layouts
    }


def _centred_alike(given: Plans, network: Network) -> Plans:
    """Let the first layer of a loop, which reads the data, be told by its number of inputs: no other has as many."""
    drawn = {name: plan.orthogonal for name, plan in given.items() if plan.orthogonal is not None}
    inputs = {
        centred: {network.layer(n).fan_in for n, one in drawn.items() if one.centred == centred} for centred in (0, 1)
    }
    if len(drawn) != len(given) or len(inputs[0]) != 1 or not inputs[1] or inputs[0] & inputs[1]:
        return given
    (data,) = inputs[0]
    return {name: replace(given[name], orthogonal=replace(one, centred=True, data=data)) for name, one in drawn.items()}
