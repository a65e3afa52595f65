"""The private names of Ray that are relied on are there, and do what is said of them."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from unvanish.jobs import compat

pytestmark = pytest.mark.ray


def test_the_address_of_what_is_started() -> None:
    from ray._private import ray_constants, services

    before = ray_constants.ENABLE_RAY_CLUSTER
    with compat.on_this_machine_only() as options:
        assert services.get_node_ip_address() == options["_node_ip_address"] == "127.0.0.1"
    assert before == ray_constants.ENABLE_RAY_CLUSTER


def test_options_of_init() -> None:
    import ray

    source = inspect.getsource(inspect.unwrap(ray.init))
    with compat.on_this_machine_only() as options:
        for name in (*options, *compat.in_folder("folder")):
            assert f'kwargs.pop("{name}"' in source


def test_the_cluster_that_was_started_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ray._private import utils

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    assert compat.noted_address() is None
    utils.write_ray_address("127.0.0.1:6379")
    assert compat.noted_address() == "127.0.0.1:6379"
