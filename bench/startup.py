"""Measure how long `import unvanish` and `unvanish --help` take, each in a fresh Python.

    python bench/startup.py [--repeats 25]

The commands take turns within every repeat, so that a slow moment of the machine falls on all of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
COMMANDS: dict[str, tuple[list[str], float | None]] = {
    "python -c pass": ([sys.executable, "-c", "pass"], None),
    "import numpy": ([sys.executable, "-c", "import numpy"], None),
    "import unvanish": ([sys.executable, "-c", "import unvanish"], 150.0),
    "unvanish --help": ([str(BIN / "unvanish"), "--help"], 300.0),
}
"""Name -> (command, limit in ms for its median or None)."""


def measure(command: list[str]) -> float:
    """Return the wall-clock milliseconds of one run, start of the interpreter included."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - started)


def processor() -> str:
    """Return the processor's model, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Print the table and the conditions it was measured under."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=25)
    repeats = parser.parse_args().repeats
    load = os.getloadavg()[0]
    for command, _ in COMMANDS.values():
        measure(command)  # fills the caches of the disk and of byte code
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):
        for name, (command, _) in COMMANDS.items():
            times[name].append(measure(command))

    print(f"{'wall clock, ms':<18}{'median':>8}{'min':>8}{'max':>8}{'limit':>8}")
    for name, (_, limit) in COMMANDS.items():
        median = statistics.median(times[name])
        verdict = "" if limit is None else f"{limit:8.0f}  {'ok' if median < limit else 'over'}"
        print(f"{name:<18}{median:8.1f}{min(times[name]):8.1f}{max(times[name]):8.1f}{verdict}")
    print(f"{repeats} interleaved repeats after one warm-up; interpreter start included")
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {processor()}")
    print(f"{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
