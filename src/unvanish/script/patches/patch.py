"""From a prescription to a patch of the files in which the script's own lines make the model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from unvanish.core.diagnosis import Site
from unvanish.core.edit import Edit
from unvanish.core.network import Network
from unvanish.core.patch import FileChange, Mirrored, Patch
from unvanish.errors import UnsupportedError
from unvanish.script.patches.by_call import by_call
from unvanish.script.patches.optimizer import plan_of
from unvanish.script.patches.plan import Target
from unvanish.script.patches.source_file import SourceFile
from unvanish.script.patches.table import planned
from unvanish.script.patches.write import written


def patch_of(
    edits: Sequence[Edit],
    network: Network,
    sites: Mapping[str, Site],
    sources: Mapping[str, bytes],
    *,
    optimizer_site: Site | None = None,
    rate: float | None = None,
    mirrors: Mapping[str, Mirrored] | None = None,
) -> Patch:
    """Return what to change in the files of the sites, so that they make the network with the edits.

    sources: file -> its bytes when it was run. rate: learning rate of the optimizer, None of a schedule.
    mirrors: layer -> layout of a looks-linear kernel, of those that are to have one. No file is changed. Raise
    UnsupportedError, which says why, where the edits cannot be written.
    """
    plans, of_optimizer = planned(edits, Target(network=network, mirrors=dict(mirrors or {})))
    calls, optimizer = by_call(plans, network, sites), plan_of(of_optimizer, optimizer_site, rate)
    files = dict.fromkeys([*(call.site.file for call in calls), *([] if optimizer is None else [optimizer.site.file])])
    home = _home(files)
    changes = []
    for file in files:
        here = [call for call in calls if call.site.file == file]
        there = optimizer if optimizer is not None and optimizer.site.file == file else None
        looked_at = [*(call.site for call in here), *([] if there is None else [there.site])]
        source = SourceFile(file, _bytes(sources, file, looked_at))
        path = os.path.abspath(file)
        changes.append(
            FileChange(
                path=path,
                name=Path(os.path.relpath(path, home)).as_posix(),
                before=source.data,
                after=written(source, here, there),
                encoding=source.encoding,
            )
        )
    return Patch(files=tuple(change for change in changes if change.before != change.after), home=home)


def _bytes(sources: Mapping[str, bytes], file: str, sites: Sequence[Site]) -> bytes:
    """Return the file as it was run. Raise UnsupportedError where what was read is not what ran."""
    data = sources.get(file)
    lines = [] if data is None else data.splitlines()
    for site in sites:
        here = lines[site.line - 1].strip() if site.line <= len(lines) else b""
        if data is None or (here.decode("ascii", "ignore") != site.text.encode("ascii", "ignore").decode()):
            raise UnsupportedError(
                f"{file} is not the file that was run",
                found=f"line {site.line} was: {site.text}",
                hint="run it again, and leave the file as it is meanwhile",
            )
    assert data is not None
    return data


def _home(files: Mapping[str, None]) -> str:
    """Return the folder in which the patch is applied: the present one, or the one that holds all the files."""
    paths = [os.path.abspath(file) for file in files]
    here = os.getcwd()
    if all(Path(path).is_relative_to(here) for path in paths) or not paths:
        return here
    return os.path.commonpath([os.path.dirname(path) for path in paths])
