"""Rules that most cures answer together."""

from __future__ import annotations

WITH_DEPTH: tuple[str, ...] = ("GF101", "GF102", "GF104", "GF105", "GF601", "GF602")
"""Gradient or signal shrinks or grows from layer to layer, or is about to, by the gain of the weights."""
