"""One look at a training loop that the script wrote itself, from the gradients that it hands to its optimizer.

What the loop computes is known only by what it did: the model it called, the loss it called, the gradients it took. The
probe runs that loss again on the loop's own first batch, and is believed only where it gives the loop's own gradients.
Else the loop's gradients are all that there is, and what only a probe shows stays unknown.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import keras
from msgspec.structs import replace

from unvanish.core.data_stats import data_info
from unvanish.core.diagnosis import Cost
from unvanish.core.observation import Observation, OptimizerInfo
from unvanish.core.profile import Profile
from unvanish.core.recording import Recording
from unvanish.keras.describe import describe
from unvanish.keras.failing import of_the_look
from unvanish.keras.graph import leaves
from unvanish.keras.info import loss_info
from unvanish.keras.kinds import kernel_of
from unvanish.keras.loop_data import LoopData, Way
from unvanish.keras.loops import Ways
from unvanish.keras.observe import not_looked_at, probe_whole
from unvanish.keras.raw_profile import UNKNOWN, raw_profile
from unvanish.keras.reading import read
from unvanish.keras.shadow import shadowed
from unvanish.keras.tally import Tally
from unvanish.watching.session import Plan, Progress, Session

NEAR, NEAR_LOSS = 0.02, 1e-3
"""The probe's loss is the loop's where every gradient norm and the loss itself are, to these parts: in float32 the same
sums in another order. Random layers draw anew, and are not."""
PART = "the losses of the steps: without what the loop adds to the loss that it calls"


class Host(Protocol):
    """Offer what the capture of a script decides."""

    @property
    def plan(self) -> Plan:
        """Return what is to be seen."""

    @property
    def progress(self) -> Progress:
        """Return where progress is shown."""

    def keep(self, seen: Observation, cost: Cost) -> None:
        """Keep the best observation so far."""

    def find_sites(self, model: Any) -> None:
        """Remember which lines of the script made the model's layers."""

    def aside(self) -> AbstractContextManager[None]:
        """Let what happens in the context not be the script's."""


class Loop:
    """Watch the steps of one model; see `step`, or `before` and `after`, and `read`."""

    tally: Tally

    def __init__(
        self,
        host: Host,
        model: Any,
        optimizer: Any,
        info: Callable[[], OptimizerInfo],
        variables: Sequence[Any],
        data: LoopData,
        ways: Ways,
    ) -> None:
        """Look at the model before its first step; arguments as of `handmade.Loops.look_at`."""
        self.model = model
        self._host, self._optimizer, self._data, self._ways = host, optimizer, data, ways
        self._started, self._own = time.perf_counter(), 0.0
        self._at: list[float] = []
        self._sums: dict[str, Any] = {}
        with host.aside(), self._ours():
            outside(lambda: self._first_look({id(variable) for variable in variables}, info))

    def _first_look(self, optimised: set[int], info: Callable[[], OptimizerInfo]) -> None:
        self._host.progress("reading the network", 0, 0)
        read(self.model, self._data.like)
        self._host.find_sites(self.model)
        network = self._network = describe(self.model, optimised)
        found = leaves(self.model)[0]
        kernels = {leaf.name: kernel for leaf in found if (kernel := kernel_of(leaf.operation)) is not None}
        sizes = {layer.name: layer.kernel.size for layer in network.kernels if layer.kernel is not None}
        self._session = Session(self._host.plan, list(sizes), list(sizes.values()), None, self._host.progress)
        self.tally = Tally([kernels[name] for name in sizes])
        self._trail = self._ways.trail(self.model, self.tally, self._session.limit)
        self._host.progress("probing before the first step", 0, 0)
        self._probes = [(way, self._probe(way, 0)) for way in self._data.ways]
        self._seen = Observation(
            network=network,
            profiles=(),
            recording=Recording(layers=(), sizes=(), steps=(), losses=(), rows={}),
            optimizer=info(),
            not_checked=not_looked_at(self.model, network),
            **self._told(None),
        )

    @property
    def enough(self) -> bool:
        """Say whether as many steps ran as were asked for."""
        return self._session.enough

    def step(self, apply: Callable[[], Any], gradients: Mapping[int, Any], loss: Any) -> Any:
        """Take a step, and read its numbers; gradients: id(variable) -> gradient. loss: scaled as they are."""
        scale = self._optimizer.scale_loss(keras.ops.ones(()))
        return self._ways.take(self, apply, gradients, loss, scale)

    def before(self, gradients: tuple[Any, ...], loss: Any, scale: Any = 1.0) -> None:
        """Read what a step is about to apply: the sums of the gradients of the kernels, scaled as the loss is."""
        value = keras.ops.sum(keras.ops.cast(loss, "float32")) / keras.ops.cast(scale, "float32")
        self._sums = {"loss": value, "scale": scale, "gradients": gradients, "before": self.tally.read()}

    def after(self) -> None:
        """Read what the step did."""
        with self._ours():
            found = self.tally.filled({**self._sums, "after": self.tally.read()})
            sums = keras.tree.map_structure(keras.ops.convert_to_numpy, found)
            self._add(self._session.done, *self.tally.rows(sums))

    def read(self) -> bool:
        """Read what a compiled function's steps left; say whether that is enough."""
        with self._ours():
            left = [] if self._trail is None else self._trail.read()
            if left and not self._at:
                self._probe_late()
            for step, loss, rows, at in left:
                if not self.enough:
                    self._add(step, loss, rows, at)
        return self.enough

    def end(self, *, probe: bool) -> None:
        """Look once more, and keep everything."""
        with self._host.aside():
            self.read()
            if not self._session.done:
                return
            if probe:
                with self._ours():
                    last = self._last_look()
                    self._seen = replace(self._seen, profiles=(*self._seen.profiles, *last))
        self._keep()

    def _last_look(self) -> tuple[Profile, ...]:
        """Return what the network shows after the last step; nothing where the loop keeps its weights to itself."""
        self._host.progress("probing after the last step", 0, 0)
        way, step = self._probes[0][0] if self._probes else None, self._session.done
        if way is None:
            return (self._raw(),)
        if self._trail is None:
            return (outside(lambda: self._probe(way, step)),)
        if not self._trail.knows(step):
            unknown = "the network after the last step: the loop keeps its weights to itself"
            self._seen = replace(self._seen, not_checked=(*self._seen.not_checked, unknown))
            return ()
        with self._trail.values(step):
            return (outside(lambda: self._probe(way, step)),)

    def _probe_late(self) -> None:
        """Probe the network as it was before the first step, where its batch became known only when it ran."""
        data = None if self._trail is None else self._trail.data()
        if self._trail is None or data is None:
            return
        self._data = data
        self._host.progress("probing before the first step", 0, 0)
        with self._trail.values(0), of_the_look():
            self._probes = outside(lambda: [(way, self._probe(way, 0)) for way in data.ways])

    def _add(self, step: int, loss: float, rows: dict[str, list[float]], at: float | None = None) -> None:
        """Keep the numbers of one step."""
        session, first = self._session, not self._at
        self._at.append(time.perf_counter() if at is None else at)
        if session.wants(step) or first:
            session.add(step, loss, rows)
        while session.done <= step:
            session.advance()
        if first:
            self._choose(rows, loss)
        self._keep()

    def _choose(self, rows: dict[str, list[float]], loss: float) -> None:
        """Keep the probe that gives the loop's own gradients best; without any, what the first step itself showed."""
        wanted = dict(zip(self._session.layers, rows["gradient_norm"], strict=True))
        distances = [self._distance(profile, wanted, loss) for _, profile in self._probes]
        nearest = min(distances, default=math.inf)
        self._probes = [self._probes[distances.index(nearest)]] if nearest <= NEAR else []
        seen = self._seen
        if not self._probes:
            self._seen = replace(seen, profiles=(self._raw(),), not_checked=(*seen.not_checked, UNKNOWN))
            return
        way, profile = self._probes[0]
        notes = () if math.isclose(profile.loss, loss, rel_tol=NEAR_LOSS) else (PART,)
        told = self._told(way)
        self._seen = replace(seen, profiles=(profile,), not_checked=(*seen.not_checked, *notes), **told)

    def _distance(self, profile: Profile, wanted: dict[str, float], loss: float) -> float:
        """Return how far the probe's gradient norms are from those of the loop's first step, relative; inf for no."""
        if not self._ways.LOSS_IN_PART and not math.isclose(profile.loss, loss, rel_tol=NEAR_LOSS):
            return math.inf
        found = {layer.name: layer.gradient_norm for layer in profile.layers}
        known = [(found[name], norm) for name, norm in wanted.items() if not math.isnan(norm)]
        return max((_apart(a, b) for a, b in known), default=0.0)

    def _told(self, way: Way | None) -> dict[str, Any]:
        """Return what is known about the loss and the data."""
        data, network = self._data, self._network
        info = loss_info(None if way is None else way.loss, data.y, network)
        info = info if way is None or way.plain else replace(info, chance=None)
        known = data_info(data.x, data.y, samples=None, held_out=0, batch_size=data.size, loss_kind=info.kind)
        return {"loss": info, "data": known}

    def _probe(self, way: Way, step: int) -> Profile:
        """Run the loop's first batch through the model and a loss."""
        batch = (self._data.x, self._data.y, self._data.weight)
        with shadowed(self.model, compute_loss=way.compute, optimizer=self._optimizer):
            return probe_whole(self.model, [batch], step)

    def _raw(self) -> Profile:
        """Return what the latest sampled step shows without a probe."""
        return raw_profile(self.model, self._network, self._session.recording(), -1, self._data.size)

    def _keep(self) -> None:
        self._seen = replace(self._seen, recording=self._session.recording())
        steps = [after - before for before, after in itertools.pairwise(self._at)]
        cost = Cost(
            total_seconds=time.perf_counter() - self._started,
            added_seconds=self._own,
            step_seconds=statistics.median(steps) if steps else None,
            steps=self._session.done,
        )
        self._host.keep(self._seen, cost)

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """Count the time of the context as ours."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._own += time.perf_counter() - started


def outside(function: Callable[[], Any]) -> Any:
    """Return the function's result, run where no function is being compiled and no tape records: in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def _apart(a: float | None, b: float) -> float:
    """Return how far two norms are apart, relative to the larger one."""
    if a is None or a == b:
        return math.inf if a is None else 0.0
    return abs(a - b) / max(abs(a), abs(b)) if math.isfinite(a) and math.isfinite(b) else math.inf
