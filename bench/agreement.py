"""Compare the verdicts of the labelled cases on every backend of Keras and in native PyTorch, from the same weights.

    python bench/agreement.py [--seeds 1]

Conditions: as bench/cases.py, which is run once per framework in a process of its own; initial weights are those of
TensorFlow, batches and their order are the same everywhere, dropout draws from each framework's own generator. A
difference is listed with what was found on each side.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SIDES = ("tensorflow", "jax", "torch", "pytorch")
CASES = Path(__file__).with_name("cases.py")


def judged(side, folder, seeds):
    """Return (case, seed) -> row of one framework."""
    out = folder / f"{side}.json"
    options = ["--on", side, "--weights", str(folder / "weights"), "--seeds", str(seeds), "--json", str(out)]
    print(f"{side} ...", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, str(CASES), *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return {(row["id"], row["seed"]): row for row in json.loads(out.read_text())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    seeds = parser.parse_args().seeds
    with tempfile.TemporaryDirectory() as folder:
        sides = {side: judged(side, Path(folder), seeds) for side in SIDES}
    first = sides[SIDES[0]]
    alike = [key for key in first if len({rows[key]["verdict"] for rows in sides.values()}) == 1]
    print(f"the same verdict on all of {', '.join(SIDES)}: {len(alike)} of {len(first)} runs")
    for side in SIDES[1:]:
        same = sum(sides[side][key]["verdict"] == row["verdict"] for key, row in first.items())
        print(f"  {side:10s} as {SIDES[0]}: {same} of {len(first)} ({100 * same / len(first):.0f} %)")
    for key in first:
        if key not in alike:
            mark = " (contested)" if first[key]["contested"] else ""
            print(f"{key[0]} seed {key[1]}, label {first[key]['label']}{mark}")
            for side in SIDES:
                row = sides[side][key]
                print(f"    {side:10s} {row['verdict']:17s} {' '.join(row['findings'])}")
                print(f"    {'':10s} {row['sentence']}")


if __name__ == "__main__":
    main()
