"""What a forecast comes to: its verdict, the numbers that explain it, and what it was made of."""

from __future__ import annotations

from typing import Literal

import msgspec

from unvanish.core import document
from unvanish.core.depths import Depths, Floor
from unvanish.core.forecast import Forecast
from unvanish.core.learning import Learning
from unvanish.core.network import Network
from unvanish.core.renderers import render

Expected = Literal["fine", "vanishes", "explodes", "undecided"]


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the forecast of a network, what it was made of, and the verdict."""

    title: str
    """The description, or the script's name."""
    initialiser: str = ""
    """How all weights of a described network are drawn; empty where a script's own weights count."""
    inputs: str
    """`uniform` for U(0, 1), `normal` for N(0, 1), `measured` for those of a script's first batches."""
    input_second_moment: float
    """q0: mean of x^2 over features and samples."""
    input_cross_moment: float
    """k0: mean over pairs of different samples of the inner product / features."""
    features: int
    """Entries of an input."""
    batch_size: int
    loss: str
    """The loss that the forecast is of, in words."""
    loss_seen: bool = False
    """Whether that is the script's own; False where it is assumed."""
    notes: tuple[str, ...] = ()
    """What limits the forecast, in words."""
    verdict: Expected
    reason: str = ""
    """Why it is undecided."""
    decades: float
    """Change of the gradient from the output to the input from which on the verdict is not fine."""
    on_the_line: bool = False
    """Whether that line is within the band of the first/last gradient ratio, which tells the verdict."""
    kernels: int
    """Layers with weights."""
    typical: str | None = None
    """Name of the hidden kernel in the middle, whose gains stand for the recipe's; None without a hidden one."""
    beside_a_shortcut: bool = False
    """Whether that kernel is in a branch that is added to its input, where no gain is critical."""
    apart_first: float | None = None
    """1 - c of two inputs' pre-activations in the first kernel."""
    apart_last: float | None = None
    """The same in the last kernel but the output's."""
    log10_first_rms: float | None = None
    """log10 of the root mean square over the entries of the first kernel's gradient; None where it is not known."""
    below: tuple[Floor, ...] = ()
    """What that lies below."""
    depths: Depths | None = None
    """The same recipe at other depths, where that was asked for."""
    learning: Learning | None = None
    """Whether it learns within a budget of steps; None in a document of an earlier version."""
    network: Network
    forecast: Forecast
    version: str = ""

    def to_json(self) -> str:
        """Return the document with every number."""
        return document.encode(self).decode()

    def __str__(self) -> str:
        """Return the terminal report as plain text of 80 columns, without colour."""
        return render("forecast text", self)
