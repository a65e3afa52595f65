"""Put a normalisation behind the calls that make kernel layers, or between a kernel and its own activation."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.edit import AddNorm
from unvanish.core.network import Network
from unvanish.script.patches.plan import Plan, Plans, Target

CLASSES = {"batch_norm": "BatchNormalization", "layer_norm": "LayerNormalization"}


def plan(edit: AddNorm, plans: Plans, target: Target) -> None:
    """Note where the normalisation goes: a layer with an activation of its own is split where it goes before it."""
    kind = CLASSES[edit.kind]
    for name in edit.layers:
        own = target.network.layer(name).activation != "linear"
        place = name if own or edit.before else follower(target.network, name) or name
        old = plans.get(place, Plan())
        plans[place] = replace(old, split=kind) if own and edit.before else replace(old, behind=kind)


def follower(network: Network, name: str) -> str | None:
    """Return the activation layer that alone reads what leaves this layer; None where there is none."""
    readers = [layer for layer in network.layers if name in network.sources(layer.name)]
    if len(readers) != 1 or name in network.outputs or readers[0].kind != "activation":
        return None
    return readers[0].name
