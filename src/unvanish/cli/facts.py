"""Saved facts read back: what `check`, `cure`, `compare` and `forecast` wrote with --json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.core.comparison import Comparison
    from unvanish.core.cured import Cured
    from unvanish.core.diagnosis import Diagnosis
    from unvanish.core.outlook import Outlook


def load(file: Path) -> Diagnosis | Cured | Comparison | Outlook:
    """Return the record in the file, of whichever kind it is; raise UsageError where there is none."""
    import msgspec

    from unvanish.core import document
    from unvanish.core.comparison import Comparison
    from unvanish.core.cured import Cured
    from unvanish.core.diagnosis import Diagnosis
    from unvanish.core.outlook import Outlook

    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read the facts {str(file)!r}",
            found=error.strerror or str(error),
            numbers={"folder": file.absolute().parent},
            hint="write them first: unvanish check train.py --json facts.json",
        ) from None
    kinds: dict[str, Any] = {kind.__name__: kind for kind in (Comparison, Cured, Diagnosis, Outlook)}
    try:
        kind = kinds.get(document.kind_of(data), Diagnosis)
        record: Diagnosis | Cured | Comparison | Outlook = document.decode(data, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} holds no saved facts",
            found=str(error),
            numbers={"bytes": len(data)},
            hint="a file that `unvanish check train.py --json FILE` wrote, or cure, compare or forecast with --json, "
            "by a version with the same schema",
        ) from None
    return record
