"""Measure what watching costs: watched over plain steps.

    python bench/overhead.py torch [--blocks 30] [--seconds 2] [--case TEXT] [--json FILE]
    python bench/overhead.py torch --quick

A framework's trainings and ways to watch them stand in data/overhead_FRAMEWORK.py. Each way trains in a process of its
own, which stays, so that a watch lives as long as in a training; warm-up (compiling, reading the network) is over
before anything is timed, and told apart. Of each block every way takes the same number of steps, one process at a time,
in an order that is drawn anew. What is shown is the mean of (way - plain) over the blocks, divided by the plain mean,
with the half-width of its 95 % interval (Student's t): of the time on the wall, and of the training thread's processor
time. `plain again` is a second plain training: what it differs by is the noise. `own` is the cost that the watch tells.

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
from typing import Any, NamedTuple

BENCH = Path(__file__).parent
FRAMEWORKS = sorted(path.stem.removeprefix("overhead_") for path in (BENCH / "data").glob("overhead_*.py"))
WARM_UP = 12
"""Steps before anything is timed."""


def suite(framework: str) -> Any:
    """Return the module with CASES, WAYS, NEEDS and make(case) -> an object with `step`."""
    sys.path.insert(0, str(BENCH / "data"))
    return importlib.import_module(f"overhead_{framework}")


def work(framework: str, case: str, way: str) -> None:
    """Train in one way, so many steps as each line of the input says; answer each with the times that they took."""
    told, sys.stdout = sys.stdout, sys.stderr  # what else is printed does not get between the answers
    module = suite(framework)
    loop = module.make(case)

    def answer(**facts: Any) -> None:
        told.write(json.dumps(facts) + "\n")
        told.flush()

    began = time.perf_counter()
    with module.WAYS[way](loop) as watch:
        for _ in range(WARM_UP):
            loop.step()
        pause(watch)
        answer(warm_up=time.perf_counter() - began)
        for line in sys.stdin:
            go_on(watch)
            samples = 0 if watch is None else watch.cost.samples
            wall, thread, process = time.perf_counter(), time.thread_time(), time.process_time()
            for _ in range(int(line)):
                loop.step()
            wall, thread, process = (
                time.perf_counter() - wall,
                time.thread_time() - thread,
                time.process_time() - process,
            )
            pause(watch)
            answer(
                wall=wall,
                thread=thread,
                process=process,
                samples=0 if watch is None else watch.cost.samples - samples,
                own=None if watch is None else watch.cost.share,
                peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            )


def pause(watch: Any) -> None:
    """Stop the watch's clock, if there is a watch: another training's turn is no time of this one."""
    if watch is not None:
        watch.begun.pace.leave()


def go_on(watch: Any) -> None:
    """Let the watch's clock go on."""
    if watch is not None:
        watch.begun.pace.enter()


class Worker:
    """Hold the process of one way."""

    def __init__(self, framework: str, case: str, way: str) -> None:
        command = [sys.executable, __file__, framework, "--worker", way, "--case", case]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.warm_up = self._answer()["warm_up"]
        self.blocks: list[dict[str, Any]] = []

    def run(self, steps: int) -> dict[str, Any]:
        """Take so many steps; return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
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


def measure(framework: str, case: str, ways: list[str], blocks: int, seconds: float) -> dict[str, Any]:
    """Return the facts of one case: its steps a block, and of every way its blocks and warm-up."""
    workers = {way: Worker(framework, case, way) for way in ways}
    drawn = random.Random(0)
    try:
        first = workers["plain"].run(5)
        steps = max(math.ceil(seconds * 5 / first["wall"]), 2)
        for _ in range(blocks):
            order = list(workers)
            drawn.shuffle(order)
            for way in order:
                workers[way].blocks.append(workers[way].run(steps))
        return {
            "case": case,
            "steps": steps,
            "ways": {way: {"warm_up": w.warm_up, "blocks": w.blocks} for way, w in workers.items()},
        }
    finally:
        for worker in workers.values():
            worker.close()


def shown(facts: dict[str, Any]) -> list[str]:
    """Return the table of one case."""
    plain = facts["ways"]["plain"]
    each = {key: [block[key] for block in plain["blocks"]] for key in ("wall", "thread", "peak")}
    count, steps = len(each["wall"]), facts["steps"]
    lines = [
        f"{facts['case']}: {1000 * math.fsum(each['wall']) / count / steps:.2f} ms a plain step, "
        f"{count} blocks of {steps} steps",
        f"  {'':24}{'wall':>14}{'thread CPU':>16}{'memory':>9}{'own':>8}{'samples':>9}{'warm-up, s':>12}",
    ]
    for way, found in facts["ways"].items():
        blocks = found["blocks"]
        wall, thread = (ratio([block[key] for block in blocks], each[key]) for key in ("wall", "thread"))
        memory, own = blocks[-1]["peak"] / each["peak"][-1], blocks[-1]["own"]
        told = "-" if own is None else f"{1 + own:.3f}"
        samples, extra = sum(block["samples"] for block in blocks), found["warm_up"] - plain["warm_up"]
        lines.append(f"  {way:24}{wall!s:>14}  {thread!s:>14}{memory:9.3f}{told:>8}{samples:9d}{extra:12.2f}")
    return lines


def main() -> None:
    """Print the tables, and the conditions they were measured under."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("framework", choices=FRAMEWORKS)
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2.0, help="that a plain block takes")
    parser.add_argument("--case", default="", help="only cases with this text in their name")
    parser.add_argument("--json", type=Path, help="write every block to this file")
    parser.add_argument("--quick", action="store_true", help="a few short blocks of the first case: does it run?")
    parser.add_argument("--worker", metavar="WAY", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        work(asked.framework, asked.case, asked.worker)
        return
    module = suite(asked.framework)
    cases = [case for case in module.CASES if asked.case in case]
    if asked.quick:
        cases, asked.blocks, asked.seconds = cases[:1], 3, 0.05
    missing = {way: need for way, need in module.NEEDS.items() if importlib.util.find_spec(need) is None}
    ways = [way for way in module.WAYS if way not in missing]
    load, facts = os.getloadavg()[0], []
    for case in cases:
        facts.append(measure(asked.framework, case, ways, asked.blocks, asked.seconds))
        print("\n".join(shown(facts[-1])), flush=True)
    for way, need in missing.items():
        print(f"left out: {way} ({need} is not installed)")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, load {load:.2f} before")
    if asked.json:
        asked.json.write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
