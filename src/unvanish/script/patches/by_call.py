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
    """Return the plans, those that differ only where the local class of the source tells the layers apart by itself."""
    if any(plan.branch for plan in given.values()):
        given = {n: replace(plan, branch=plan.branch or passes(network, n)) for n, plan in given.items()}
    mirrors = {name: plan.mirrored for name, plan in given.items() if plan.mirrored is not None}
    channels = {mirror.channels for mirror in mirrors.values()}
    if len(channels) != 2 or None not in channels:
        return given
    (shared,) = channels - {None}
    first = [network.layer(name) for name, mirror in mirrors.items() if mirror.channels is None]
    if any(not layer.fan_in or not shared or layer.fan_in % shared == 0 for layer in first):
        return given
    return {
        name: plan if plan.mirrored is None else replace(plan, mirrored=replace(plan.mirrored, channels=shared))
        for name, plan in given.items()
    }
