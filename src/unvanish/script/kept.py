"""The trials of the last cure of a script: kept beside its report, believed while what they depend on is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from unvanish.core import document
from unvanish.core.cured import Cured
from unvanish.core.network import Layer, Network
from unvanish.script.outcome import ScriptRun

NAME = "trials.json"
OF_WEIGHTS = ("kernel", "recurrent_kernel", "bias", "scale", "shift", "distinct_units")
"""What a layer's record says of its weights: trials draw them anew."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what trials came to, before a row of their table was chosen and a patch was written."""

    digest: str
    cured: Cured


def digest_of(run: ScriptRun, argv: Sequence[str], asked: msgspec.Struct, version: str) -> str:
    """Return a digest of all that the trials of this run depend on.

    The script's own files as they are now, its arguments, its data, and the weights that trials do not draw anew; what
    was seen of its network, loss and optimizer, which may come from elsewhere. asked: the plan. Nothing is changed.
    Raise OSError for a file that is gone.
    """
    seen = run.observation
    digest = hashlib.blake2b(digest_size=16)
    for file in run.files:
        digest.update(hashlib.blake2b(Path(file).read_bytes()).digest())
    about = () if seen is None else (_bare(seen.network), seen.optimizer, seen.loss, seen.data, seen.planned_steps)
    digest.update(msgspec.json.encode((run.files, tuple(argv), asked, version, run.trainer.fingerprint(), *about)))
    return digest.hexdigest()


def kept(folder: Path | None, digest: str) -> Cured | None:
    """Return the trials of that digest that are kept in the folder; None without them."""
    try:
        found = document.decode((folder / NAME).read_bytes(), Kept) if folder is not None else None
    except (OSError, msgspec.DecodeError):  # none yet, of another version, or cut off: they are made anew
        return None
    return found.cured if found is not None and found.digest == digest else None


def keep(folder: Path | None, digest: str, cured: Cured) -> None:
    """Keep the trials in the folder, in the place of earlier ones. Raise OSError where they cannot be written."""
    if folder is None:
        return
    part = folder / f".{NAME}.part"
    part.write_bytes(document.encode(Kept(digest=digest, cured=cured)))
    part.replace(folder / NAME)


def _bare(network: Network) -> Network:
    return replace(network, layers=tuple(_of_no_weights(layer) for layer in network.layers))


def _of_no_weights(layer: Layer) -> Layer:
    return replace(layer, **dict.fromkeys(OF_WEIGHTS))
