"""Measure what watching costs: watched over plain steps.

    python bench/overhead.py FRAMEWORK [--blocks 30] [--seconds 2] [--case TEXT] [--way WAY]... [--json FILE]
    python bench/overhead.py FRAMEWORK --quick

A framework's trainings and ways to watch them stand in data/overhead_FRAMEWORK.py, those of all backends of Keras in
one. Each way trains in a process of its own, which stays, so that a watch lives as long as in a training; warm-up
(compiling, reading the network) is over before anything is timed, and told apart. Of each block every way takes the
same number of steps, one process at a time, in an order that is drawn anew. What is shown is the mean of (way - plain)
over the blocks, divided by the plain mean, with the half-width of its 95 % interval (Student's t): of the time on the
wall, of the training thread's processor time, and of that of all threads. `plain again` is a second plain training:
what it differs by is the noise. `own` is the cost that the watch tells of its training, what it took once left out, and
beside it how many times what was measured on the wall that is, where that is more than three times the noise.

All processes keep the memory that they were given (KEEPS_MEMORY). Many short blocks tell more than a few long ones on a
machine whose speed drifts: --blocks 200 --seconds 0.05.

A watch keeps to a share of the time that its training runs. While a training waits for its turn its watch is told that
something else is done, as of a validation: else it would have the time of all the others to spend, too.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, TextIO

BENCH = Path(__file__).parent
FRAMEWORKS = {
    "keras-jax": "overhead_keras",
    "keras-tensorflow": "overhead_keras",
    "keras-torch": "overhead_keras",
    "torch": "overhead_torch",
}
"""Framework -> the module of its trainings, with CASES, WAYS, NEEDS and train(case, way, turns)."""
KEEPS_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2 * 10**9), "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20)}
"""For all trainings alike: glibc gives memory back to the system where the last of it is free, which the next step asks
for again. Whether it is, a single small object decides: of seven plain trainings of a ResNet that differ in nothing the
means lay within .964 and 1.038 of the first one's, with this within .996 and 1.019.
"""
TRIAL = 5
"""Steps by which a block's length is chosen."""


def suite(framework: str) -> Any:
    """Return the module of a framework's trainings; of Keras with the backend that the framework's name ends with."""
    sys.path.insert(0, str(BENCH / "data"))
    if framework.startswith("keras-"):
        os.environ["KERAS_BACKEND"] = framework.removeprefix("keras-")
    return importlib.import_module(FRAMEWORKS[framework])


class Turns:
    """Let one training take its turns: each line of the input is one, answered with what its steps took."""

    def __init__(self, steps: int, told: TextIO, *, quick: bool) -> None:
        """steps: of a turn. told: where the answers go. quick: whether a warm-up that takes long may be cut short."""
        self.steps, self.quick = steps, quick
        self._told = told
        self._began = 0.0
        self._first: dict[str, float] | None = None

    def begins(self) -> None:
        """Be told that the warm-up begins: the training is there, and what watches it is not."""
        self._began = time.perf_counter()

    def wait(self, watch: Any = None) -> bool:
        """Answer with the turn that ends here, the warm-up at first; wait for the next one, False where none comes.

        watch: of this training, whose clock stands still meanwhile.
        """
        now, first = self._now(watch), self._first
        if watch is not None:
            watch.begun.pace.leave()
        if first is None:
            self._answer(warm_up=time.perf_counter() - self._began)
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            took = {name: now[name] - first[name] for name in now}
            self._answer(**took, peak=peak, **({} if watch is None else {"own": told(watch.cost)}))
        if not sys.stdin.readline():
            return False
        if watch is not None:
            watch.begun.pace.enter()
        self._first = self._now(watch)
        return True

    def _now(self, watch: Any) -> dict[str, float]:
        clocks = {"wall": time.perf_counter(), "thread": time.thread_time(), "process": time.process_time()}
        if watch is None:
            return clocks
        return {**clocks, "samples": watch.cost.samples}

    def _answer(self, **facts: float) -> None:
        self._told.write(json.dumps(facts) + "\n")
        self._told.flush()


def told(cost: Any) -> float:
    """Return the share of the training's own time that its watch says it added, but for what it took once."""
    each, own = cost.added_seconds - cost.warm_up_seconds, cost.seconds - cost.added_seconds
    return float(each / own) if own > 0 else math.inf  # all was ours so far, as after a short first block


class Worker:
    """Hold the process of one way."""

    def __init__(self, framework: str, case: str, way: str, steps: int, *, quick: bool) -> None:
        command = [sys.executable, __file__, framework, "--worker", way, "--case", case, "--steps", str(steps)]
        command += ["--quick"] if quick else []
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | KEEPS_MEMORY)
        self.warm_up = self._answer()["warm_up"]
        self.blocks: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        """Take a turn; return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a training ended: exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Ratio(NamedTuple):
    """Hold what a way takes over what the plain training takes, and the half-width of its 95 % interval."""

    value: float
    half: float

    def __str__(self) -> str:
        return f"{self.value:6.3f} ±{self.half:.3f}"


def ratio(way: list[float], plain: list[float]) -> Ratio:
    """Return 1 + mean(way - plain) / mean(plain), from the paired blocks."""
    from scipy.stats import t

    differences = [a - b for a, b in zip(way, plain, strict=True)]
    count, base = len(differences), math.fsum(plain) / len(plain)
    mean = math.fsum(differences) / count
    spread = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / max(count - 1, 1) / count)
    return Ratio(1 + mean / base, float(t.ppf(0.975, max(count - 1, 1))) * spread / base)


def steps_for(framework: str, case: str, seconds: float, *, quick: bool) -> int:
    """Return how many plain steps take so many seconds."""
    trial = Worker(framework, case, "plain", TRIAL, quick=quick)
    try:
        return max(math.ceil(seconds * TRIAL / min(trial.run()["wall"] for _ in range(3))), 2)
    finally:
        trial.close()


def measure(framework: str, case: str, ways: list[str], blocks: int, steps: int, *, quick: bool) -> dict[str, Any]:
    """Return the facts of one case: its steps a block, the load before, and of every way its blocks and warm-up."""
    workers: dict[str, Worker] = {}
    drawn, load = random.Random(0), os.getloadavg()[0]
    try:
        for way in ways:
            workers[way] = Worker(framework, case, way, steps, quick=quick)
        for _ in range(blocks):
            order = list(workers)
            drawn.shuffle(order)
            for way in order:
                workers[way].blocks.append(workers[way].run())
        return {
            "framework": framework,
            "case": case,
            "steps": steps,
            "load": load,
            "ways": {way: {"warm_up": w.warm_up, "blocks": w.blocks} for way, w in workers.items()},
        }
    finally:
        for worker in workers.values():
            worker.close()


def told_over_measured(own: float | None, wall: Ratio, noise: float) -> str:
    """Return how many times the measured cost the told one is; a dash where too little was measured to say so."""
    return "-" if own is None or wall.value - 1 <= 3 * noise else f"{own / (wall.value - 1):.2f}"


def shown(facts: dict[str, Any]) -> list[str]:
    """Return the table of one case."""
    clocks = ("wall", "thread", "process")
    plain = facts["ways"]["plain"]
    each = {key: [block[key] for block in plain["blocks"]] for key in (*clocks, "peak")}
    count, steps = len(each["wall"]), facts["steps"]
    again = [block["wall"] for block in facts["ways"].get("plain again", plain)["blocks"]]
    noise = ratio(again, each["wall"])
    spread = max(noise.half, abs(noise.value - 1))
    lines = [
        f"{facts['framework']}, {facts['case']}: {1000 * math.fsum(each['wall']) / count / steps:.2f} ms a plain step, "
        f"{count} blocks of {steps} steps, load {facts['load']:.2f} before",
        f"  {'':24}{'wall':>14}{'thread CPU':>16}{'all CPU':>16}{'memory':>8}{'own':>7}{'x':>6}"
        f"{'samples':>8}{'warm-up, s':>11}",
    ]
    for way, found in facts["ways"].items():
        blocks = found["blocks"]
        wall, thread, process = (ratio([block[key] for block in blocks], each[key]) for key in clocks)
        memory, own = blocks[-1]["peak"] / each["peak"][-1], blocks[-1].get("own")
        samples = sum(block.get("samples", 0) for block in blocks)
        lines.append(
            f"  {way:24}{wall!s:>14}  {thread!s:>14}  {process!s:>14}{memory:8.3f}"
            f"{'-' if own is None else f'{1 + own:.3f}':>7}{told_over_measured(own, wall, spread):>6}"
            f"{samples:8d}{found['warm_up'] - plain['warm_up']:11.2f}"
        )
    return lines


def main() -> None:
    """Print the tables, and the conditions they were measured under."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("framework", choices=FRAMEWORKS)
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2.0, help="that a plain block takes")
    parser.add_argument("--case", default="", help="only cases with this text in their name")
    parser.add_argument("--way", action="append", default=[], help="only this way beside the plain ones, or these")
    parser.add_argument("--json", type=Path, help="write every block to this file")
    parser.add_argument("--quick", action="store_true", help="a few short blocks of the first case: does it run?")
    parser.add_argument("--worker", metavar="WAY", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        told, sys.stdout = sys.stdout, sys.stderr  # what else is printed does not get between the answers
        suite(asked.framework).train(asked.case, asked.worker, Turns(asked.steps, told, quick=asked.quick))
        return
    module = suite(asked.framework)
    cases = [case for case in module.CASES if asked.case in case]
    if asked.quick:
        cases, asked.blocks, asked.seconds = cases[:1], 3, 0.05
    missing = {way: need for way, need in module.NEEDS.items() if importlib.util.find_spec(need) is None}
    ways = [
        way
        for way in module.WAYS
        if way not in missing and (way in asked.way or not asked.way or way.startswith("plain"))
    ]
    facts = []
    for case in cases:
        steps = steps_for(asked.framework, case, asked.seconds, quick=asked.quick)
        facts.append(measure(asked.framework, case, ways, asked.blocks, steps, quick=asked.quick))
        print("\n".join(shown(facts[-1])), flush=True)
    for way, need in missing.items():
        print(f"left out: {way} ({need} is not installed)")
    print(f"Python {sys.version.split()[0]}, {module.VERSIONS}, {os.cpu_count()} processors")
    if asked.json:
        asked.json.write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
