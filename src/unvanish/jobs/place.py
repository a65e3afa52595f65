"""Where the user wants the workers: on this machine, or on Ray."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from unvanish.errors import UsageError
from unvanish.jobs.here import Here
from unvanish.jobs.line import Place


def require_place(on: str | None) -> None:
    """Raise UsageError for anything but None, `ray` and `ray:ADDRESS`, and where Ray is not installed.

    Nothing is imported: the script runs first, and may import it as it likes.
    """
    if on is None:
        return
    if not re.fullmatch("ray(:.+)?", on):
        raise UsageError(
            "trainings run on this machine, or on Ray",
            found=f"--on {on}",
            hint="--on ray, or --on ray:HOST:PORT for the cluster with that address",
        )
    if find_spec("ray") is None:
        raise UsageError("Ray is not installed", found=f"--on {on}", hint="pip install 'unvanish[ray]'")
    address = _address(on)
    problem = unreachable(address) if address else ""
    if problem:
        raise UsageError(
            f"there is no Ray cluster at {address}",
            found=problem,
            hint="`ray status` on one of its machines says the address; --on ray alone finds or starts one here",
        )


def _address(on: str) -> str:
    """Return the address that the user gave, here or for all that uses Ray; empty where there is none."""
    typed, everywhere = on.partition(":")[2], os.environ.get("RAY_ADDRESS", "")
    return typed or ("" if everywhere in ("auto", "local") else everywhere)


def unreachable(address: str) -> str:
    """Return why nothing answers at HOST:PORT, with or without a scheme in front; empty where something does.

    Ray itself tries for minutes.
    """
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        if not parts.hostname or not parts.port:
            return "no address of the form HOST:PORT"
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)
    return ""


def place_of(on: str | None, jobs: int | None, environment: Mapping[str, str]) -> Place | None:
    """Return where workers are to live; None where this process is to do everything. Nothing is started or joined.

    on: None for this machine, else as `require_place` allows it. jobs: how many workers; None for one process on this
    machine, for all free CPUs on Ray. environment: of the workers.
    """
    if on is not None:
        from unvanish.jobs.ray_cluster import RayCluster

        return RayCluster(_address(on), jobs, environment)
    return None if jobs is None or jobs == 1 else Here(jobs, environment)
