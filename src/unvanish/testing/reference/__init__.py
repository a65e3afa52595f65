"""A slow, plain float64 network with an exact backward pass: the second source of every measured gradient.

    network = Network([
        Node("input", "identity"),
        Node("dense", "dense", ["input"], {"kernel": w, "bias": b}, activation="tanh"),
        Node("head", "dense", ["dense"], {"kernel": v}, activation="sigmoid"),
    ])
    seen = network.run(x, y, "binary_crossentropy")
    seen.loss, seen.layers["dense"].d_weights["kernel"], seen.layers["dense"].d_output

It shares no code with the rest of the package and imports numpy only. Its forward pass also takes complex weights, so
that a derivative can be checked by the complex step (Squire & Trapp 1998), which does not cancel at 1e-30.
"""

from unvanish.testing.reference.network import LayerPass, Network, Node, Run

__all__ = ["LayerPass", "Network", "Node", "Run"]
