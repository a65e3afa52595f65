"""The words that a description is made of: layers, with how many arguments each takes, and activations."""

from __future__ import annotations

from typing import NamedTuple

from unvanish.core.activations import FUNCTIONS

ACTIVATIONS = (*sorted(FUNCTIONS), "softmax")


class Arguments(NamedTuple):
    """Say how many arguments a word takes, and what stands for each of them in an error."""

    least: int
    accepted: tuple[str, ...] = ()
    """One for each that may be given, in order."""


_NONE = Arguments(0)
_WINDOW = Arguments(1, ("a whole number",))
_LATER = f"a whole number, same, valid, {', '.join(ACTIVATIONS)}"

LAYERS = {
    "avg_pool": _WINDOW,
    "batch_norm": _NONE,
    "conv": Arguments(2, ("a whole number", "a whole number", _LATER, _LATER, _LATER)),
    "dense": Arguments(1, ("a whole number", ", ".join(ACTIVATIONS))),
    "dropout": Arguments(1, ("a number",)),
    "embedding": Arguments(2, ("a whole number", "a whole number")),
    "flatten": _NONE,
    "global_avg_pool": _NONE,
    "global_max_pool": _NONE,
    "group_norm": Arguments(1, ("a whole number",)),
    "input": Arguments(1, ("a whole number",) * 4),
    "instance_norm": _NONE,
    "layer_norm": _NONE,
    "max_pool": _WINDOW,
    "rms_norm": _NONE,
    "simple_rnn": Arguments(1, ("a whole number", "tanh, relu, linear, sequences", "sequences")),
}
"""Word of a layer -> the arguments that it takes."""

OTHER_NAMES = {
    "averagepooling2d": "avg_pool",
    "avgpool2d": "avg_pool",
    "batchnorm1d": "batch_norm",
    "batchnorm2d": "batch_norm",
    "batchnormalization": "batch_norm",
    "conv1d": "conv",
    "conv2d": "conv",
    "conv3d": "conv",
    "fc": "dense",
    "globalaveragepooling2d": "global_avg_pool",
    "hardswish": "hard_silu",
    "layernormalization": "layer_norm",
    "leakyrelu": "leaky_relu",
    "maxpool2d": "max_pool",
    "maxpooling2d": "max_pool",
    "rnn": "simple_rnn",
    "swish": "silu",
}
"""What Keras and PyTorch call a word, in small letters -> the word."""

UNKNOWN = frozenset({"attention", "gru", "lstm", "multiheadattention", "transformer"})
"""Layers that theory does not model."""
