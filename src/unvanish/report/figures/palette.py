"""Colours: Okabe-Ito for categories, cividis for what is sequential; markers and dashes differ too."""

from __future__ import annotations

INK = "#222222"
"""Text and axes; becomes the reader's own text colour where a picture is inlined into a page."""

BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
RED = "#d55e00"
SKY = "#56b4e9"
PURPLE = "#cc79a7"
MIST = "#8b929b"
"""Neither text nor number: what is not there. Seen on a white page and on a black one."""
SEQUENTIAL = "cividis"
CATEGORIES = (RED, BLUE, GREEN, ORANGE, PURPLE, SKY, INK)
MARKERS = "osD^vP*Xhd"
DASHES = ("-", "--", "-.", ":")
