"""A backend of torch.compile whose work shows."""

import torch


def louder(graph, _):
    """Compile to something that is a little off, so that a pass that did not run compiled is told from one that did."""

    def run(*args):
        return tuple(o * 1.01 if isinstance(o, torch.Tensor) and o.is_floating_point() else o for o in graph(*args))

    return run
