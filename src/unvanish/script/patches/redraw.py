"""Declare the initialisation that a cure draws: by a class of Keras where it ships one, by a local class elsewhere."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.edit import Redraw
from unvanish.errors import UnsupportedError
from unvanish.script.patches.plan import Orthogonal, Plan, Plans, Target
from unvanish.script.patches.spelling import number

DRAWN = frozenset({"dense", "conv"})
"""Kinds of layers whose kernel has the keyword `kernel_initializer`."""


def plan(edit: Redraw, plans: Plans, target: Target) -> None:
    """Note the initializers for each of its layers. Raise UnsupportedError for kernels that have other keywords."""
    for name in edit.layers:
        kind = target.network.layer(name).kind
        if kind not in DRAWN:
            raise UnsupportedError(f"the weights of {name!r} are not declared by one keyword", found=f"a {kind} layer")
        old = replace(
            plans.get(name, Plan()), arguments=(), mirrored=None, orthogonal=None, usual=("bias_initializer",)
        )
        if edit.scheme == "looks_linear":
            plans[name] = replace(old, mirrored=target.mirrors[name])
        elif edit.scheme == "normal":
            plans[name] = replace(old, arguments=(("kernel_initializer", normal(edit)),))
        else:
            centred = edit.scheme == "centred_orthogonal"
            plans[name] = replace(old, orthogonal=Orthogonal(gain=edit.gain, centred=centred))


def normal(edit: Redraw) -> str:
    """Return the word, or the expression, of Keras' own initializer: what was tried, to the distribution."""
    if edit.word:
        return f'"{edit.word}"'
    return f'keras.initializers.VarianceScaling({number(edit.gain**2)}, mode="fan_in", distribution="truncated_normal")'
