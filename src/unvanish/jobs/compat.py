"""Private names of Ray, each with its reason. tests/jobs/test_ray_compat.py holds them against the installed one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def on_this_machine_only() -> Iterator[dict[str, Any]]:
    """Let what Ray starts inside the context listen on 127.0.0.1 alone; give the options of `ray.init` for that.

    On Linux Ray takes the machine's own address for 127.0.0.1, and then listens on all of them. Where it thinks that
    clusters of several machines are not possible, which is its default on other systems, it does not.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield {"_node_ip_address": "127.0.0.1"}
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def noted_address() -> str | None:
    """Return the address of the cluster that `ray start` started on this machine last; it may have ended.

    `ray.init` would join it, and wait for minutes for one that has ended.
    """
    from ray._private.utils import read_ray_address

    address: str | None = read_ray_address()
    return address


def in_folder(folder: str) -> dict[str, Any]:
    """Return the options of `ray.init` by which sockets and logs lie in the folder, in place of one that stays."""
    return {"_temp_dir": folder}
