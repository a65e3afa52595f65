"""Time a forecast over depth, and the whole command.

    python bench/forecast_speed.py [--quick]

In one process: milliseconds of processor time for `forecast_network`, the median and the range of rounds in which all
recipes and depths take turns, the first one apart (it meets each activation for the first time). Six rounds; the
deepest networks, which take a second each, are in two, so that theirs is one number. Layers are those of the
description: a block of three counts as three. Last, the whole command `unvanish forecast SPEC` in a process of its own,
by the clock. It takes about a minute on one core. Other work on the machine makes every number larger, up to twofold:
two versions are to be timed in turns.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network

CONV = "conv(16, 3, relu, same)"
RECIPES = {
    "sigmoid": ("dense(64, sigmoid)*{}, dense(1)", 1, "keras"),
    "tanh, Glorot": ("dense(64, tanh)*{}, dense(1)", 1, "glorot_uniform"),
    "tanh, orthogonal": ("dense(64, tanh)*{}, dense(1)", 1, "orthogonal"),
    "elu, He": ("dense(64, elu)*{}, dense(1)", 1, "he_normal"),
    "batch norm, relu": ("(dense(64), batch_norm, relu)*{}, dense(1)", 3, "keras"),
    "layer norm, residual": ("dense(64), residual(layer_norm, dense(64, relu))*{}, dense(1)", 3, "keras"),
    "convolution": (f"input(16, 16, 3), {CONV}*{{}}, global_avg_pool, dense(1)", 1, "keras"),
    "convolution, residual": (
        "input(16, 16, 3), conv(16, 3, same), "
        "residual(conv(16, 3, same), batch_norm, relu, conv(16, 3, same), batch_norm)*{}, global_avg_pool, dense(1)",
        6,
        "he_normal",
    ),
    "convolution, strided": (
        f"input(64, 64, 3), {CONV}*{{0}}, conv(16, 3, relu, 2, same), {CONV}*{{0}}, conv(16, 3, relu, 2, same), "
        f"{CONV}*{{0}}, global_avg_pool, dense(1)",
        3,
        "he_normal",
    ),
}
"""Name -> (description, layers that its place for a number stands for, initialiser)."""
COMMAND = "dense(64, sigmoid)*11, dense(1)"


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few layers, one round: does it run?")
    options = parser.parse_args()
    rounds = {9: 2, 90: 2} if options.quick else {10: 6, 100: 6, 1_000: 6, 10_000: 2}
    most = max(rounds.values())
    networks = {
        (name, depth): build(text.format(max(depth // each, 1)), initialiser=initialiser)
        for name, (text, each, initialiser) in RECIPES.items()
        for depth in rounds
    }
    gc.freeze()  # a network is not timed for the sake of the others that wait
    times: dict[tuple[str, int], list[float]] = {key: [] for key in networks}
    for number in range(most):
        for key, network in networks.items():
            if number >= rounds[key[1]]:
                continue
            started = time.process_time()
            forecast_network(network)
            times[key].append((time.process_time() - started) * 1e3)
    print(f"{'recipe':<22}{'layers':>8}{'first ms':>10}{'median ms':>11}{'range':>18}{'us a layer':>12}")
    for (name, depth), (first, *rest) in times.items():
        count = len(networks[name, depth].layers)
        middle, ends = statistics.median(rest), f"[{min(rest):.1f}, {max(rest):.1f}]"
        print(f"{name:<22}{count:>8}{first:>10.1f}{middle:>11.1f}{ends:>18}{1e3 * middle / count:>12.0f}")
    took = []
    for _ in range(most):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "unvanish", "forecast", COMMAND], capture_output=True, check=False)
        took.append(time.perf_counter() - started)
    print(f'\nunvanish forecast "{COMMAND}": {statistics.median(took):.2f} s [{min(took):.2f}, {max(took):.2f}]')


if __name__ == "__main__":
    main()
