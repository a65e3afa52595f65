"""Where the user wants the workers: on this machine, or on Ray."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from unvanish.errors import UsageError
from unvanish.jobs.here import Here
from unvanish.jobs.line import Place


def require_place(on: str | None) -> None:
    """Raise UsageError for anything but None, `ray` and `ray:ADDRESS`, and where Ray is not installed.

    Nothing is imported: the script runs first, and may import it as it likes.
    """
    if on is None:
        return
    system, colon, address = on.partition(":")
    if system != "ray" or (colon and not address):
        raise UsageError(
            "trainings run on this machine, or on Ray",
            found=f"--on {on}",
            hint="--on ray, or --on ray:HOST:PORT for the cluster with that address",
        )
    if find_spec("ray") is None:
        raise UsageError("Ray is not installed", found=f"--on {on}", hint="pip install 'unvanish[ray]'")


def place_of(on: str | None, jobs: int | None, environment: Mapping[str, str]) -> Place | None:
    """Return where workers are to live; None where this process is to do everything. Nothing is started or joined.

    on: None for this machine, else as `require_place` allows it. jobs: how many workers; None for one process on this
    machine, for all free CPUs on Ray. environment: of the workers.
    """
    if on is not None:
        from unvanish.jobs.ray_cluster import RayCluster

        return RayCluster(on.partition(":")[2], jobs, environment)
    return None if jobs is None or jobs == 1 else Here(jobs, environment)
