"""What is to be done at the call of the script that makes one layer."""

from __future__ import annotations

import msgspec

from unvanish.core.network import Network
from unvanish.core.patch import Mirrored
from unvanish.script.patches.spelling import number


class Orthogonal(msgspec.Struct, frozen=True, kw_only=True):
    """Say how an orthogonal kernel is drawn, and its bias."""

    gain: float
    centred: bool = False
    """b = -W.1/2; else zero."""
    data: int | None = None
    """Inputs of those kernels of the same call whose biases are zero all the same."""

    @property
    def expression(self) -> str:
        """Return Keras' own initializer, or a call that gives both of them as keywords."""
        if not self.centred:
            return f"keras.initializers.Orthogonal(gain={number(self.gain)})"
        return f"centred({number(self.gain)}{'' if self.data is None else f', data={self.data}'})"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Collect the edits at one layer. Expressions name things as `keras.initializers.Orthogonal`, whatever the script
    imports."""

    activation: tuple[str, float | None] | None = None
    """Canonical name and parameter of the activation to apply in the place of the present one."""
    arguments: tuple[tuple[str, str], ...] = ()
    """Keyword -> expression."""
    usual: tuple[str, ...] = ()
    """Keywords that are left to their defaults."""
    mirrored: Mirrored | None = None
    orthogonal: Orthogonal | None = None
    split: str = ""
    """Class of a normalisation between the kernel and the activation of the same layer."""
    behind: str = ""
    """Class of a normalisation behind the layer."""
    branch: bool = False
    """Whether the layer's input is added to its output, times a gain."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What an edit is planned on."""

    network: Network
    mirrors: dict[str, Mirrored] = {}
    """Layer -> layout of a looks-linear kernel, where the prescription has any."""


Plans = dict[str, Plan]
"""Layer -> what is to be done at the call that makes it."""
