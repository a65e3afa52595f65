"""Compare the forecast with real backpropagation on a grid of recipes that is split by a fixed hash.

    python bench/forecast_accuracy.py [--half refine|report|both] [--share K] [--json FILE]

Grid: 14 activations x 6 initialisers x {plain, batch norm before / after, layer norm before / after, residual} x depth
5 to 100 x width 64 and 256, hidden layers all alike; besides small grids of convolutions and of simple recurrences
(data.small_grids; 16 draws of 16 samples, and 64). Head (one sigmoid, ten softmax, one linear), inputs (uniform,
normal) and batch (32, 128) follow from a hash of the recipe, and so does the half: formulas are refined on one half,
the other is reported. Truth: torch's autograd in float64, weights, inputs and labels drawn 64 times (width 256: 24).

A recipe whose mean lies within NEAR of its own sampling errors of 2 decades is drawn twice as often, and again, until
it does not or has MOST times its draws: by the measured numbers alone, the forecast is not asked.

Error: |forecast - mean over the draws| of log10(first/last kernel gradient norm), in decades; it contains the sampling
error of that mean, whose median stands beside it. Verdict: vanishes, fine or explodes at 2 decades, of the two means.
Beside, for plain stacks: the signal tracking of DKS, where that is installed (see data/dks_signal.py).
Coverage: share of single draws within two of the forecast's own standard deviations.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import time
import zlib
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from data import dks_signal
from data.drawn import ACTIVATIONS, gradient_norms
from data.small_grids import convolutional, recurrent
from unvanish.forecasting import INPUTS
from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network

NAMES = sorted(set(ACTIVATIONS) - {"erf", "hard_silu", "linear"})
INITIALISERS = ("glorot_normal", "he_normal", "lecun_normal", "orthogonal", "keras", "torch")
FORMS = {
    "plain": "dense({n}, {f})*{depth}",
    "BN before": "(dense({n}), batch_norm, {f})*{depth}",
    "BN after": "(dense({n}, {f}), batch_norm)*{depth}",
    "LN before": "(dense({n}), layer_norm, {f})*{depth}",
    "LN after": "(dense({n}, {f}), layer_norm)*{depth}",
    "residual": "dense({n}, {f}), residual(dense({n}, {f}))*{less}",
}
DEPTHS, DRAWS = (5, 11, 20, 50, 100), {64: 64, 256: 24}
NEAR, MOST = 3, 16
HEADS, BATCHES, TWO = ("dense(1, sigmoid)", "dense(10, softmax)", "dense(1)"), (32, 128), 2.0


def main() -> None:
    """Measure what is asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("refine", "report", "both"), default="both")
    parser.add_argument("--share", type=int, default=1, help="measure one recipe of so many")
    parser.add_argument("--json", metavar="FILE", help="keep the measured numbers here, and go on from there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kept = Path(options.json) if options.json else None
    known = json.loads(kept.read_text()) if kept and kept.exists() else {}
    asked = [recipe for recipe in grid(options.share) if options.half in ("both", half(recipe))]
    asked.sort(key=lambda recipe: zlib.crc32(recipe["spec"].encode()))  # what is interrupted is a fair sample
    started = time.perf_counter()
    for number, recipe in enumerate(asked):
        known[recipe["key"]] = enough(recipe, known.get(recipe["key"], []))
        if kept and (number % 100 == 99 or number == len(asked) - 1):
            kept.write_text(json.dumps(known))
            print(f"{number + 1}/{len(asked)} {time.perf_counter() - started:.0f} s", flush=True)
    rows = [row(recipe, known[recipe["key"]]) for recipe in asked]
    for name in ("refine", "report"):
        if part := [one for one in rows if one["half"] == name]:
            tables(name, part)


def grid(share: int = 1) -> list[dict]:
    """Return the recipes, of which every so many-th by its hash."""
    dense = (
        (f, initialiser, form, depth, n, FORMS[form].format(n=n, f=f, depth=depth, less=depth - 1))
        for f, initialiser, form, depth, n in itertools.product(NAMES, INITIALISERS, FORMS, DEPTHS, DRAWS)
    )
    found = []
    for f, initialiser, form, depth, n, body in itertools.chain(dense, convolutional(), recurrent()):
        key = f"{f} {initialiser} {form} {depth} x {n}"
        number = zlib.crc32(key.encode())
        if number // 1000 % share:
            continue
        conv = form.startswith("conv")
        found.append(
            {
                "key": key, "f": f, "initialiser": initialiser, "form": form, "depth": depth, "n": n,
                "spec": f"{body}, {HEADS[number % 3]}", "head": HEADS[number % 3],
                "inputs": ("uniform", "normal")[number // 3 % 2], "batch": 16 if conv else BATCHES[number // 6 % 2],
                "draws": 16 if conv else DRAWS.get(n, 64), "number": number,
            }
        )  # fmt: skip
    return found


def half(recipe: dict) -> str:
    """Return the half that a recipe belongs to, by its hash."""
    return ("refine", "report")[recipe["number"] // 12 % 2]


def enough(recipe: dict, known: list[float]) -> list[float]:
    """Return log10(first/last) of every draw: those that are known, and more while their mean is near the line."""
    step = recipe["draws"]
    x = known or measured(recipe, step, 0)
    while len(x) < MOST * step and abs(abs(float(np.mean(x))) - TWO) < NEAR * float(np.std(x, ddof=1)) / len(x) ** 0.5:
        for _ in range(len(x) // step):
            x = x + measured(recipe, step, len(x) // step)
    return x


def measured(recipe: dict, draws: int, block: int) -> list[float]:
    """Return log10(first/last) of so many draws. block: which ones, each with a seed of its own."""
    network = build(recipe["spec"], initialiser=recipe["initialiser"], features=recipe["n"])
    seed = (recipe["number"] + 7919 * block) % 2**31
    norms = gradient_norms(network, draws, recipe["batch"], recipe["inputs"], seed)
    return [round(float(x), 5) for x in norms[:, 0] - norms[:, -1]]


def row(recipe: dict, draws: list[float]) -> dict:
    """Return the recipe with its forecast, error, verdicts and coverage."""
    network = build(recipe["spec"], initialiser=recipe["initialiser"], features=recipe["n"])
    q, k = INPUTS[recipe["inputs"]]
    found = forecast_network(network, batch_size=recipe["batch"], second_moment=q, cross_moment=k)
    tracked = recipe["form"] == "plain" and not dks_signal.missing()
    x = np.asarray(draws)
    mean, expected, sd = float(x.mean()), found.log10_first_over_last, found.log10_sd
    expected, sd = (math.nan if one is None else one for one in (expected, sd))
    return recipe | {
        "half": half(recipe),
        "mean": mean,
        "expected": expected,
        "sd": sd,
        "measured_sd": float(x.std(ddof=1)),
        "error": abs(expected - mean) if math.isfinite(expected) else math.inf,
        "sampling": float(x.std(ddof=1) / math.sqrt(x.size)),
        "agrees": word(expected) == word(mean),
        "dks": dks_signal.log10_first_over_last(network, q) if tracked else None,
        "covered": float((np.abs(x - expected) <= 2 * sd).mean()),
    }


def word(decades: float) -> str:
    """Return the verdict at two decades."""
    return "vanishes" if decades < -TWO else "explodes" if decades > TWO else "fine"


def tables(name: str, rows: list[dict]) -> None:
    """Print the whole half, its slices and its worst ten rows."""
    print(f"\n{name} half: {len(rows)} recipes")
    line("", None)
    line("all", rows)
    narrow = [one for one in rows if one["depth"] / one["n"] <= 0.8]
    line("depth/width <= 0.8", narrow)
    for slot in ("form", "f", "initialiser", "depth", "n", "head", "inputs", "batch"):
        for value in dict.fromkeys(one[slot] for one in rows):
            line(
                f"{slot} {value}" if slot not in ("form", "head") else str(value),
                [r for r in narrow if r[slot] == value],
            )
    beside(narrow)
    print("\nworst ten (depth/width <= 0.8)")
    for one in sorted(narrow, key=lambda one: -one["error"])[:10]:
        told = f"{one['expected']:8.2f} ± {one['sd']:.2f}   measured {one['mean']:8.2f} ± {one['measured_sd']:.2f}"
        print(f"  {one['key']:<44} {one['head']:<18} {one['inputs']:<8} {one['batch']:>4}  forecast {told}")


def beside(rows: list[dict]) -> None:
    """Print what the signal tracking of DKS says of the plain stacks that it knows, and the forecast of the same."""
    told = [one for one in rows if one["dks"] is not None]
    if why := dks_signal.missing():
        print(f"\n{why}")
    if not told:
        return
    print(f"\nplain stacks of DKS' activations, depth/width <= 0.8: {len(told)} recipes")
    for name, slot in (("forecast", "expected"), ("DKS at q = 1", "dks")):
        errors = [abs(one[slot] - one["mean"]) for one in told]
        agree = np.mean([word(one[slot]) == word(one["mean"]) for one in told])
        print(f"  {name:<24}median {np.median(errors):.3f}  p95 {np.quantile(errors, 0.95):.3f}  verdict {agree:.1%}")


def line(name: str, rows: list[dict] | None) -> None:
    """Print one slice."""
    if rows is None:
        print(f"  {'slice':<24}{'rows':>6}{'median':>9}{'p95':>8}{'sampling':>10}{'verdict':>9}{'coverage':>10}")
        return
    if not rows:
        return
    errors = np.array([one["error"] for one in rows])
    numbers = np.median(errors), np.quantile(errors, 0.95), np.median([one["sampling"] for one in rows])
    agree, covered = np.mean([one["agrees"] for one in rows]), np.mean([one["covered"] for one in rows])
    shown = f"{numbers[0]:>9.3f}{numbers[1]:>8.3f}{numbers[2]:>10.3f}{agree:>9.1%}{covered:>10.1%}"
    print(f"  {name:<24}{len(rows):>6}{shown}")


if __name__ == "__main__":
    main()
