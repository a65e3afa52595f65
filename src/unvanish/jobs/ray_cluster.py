"""Workers on the nodes of a Ray cluster: `--on ray`. No other file imports Ray, apart from its private names."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Self

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from unvanish.diagnosing import __version__
from unvanish.errors import UsageError
from unvanish.jobs import compat
from unvanish.jobs.lending import Array, packed
from unvanish.jobs.line import Dead
from unvanish.jobs.place import unreachable
from unvanish.jobs.relay import Relay

PATIENCE = 60.0
"""Seconds that a worker waits for a free CPU of the cluster."""
PARTING = 5.0
"""Seconds that a worker has to end, before it is killed."""
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}


class RayCluster:
    """Join a Ray cluster for the time of the context, or start one on this machine; end what was started, and no more.

    A cluster that is started here listens on 127.0.0.1 alone, has no dashboard, leaves no file, and tells nobody of its
    use.
    """

    option = "--on ray"

    def __init__(self, address: str, count: int | None, environment: Mapping[str, str]) -> None:
        """Connect to nothing yet.

        address: empty for the cluster that `ray start` has started on this machine, or else a new one. count: of
        workers; None for as many as the cluster has free CPUs. environment: of the workers, as it was before the
        script ran here.
        """
        self._address, self._wanted = address, count
        self._environment, self._home = dict(environment), os.getcwd()
        self._lent: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.count, self.title, self.notes = 0, "workers on Ray", tuple[str, ...]()

    def line(self) -> RayLine:
        """Ask the cluster for a worker; one CPU is its own."""
        return RayLine(self, self._environment, self._home)

    def lent(self, digest: str, array: Array) -> Any:
        """Return a reference to the array, of which the cluster is given one copy for all workers."""
        with self._lock:
            if digest not in self._lent:
                self._lent[digest] = ray.put(packed(array))
            return self._lent[digest]

    def __enter__(self) -> Self:
        """Connect. Raise UsageError where that is not possible, or no CPU is free."""
        self._variables = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
        short = "/tmp" if os.name == "posix" else None  # sockets lie in it, and their paths must be
        self._folder = tempfile.TemporaryDirectory(prefix="unvanish-", dir=short, ignore_cleanup_errors=True)
        self._joined_by_script = ray.is_initialized()
        try:
            self._connect()
            self._count_cpus()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster, and end it where it was started here."""
        self._lent.clear()
        if not self._joined_by_script:
            ray.shutdown()
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            del os.environ[name]
        os.environ.update(self._variables)
        self._folder.cleanup()

    def _connect(self) -> None:
        if self._joined_by_script:
            if self._address:
                raise UsageError(
                    "the script itself has joined a Ray cluster",
                    found=f"{self.option}:{self._address}, and ray.init in the script",
                    hint=f"{self.option}: the cluster of the script",
                )
            return
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            with _signals_kept():
                if self._address or _is_running():
                    ray.init(self._address or None, **QUIET)
                else:
                    self._start()
        except (RayError, RuntimeError, ValueError, OSError) as error:
            raise UsageError(
                f"the Ray cluster at {self._address} cannot be joined" if self._address else "Ray could not be started",
                found=str(error).strip().partition("\n")[0],
                hint="ray status says which clusters there are; --jobs N needs none",
            ) from error

    def _start(self) -> None:
        """Start a cluster of this machine alone. Ray would write its token into the home."""
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        with compat.on_this_machine_only() as options:
            place = compat.in_folder(self._folder.name)
            ray.init("local", num_cpus=self._wanted, include_dashboard=False, **options, **place, **QUIET)

    def _count_cpus(self) -> None:
        free = int(ray.available_resources().get("CPU", 0))
        if not free:
            raise UsageError(
                "the Ray cluster has no free CPU",
                numbers={"CPUs": int(ray.cluster_resources().get("CPU", 0))},
                hint="wait until its other work is done, or --jobs N without --on",
            )
        self.count = min(free, self._wanted or free)
        nodes = sum(node["Alive"] for node in ray.nodes())
        self.title = f"{self.count} workers on Ray ({nodes} {'node' if nodes == 1 else 'nodes'})"
        if self._wanted and self._wanted > free:
            self.notes = (f"the Ray cluster has {free} free CPUs: {free} workers in place of {self._wanted}",)


class RayLine:
    """Lead to a worker process on some node, through an actor that passes bytes on; see `Line`."""

    def __init__(self, cluster: RayCluster, environment: Mapping[str, str], home: str) -> None:
        """Ask for the actor, and for its worker process in the folder `home`; wait for neither."""
        self._cluster, self.pid = cluster, 0
        # no restarts by Ray: the pool gives the job to another worker. Two calls at once: ask, and end beside it.
        kind = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0, max_concurrency=2)(Relay)
        self._actor = kind.remote()
        self._begun = self._actor.begin.remote(environment, home, __version__)

    def open(self) -> str:
        """Wait until the worker runs; return why it cannot help, empty where it can. Raise Dead."""
        try:
            begun = ray.get(self._begun, timeout=PATIENCE)
        except GetTimeoutError as error:
            self.end()
            raise Dead(f"no CPU of the cluster became free within {PATIENCE:.0f} s") from error
        except RayTaskError as error:
            return _unfit(error)
        except RayActorError as error:
            if error.actor_init_failed:
                return _unfit(error)
            raise Dead(_first_line(error)) from error
        except RayError as error:
            raise Dead(_first_line(error)) from error
        if isinstance(begun, str):
            return begun
        self.pid = begun
        return ""

    def ask(self, message: bytes) -> bytes:
        """Return the worker's answer. Raise Dead."""
        answer = self._get(self._actor.ask.remote(message))
        if isinstance(answer, str):
            self.end()
            raise Dead(answer)
        return bytes(answer)

    def lend(self, arrays: Mapping[str, Array]) -> dict[str, str]:
        """Send the arrays to the worker's node; return the files there, both by digest. Raise Dead."""
        kept = {
            digest: self._actor.keep.remote(digest, self._cluster.lent(digest, array))
            for digest, array in arrays.items()
        }
        return {digest: str(self._get(path)) for digest, path in kept.items()}

    def end(self) -> str:
        """End the worker, then the actor; return how. More than once is no harm."""
        try:
            if self.pid:
                ray.get(self._actor.end.remote(), timeout=PARTING)
        except RayError:
            pass  # it has ended: so does its process, when nobody holds the other end of its pipes
        ray.kill(self._actor)
        return "ended by the pool"

    def close(self) -> None:
        """Do nothing: Ray forgets an actor that was killed."""

    def _get(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except RayError as error:
            self.end()
            raise Dead(_first_line(error)) from error


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back what SIGTERM does: Ray prints a stack trace, and aborts."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _is_running() -> bool:
    """Say whether `ray start` has started a cluster on this machine that still answers."""
    noted = None if os.environ.get("RAY_ADDRESS") == "local" else compat.noted_address()
    return noted is not None and not unreachable(noted)


def _unfit(error: Exception) -> str:
    """Return why a node cannot run a worker: the last line of what was raised there."""
    return f"a node cannot run unvanish: {str(error).strip().splitlines()[-1]}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
