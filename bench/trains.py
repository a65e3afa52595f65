"""Train recipes that a forecast has judged, and compare: learns within the budget, or not.

    python bench/trains.py train SET [--most MINUTES]    resumable, kept in data/trains.json; twins: the cured ones
    python bench/trains.py judge SET                     the forecast against what was kept
    python bench/trains.py quick                         three recipes, both steps, seconds

A first rule was found on `tuning`, and on `close`: further recipes of the same half, of which it was least sure. It was
judged on the `first` hundred of the other half. Every further rule was found on all that had been seen by then, and
judged on the next hundred, once. The present rule is the fifth, and the `fifth` hundred judged it.

Conditions: MNIST-1D (4,000 samples of 40 numbers, ten classes, 1,000 held out), Adam, 300 steps of 100 samples, three
seeds, at the learning rates 1e-3, 3e-4 and 1e-4. A recipe learns when at one of these rates two of three seeds reach
LEARNT on the held-out samples within the budget; none is left out. Where three seeds end within NEAR of that line, six
more are trained, and the median of nine counts (from the `second` hundred on; of the earlier sets three are kept,
and `train` adds the six). Normalisations use the statistics of what they are given, in evaluation too. One thread.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))

from data.recipes import Recipe, hundred, named, tuning
from data.stacked import Dense, looks_linear, stacked
from data.told import RULES, Told, table, tell

KEPT = Path(__file__).parent / "data" / "trains.json"
RATES, STEPS, BATCH = (1e-3, 3e-4, 1e-4), 300, 100
SEEDS, MORE_SEEDS = (1, 2, 3), (4, 5, 6, 7, 8, 9)
LOOKS = 60
"""Steps between two looks at the held-out accuracy."""
LEARNT, ENOUGH = 0.25, 0.40
"""Held-out accuracy that counts as learnt (chance 0.10), and from which on a run need not go on."""
NEAR = 0.03
"""So near to LEARNT three seeds do not decide, and MORE_SEEDS are trained too."""
TWINS = tuple((depth, width) for width in (32, 64, 128) for depth in (5, 20, 50, 100))

Part = tuple[Tensor, Tensor]


def mnist1d() -> tuple[Part, Part]:
    """Return MNIST-1D (Greydanus 2020), generated here: 4,000 samples to train on and 1,000 held out."""
    from mnist1d.data import get_dataset_args, make_dataset

    with contextlib.redirect_stdout(io.StringIO()):
        made = make_dataset(get_dataset_args())
    parts = [(made["x"], made["y"]), (made["x_test"], made["y_test"])]
    (x, y), (held, wanted) = [(torch.tensor(a, dtype=torch.float32), torch.tensor(b).long()) for a, b in parts]
    return (x, y), (held, wanted)


def trained(
    nets: nn.Module, seeds: int, rate: float, epsilon: float, parts: tuple[Part, Part], steps: int
) -> list[list[float]]:
    """Train all networks of the stack at once; return the held-out accuracies (looks, seeds), best left early."""
    (x, y), held = parts
    order = torch.Generator().manual_seed(7)
    optimizer = torch.optim.Adam(nets.parameters(), lr=rate, eps=epsilon)
    looks, batches = [], []
    for step in range(1, steps + 1):
        if not batches:
            batches = list(torch.randperm(len(x), generator=order).split(BATCH))
        some = batches.pop()
        outputs = nets(x[some].expand(seeds, -1, -1))
        wanted = y[some].repeat(seeds)
        loss = nn.functional.cross_entropy(outputs.flatten(0, 1), wanted) * seeds
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % LOOKS == 0 or step == steps:
            looks.append(accuracies(nets, seeds, held))
            if statistics.median(looks[-1]) >= ENOUGH or not any(finite(nets, seeds, held)):
                break
    return looks


@torch.no_grad()
def accuracies(nets: nn.Module, seeds: int, held: Part) -> list[float]:
    """Return each network's share of right answers; 0 where an output is no number."""
    outputs = nets(held[0].expand(seeds, -1, -1))
    right = (outputs.argmax(-1) == held[1]).float().mean(1)
    return [round(float(a), 3) if bool(o.isfinite().all()) else 0.0 for a, o in zip(right, outputs, strict=True)]


@torch.no_grad()
def finite(nets: nn.Module, seeds: int, held: Part) -> list[bool]:
    outputs = nets(held[0][:BATCH].expand(seeds, -1, -1))
    return [bool(o.isfinite().all()) for o in outputs]


def gradients(nets: nn.Module, parts: tuple[Part, Part]) -> list[float]:
    """Return log10 of each kernel's gradient RMS on the first batch, the median over the seeds; -99 for zero."""
    (x, y), _ = parts
    outputs = nets(x[:BATCH].expand(len(SEEDS), -1, -1))
    nn.functional.cross_entropy(outputs.flatten(0, 1), y[:BATCH].repeat(len(SEEDS))).mul(len(SEEDS)).backward()
    found = []
    for module in nets.modules():
        if isinstance(module, Dense):
            rms = module.kernel.grad.double().square().mean((1, 2)).sqrt().median()
            found.append(round(float(rms.log10()), 2) if float(rms) > 0 else -99.0)
    nets.zero_grad()
    return found


def measured(recipe: Recipe, parts: tuple[Part, Part], steps: int = STEPS, kept: dict | None = None) -> dict:
    """Train the recipe at each rate until one is enough; where it ends near the line, from MORE_SEEDS at every rate.

    kept: what is kept of SEEDS already, if anything. Return what is kept from now on.
    """
    started, features = time.perf_counter(), parts[0][0].shape[1]
    if kept is None:
        kept = {
            "runs": runs(recipe, SEEDS, parts, steps),
            "gradients": gradients(stacked(recipe.logits, recipe.initialiser, features, SEEDS), parts),
            "seconds": 0.0,
        }
    if unsure(kept):
        more = runs(recipe, MORE_SEEDS, parts, steps)
        kept["runs"] = {rate: side_by_side(looks, more.get(rate, [])) for rate, looks in kept["runs"].items()}
    return kept | {"seconds": round(kept["seconds"] + time.perf_counter() - started, 1)}


def runs(recipe: Recipe, seeds: tuple[int, ...], parts: tuple[Part, Part], steps: int) -> dict[str, list[list[float]]]:
    """Return the looks at each rate, up to the first that is enough."""
    epsilon, found = 1e-8 if recipe.initialiser == "torch" else 1e-7, {}
    for rate in RATES:
        nets = stacked(recipe.logits, recipe.initialiser, parts[0][0].shape[1], seeds)
        found[str(rate)] = trained(nets, len(seeds), rate, epsilon, parts, steps)
        if reaches({"runs": found}, ENOUGH):
            break
    return found


def side_by_side(looks: list[list[float]], more: list[list[float]]) -> list[list[float]]:
    """Return looks at both groups of seeds; one that was left early, since no output was a number, is right nowhere."""
    lost, more_lost = [0.0] * len(SEEDS), [0.0] * len(MORE_SEEDS)
    count = max(len(looks), len(more))
    first, second = looks + [lost] * (count - len(looks)), more + [more_lost] * (count - len(more))
    return [a + b for a, b in zip(first, second, strict=True)]


def unsure(kept: dict) -> bool:
    """Say whether three seeds have ended near the line."""
    seeds = {len(look) for looks in kept["runs"].values() for look in looks}
    return seeds == {len(SEEDS)} and abs(best(kept) - LEARNT) <= NEAR


def reaches(kept: dict, accuracy: float) -> bool:
    """Say whether at one rate most seeds reached the accuracy at one look."""
    return best(kept) >= accuracy


def train(which: str, most: float, path: Path) -> None:
    """Train what is not kept yet, for so many minutes at most; keep each as soon as it is done."""
    parts, started = mnist1d(), time.perf_counter()
    for name, task in jobs(which, parts):
        kept = json.loads(path.read_text()) if path.exists() else {}
        before = kept.get(which, {}).get(name)
        if before and (which == "twins" or not unsure(before)):
            continue
        if time.perf_counter() - started > 60 * most:
            print("out of time; call again to go on")
            return
        found = task(before)
        kept.setdefault(which, {})[name] = found
        aside = path.with_suffix(".part")
        aside.write_text(json.dumps(kept, indent=0))
        aside.replace(path)
        print(f"{best(found):.3f} {found['seconds']:6.1f} s  {name}", flush=True)


def jobs(which: str, parts: tuple[Part, Part]):
    """Yield (name, what measures it), what is soon done first."""
    if which == "twins":
        for depth, width in TWINS:
            yield f"{depth} x {width}", lambda _, depth=depth, width=width: twin(depth, width, parts)
        return
    for recipe in sorted(SETS[which](), key=lambda recipe: recipe.depth * recipe.width**2):
        yield recipe.name, lambda before, recipe=recipe: measured(recipe, parts, kept=before)


SETS = {
    "tuning": tuning,
    "close": lambda: named(json.loads(KEPT.read_text())["close"]),
    "first": lambda: hundred(1),
    "second": lambda: hundred(2),
    "third": lambda: hundred(3),
    "fourth": lambda: hundred(4),
    "fifth": lambda: hundred(5),
}


def twin(depth: int, width: int, parts: tuple[Part, Part]) -> dict:
    """Train the cured twin of that size at every rate."""
    started, features = time.perf_counter(), parts[0][0].shape[1]
    runs = {}
    for rate in RATES:
        nets = looks_linear(depth, width, features, 10, SEEDS)
        runs[str(rate)] = trained(nets, len(SEEDS), rate, 1e-7, parts, STEPS)
        if reaches({"runs": runs}, ENOUGH):
            break
    return {"runs": runs, "seconds": round(time.perf_counter() - started, 1)}


def judge(which: str, path: Path) -> None:
    """Print what was told of each recipe against what became of it, the confusions with their numbers."""
    kept = json.loads(path.read_text())[which]
    recipes = named(kept)
    told = [tell(recipe, BATCH, STEPS) for recipe in recipes]
    for bar in (LEARNT, 0.2, 0.3):
        true = [reaches(kept[recipe.name], bar) for recipe in recipes]
        print(f"\nlearnt means {bar:.2f}: {sum(true)} of {len(true)} recipes learn")
        for rule in RULES if bar == LEARNT else ("forecast",):
            said = [one.word(rule) for one in told]
            print(f"  {rule:40} {table(list(zip(said, true, strict=True)))}")
        if bar == LEARNT:
            show_confusions(told, true, kept)


def quick() -> None:
    """Train the three shallowest recipes for a few steps, and print what was told of them."""
    parts = mnist1d()
    for recipe in sorted(tuning(), key=lambda recipe: recipe.depth * recipe.width)[:3]:
        found = measured(recipe, parts, 2 * LOOKS)
        said = tell(recipe, BATCH, STEPS).learning
        print(f"best {best(found):.3f} after {2 * LOOKS} steps, told: learns {said.learns}  {recipe.name}")


def show_confusions(told: list[Told], true: list[bool], kept: dict) -> None:
    """Print one line for each recipe that the forecast has wrong."""
    for one, learnt in zip(told, true, strict=True):
        found = one.learning
        if found.learns == learnt:
            continue
        travel, smallest = found.travel or math.nan, found.smallest_gradient
        said = "learns" if found.learns else found.obstacle
        print(
            f"    {said:24} best {best(kept[one.recipe.name]):.3f}  travel {travel:9.2e}"
            f"  smallest gradient 10^{smallest:.1f}  1 - c {found.apart:.1e}  {one.recipe.name}"
        )


def best(kept: dict) -> float:
    """Return the best median of the seeds at any rate and look."""
    return max(statistics.median(look) for looks in kept["runs"].values() for look in looks)


def main() -> None:
    """Read the arguments, do the step that is asked for."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # products of denormal numbers are slow, and far below Adam's epsilon
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("train", "judge", "quick"))
    parser.add_argument("which", choices=(*SETS, "twins"), nargs="?", default="tuning")
    parser.add_argument("--most", type=float, default=600, metavar="MINUTES")
    parser.add_argument("--kept", type=Path, default=KEPT, metavar="FILE")
    options = parser.parse_args()
    if options.step == "quick":
        quick()
    elif options.step == "train":
        train(options.which, options.most, options.kept)
    else:
        judge(options.which, options.kept)


if __name__ == "__main__":
    main()
