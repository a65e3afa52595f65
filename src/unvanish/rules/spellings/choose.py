"""Which language a network's remedies are told in."""

from __future__ import annotations

from unvanish.core.observation import Observation
from unvanish.rules.spellings import keras, torch
from unvanish.rules.spellings.protocol import Spelling

LANGUAGES: dict[str, Spelling] = {"keras": keras, "torch": torch}


def spelling(seen: Observation) -> Spelling:
    """Return the spellings of the library that the network is written in."""
    return LANGUAGES[seen.network.library]
