"""What is to be done at the call of the script that makes one layer."""

from __future__ import annotations

import msgspec

from unvanish.core.network import Network
from unvanish.core.patch import Mirrored


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
    spread: str = ""
    """An expression that gives further keywords, `centred(4.0)`."""
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
