"""Kernels that only decide where an attention looks: queries, keys, routers. Their gradient is small by design.

They reach the loss through a softmax alone, whose Jacobian diag(p) - p p^T is next to nothing while the scores are
alike, as they are at every initialisation (Vaswani et al. 2017 scale them by 1/sqrt(d) to that end). What the rest of
the network learns from passes them by, through the values: they are no step of the depth.
"""

from __future__ import annotations

from unvanish.core.network import Network

SCORED = 2
"""Of an attention's inputs (query, key, value) so many go into its softmax."""


def addressing(network: Network) -> frozenset[str]:
    """Return the names of the layers whose every path to an output leads through a softmax that is no output.

    Empty where the inputs themselves reach the outputs by no other path: a softmax that everything must pass, as a
    hidden activation, decides more than where to look.
    """
    cut = {layer.name for layer in network.layers if layer.activation == "softmax"} - set(network.outputs)
    scored = {
        (source, layer.name)
        for layer in network.layers
        if layer.kind == "attention" and len(sources := network.sources(layer.name)) > SCORED
        for source in sources[:SCORED]
    }
    if not cut and not scored:
        return frozenset()
    reached = _behind(network, cut, scored)
    inputs = {layer.name for layer in network.layers} - {edge.target for edge in network.edges}
    if not reached & inputs:
        return frozenset()
    return frozenset(layer.name for layer in network.layers) - reached


def _behind(network: Network, cut: set[str], scored: set[tuple[str, str]]) -> set[str]:
    """Return the layers from which an output is reached without the cut layers and the scored edges."""
    feeds: dict[str, list[str]] = {}
    for edge in network.edges:
        if (edge.source, edge.target) not in scored:
            feeds.setdefault(edge.target, []).append(edge.source)
    reached: set[str] = set()
    waiting = [name for name in network.outputs if name not in cut]
    while waiting:
        name = waiting.pop()
        if name not in reached and name not in cut:
            reached.add(name)
            waiting += feeds.get(name, [])
    return reached
