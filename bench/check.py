"""What a check costs: time and memory, in script mode and from Python.

    python bench/check.py [--repeats 5]

Conditions: every run in its own process, the plain script and the checked one in turn; wall time and peak resident
memory of the whole process. Added time = wall(check) - wall(plain), writing the HTML report included; the plain script
takes exactly the steps that the check sees, and imports the same modules first. By its own account: what the check says
that it cost (probes, evaluation, taps; not the report). Medians, with the range in brackets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

BIG = """
import time
import numpy as np
import keras
from keras import layers
r = np.random.default_rng(0)
x, y = r.random((7680, 128), dtype="float32"), r.integers(0, 10, 7680)
model = keras.Sequential([keras.Input((128,))])
for _ in range(12):
    model.add(layers.Dense(1024, activation="relu", kernel_initializer="he_normal"))
model.add(layers.Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy")
"""
PRELOADED = """
import os, runpy, sys
import keras, matplotlib.backends.backend_svg, matplotlib.backends.backend_agg
import unvanish.cli.main, unvanish.cli.check, unvanish.report.html, unvanish.report.progress, unvanish.report.text
import unvanish.keras.capture, unvanish.rules.judge, unvanish.script.check, unvanish.theory.forecast
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
FIT = "model.fit(x, y, batch_size=128, epochs=1, verbose=0)\n"
TIMED = """
times = []
class Clock(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()
    def on_train_batch_end(self, batch, logs=None):
        times.append(time.perf_counter() - self.start)
model.fit(x, y, batch_size=128, epochs=1, verbose=0, callbacks=[Clock()])
print("STEPS", times[0], float(np.median(times[5:])))
"""
PYTHON = """
import resource, sys
import unvanish
model.train_on_batch(x[:128], y[:128])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
for i in range(5):
    model.train_on_batch(x[:128], y[:128])
before = peak()
if sys.argv[1] == "check":
    unvanish.check(model, x, y, batch_size=128, steps=20)
size = sum(int(np.prod(v.shape)) * 4 for v in [*model.variables, *model.optimizer.variables])
print("MEMORY", (peak() - before) / size)
"""


def run(folder, command, ends=(0,)):
    """Return (wall seconds, peak resident bytes, standard output) of a child process; ends: the exit codes allowed."""
    out = Path(folder, "out.txt")
    started = time.perf_counter()
    with out.open("w") as handle:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *command],
            {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
            file_actions=[(os.POSIX_SPAWN_DUP2, handle.fileno(), 1), (os.POSIX_SPAWN_DUP2, handle.fileno(), 2)],
        )
        _, status, usage = os.wait4(pid, 0)
    text = out.read_text()
    if os.waitstatus_to_exitcode(status) not in ends:
        raise SystemExit(f"{command} failed:\n{text[-3000:]}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024, text


def spread(values, form="{:.2f}"):
    return f"{form.format(statistics.median(values))} [{form.format(min(values))}, {form.format(max(values))}]"


def script_mode(folder, script, repeats):
    """Return lists of (added seconds, peak ratio, facts) of interleaved pairs."""
    rows = []
    for _ in range(repeats):
        plain, plain_peak, _ = run(folder, ["-c", PRELOADED, str(script)])
        facts = Path(folder, "facts.json")
        checked, peak, _ = run(
            folder, ["-m", "unvanish", "check", str(script), "--json", str(facts), "--quiet"], (0, 1, 4)
        )
        rows.append((checked - plain, peak / plain_peak, json.loads(facts.read_text())["record"]["cost"]))
        print(".", end="", flush=True, file=sys.stderr)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        examples = Path(__file__).resolve().parents[1] / "examples"
        big, timed, python = Path(folder, "big.py"), Path(folder, "timed.py"), Path(folder, "python.py")
        big.write_text(BIG + FIT)
        timed.write_text(BIG + TIMED)
        python.write_text(BIG + PYTHON)
        rows = script_mode(folder, examples / "sick.py", repeats)
        print(f"\ntutorial network, 125 steps: added {spread([r[0] for r in rows])} s (aim 1.5)")
        print(f"  by its own account {spread([r[2]['added_seconds'] for r in rows])} s")
        print(f"  peak memory {spread([r[1] for r in rows])} x (aim 1.1)")
        clocks = [tuple(map(float, run(folder, [str(timed)])[2].split("STEPS")[1].split())) for _ in range(3)]
        compiling, steps = [c[0] for c in clocks], [c[1] for c in clocks]
        step = statistics.median(steps)
        rows = script_mode(folder, big, repeats)
        own = [r[2]["added_seconds"] for r in rows]
        print("\n12x1024, batch 128, 60 steps")
        print(f"  plain step {spread(steps, '{:.3f}')} s, compiling {spread(compiling)} s")
        print(f"  added {spread([r[0] for r in rows])} s = {spread([r[0] / step for r in rows], '{:.1f}')} plain steps")
        print(f"  by its own account {spread([s / step for s in own], '{:.1f}')} plain steps (aim 5)")
        print(f"  peak memory {spread([r[1] for r in rows])} x (aim 1.1)")
        ratios = [float(run(folder, [str(python), "check"])[2].split("MEMORY")[1]) for _ in range(3)]
        idle = [float(run(folder, [str(python), "plain"])[2].split("MEMORY")[1]) for _ in range(2)]
        print("\nfrom Python, 12x1024: peak memory added, in units of model + optimizer")
        print(f"  {spread(ratios)} x (aim 2.5); without a check {spread(idle)} x")


if __name__ == "__main__":
    main()
