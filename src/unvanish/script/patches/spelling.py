"""Numbers, strings and quotes as the script itself writes them."""

from __future__ import annotations

from collections import Counter

import libcst as cst
import libcst.matchers as m
import numpy as np

_PARAMETERS = {"leaky_relu": ("keras.layers.LeakyReLU", 0.2), "elu": ("keras.layers.ELU", 1.0)}


def number(value: float) -> str:
    """Return the shortest number that is the same one in float32."""
    return repr(float(str(np.float32(value))))


def quote_of(module: cst.Module) -> str:
    """Return the quote that most strings of the module are written with; double ones where it has none."""
    strings = [node.quote for node in m.findall(module, m.SimpleString()) if isinstance(node, cst.SimpleString)]
    found = Counter(quote for quote in strings if len(quote) == 1)
    return found.most_common(1)[0][0] if found else '"'


def activation(name: str, parameter: float | None) -> str:
    """Return what Keras takes for an activation: a string, or a layer where it has a parameter of its own."""
    if name in _PARAMETERS and parameter not in (None, _PARAMETERS[name][1]):
        assert parameter is not None
        return f"{_PARAMETERS[name][0]}({number(parameter)})"
    return f'"{name}"'
