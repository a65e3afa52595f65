"""What a forecast comes to for a network that was only described: its verdict, and the numbers that explain it."""

from __future__ import annotations

from typing import Literal

import msgspec

from unvanish.core import document
from unvanish.core.forecast import Forecast
from unvanish.core.learning import Learning
from unvanish.core.network import Network

Expected = Literal["fine", "vanishes", "explodes", "undecided"]


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the forecast of a described network, what it was told, and the verdict."""

    spec: str
    initialiser: str
    inputs: str
    """`uniform` for U(0, 1), `normal` for N(0, 1)."""
    features: int
    batch_size: int
    verdict: Expected
    reason: str = ""
    """Why it is undecided."""
    decades: float
    """Change of the gradient from the output to the input from which on the verdict is not fine."""
    kernels: int
    """Layers with weights."""
    typical: str | None = None
    """Name of the hidden kernel in the middle, whose gains stand for the recipe's; None without a hidden one."""
    apart_first: float | None = None
    """1 - c of two inputs' pre-activations in the first kernel."""
    apart_last: float | None = None
    """The same in the last kernel but the output's."""
    learning: Learning | None = None
    """Whether it learns within a budget of steps; None in a document of an earlier version."""
    network: Network
    forecast: Forecast
    version: str = ""

    def to_json(self) -> str:
        """Return the document with every number."""
        return document.encode(self).decode()
