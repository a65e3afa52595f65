"""Run every network of the zoo through unvanish, and keep what was seen: rules replay over it in seconds."""

from __future__ import annotations

import gzip
import importlib
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from unvanish.core import document
from unvanish.core.observation import Observation
from unvanish.script.captures import CAPTURES
from unvanish.watching.session import Enough, Plan
from zoo.case import SEEDS, Case
from zoo.measure import read
from zoo.runs import cases, run

RECORDED = Path(__file__).parent / "recorded"
LATE = frozenset({"GF901", "GF905"})
ALL = 100_000
"""More steps than any run takes."""
THREE_SEEDS = (
    "keras-conv-batch-norm",
    "keras-dense-relu",
    "keras-lstm",
    "keras-regression-l2",
    "keras-sigmoid-11",
    "keras-batch-norm-50",
    "torch-conv",
    "torch-dense-tanh-functional",
    "torch-gru-text",
    "torch-regression-adagrad",
    "torch-rnn-forgets",
    "torch-large-init",
)
"""The runs that are recorded with all seeds: how much a verdict depends on the initial weights."""


def seeds(name: str) -> tuple[int, ...]:
    """Return the seeds that a run is recorded with."""
    return SEEDS if name in THREE_SEEDS else SEEDS[:1]


def observe(case: Case, seed: int) -> Observation:
    """Return what the capture of the run's framework saw of its last training. Raise what kept it from looking.

    A disease of the data or of the averages shows late and on held-out data alone: such a run is seen to its end, and
    one of PyTorch through `unvanish.check`, since a loop of its own does not say which data it holds out.
    """
    late = bool(LATE.intersection(case.codes))
    if late and case.framework == "torch":
        return importlib.import_module("zoo.torch_runs").checked(case, seed).observation
    room = dict(CAPTURES)[case.framework]
    script = Path(__file__).with_name(f"{case.framework}_runs.py")
    plan = Plan(steps=ALL) if late else Plan()
    capture: Any = importlib.import_module(room).Capture(plan, lambda *_: None, script)
    with suppress(Enough):
        run(case.name, seed, watch=capture)
    if capture.error is not None:
        raise capture.error
    if capture.observation is None:
        raise RuntimeError(f"{case.name}: nothing was seen")
    return capture.observation


def place(name: str, seed: int) -> Path:
    """Return the file of one recording."""
    return RECORDED / f"{name}-{seed}.json.gz"


def write(path: Path, seen: Observation) -> None:
    """Write an observation as `core.document` does, compact and compressed; the same one gives the same bytes."""
    compact = msgspec.json.format(document.encode(seen), indent=0)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(compact, 9, mtime=0))


def load(path: Path) -> Observation:
    return document.decode(gzip.decompress(path.read_bytes()), Observation)


def recordings() -> Iterator[tuple[str, int, Path]]:
    """Yield (name, seed, file) of every recording there is, in order."""
    for path in sorted(RECORDED.glob("*.json.gz")):
        name, seed = path.name.removesuffix(".json.gz").rsplit("-", 1)
        yield name, int(seed), path


def main(only: str, framework: str, again: bool) -> None:
    """Record the runs of the zoo whose name contains `only`; those there are already only `again`."""
    belong = {name for name, entry in read()["runs"].items() if entry["belongs"]}
    for case in cases(framework):
        if only not in case.name or case.name not in belong:
            continue
        for seed in seeds(case.name):
            if place(case.name, seed).exists() and not again:
                continue
            started = time.perf_counter()
            try:
                write(place(case.name, seed), observe(case, seed))
                told = f"{place(case.name, seed).stat().st_size / 1024:.0f} kB"
            except Exception as error:  # a run that cannot be recorded is named, and the next one goes on
                told = f"NOT RECORDED: {type(error).__name__}: {str(error).splitlines()[0]}"
            print(f"{case.name:32s} seed {seed}  {told}  {time.perf_counter() - started:.1f} s", flush=True)
