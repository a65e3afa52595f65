"""Judge what `unvanish cure` prescribes by full-length trainings on seeds that it did not run.

    python bench/cures.py [--only PART] [--seeds 5] [--json FILE] [--without-random] [--with-dks]

Conditions: every labelled case that is curable, and plain stacks of 11, 30 and 100 layers of 64 (sigmoid, tanh, ReLU;
Keras' own initialisation, Adam) on MNIST-1D and on scikit-learn's digits. `cure` sees the training data and what fit
validates on; the judgement is on a test part of its own (labelled cases: on what fit validates on). Each judged
training is as long as the user's own, at the user's learning rate times what the prescription says, with the moving
averages that inference uses. A task counts as better (worse) when the paired t test over the held-back seeds says so at
5 % and the mean differs by more than two standard errors of the test part.

Times: over that of one plain training by `fit` with its validation, compiling included, measured in the same process
just before. Random search: the same candidates at the same learning rates, drawn with replacement and trained as long
as the compared ones, until it has taken as many optimizer steps as `cure` did; it prescribes its best held-out score.
--with-dks: the stacks are also built as Deep Kernel Shaping and Tailored Activation Transformations prescribe (see
data/dks_stack.py), at the best of the same learning rates. AutoInit, the published initialiser, is no arm: its authors
put no package on PyPI, where `autoinit` is another one.
--json: results are kept there as they come, and not measured again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np

from data import dks_stack
from data.judging import test_accuracy, trained
from data.tasks import Task, all_tasks
from unvanish.core.measures.paired import paired_p
from unvanish.cures.table import proposals
from unvanish.curing import try_cures
from unvanish.diagnosing import diagnose
from unvanish.errors import UnvanishError
from unvanish.keras.trial import trainer_of
from unvanish.trial.plan import Plan

FIRST_HELD_BACK = 101


class Counting:
    """Pass everything to a trainer, and count the optimizer steps that it takes."""

    def __init__(self, trainer):
        self._trainer, self.steps, self.seconds = trainer, 0, 0.0

    def __getattr__(self, name):
        return getattr(self._trainer, name)

    def train(self, prescription, seed, learning_rate, steps):
        run, seen = self._trainer.train(prescription, seed, learning_rate, steps)
        self.steps += run.steps
        return run, seen


def measure(task: Task, seeds: int, with_random: bool) -> dict:
    """Cure one task, and judge what was prescribed."""
    (x, y), model = task.trained, task.build(1)
    plain = time_plain(task)
    trainer = Counting(
        trainer_of(model, x, y, validation=task.held_out, batch_size=task.batch_size, planned_steps=task.steps)
    )
    started = time.perf_counter()
    cure = try_cures(trainer, Plan(), lambda *_: None)
    seconds = time.perf_counter() - started
    evidence = cure.evidence
    found = {
        "name": task.name,
        "verdict": cure.verdict,
        "untreated": cure.record.diagnosis.verdict,
        "prescription": cure.prescription.label if cure.prescription else "",
        "rate": cure.prescription.rate if cure.prescription else 1.0,
        "sentence": cure.record.sentence,
        "arms": [[arm.label, arm.score, arm.verdict] for arm in evidence.arms],
        "dropped": [[one.prescription.label, one.reason] for one in evidence.dropped],
        "plain_seconds": plain,
        "seconds": seconds,
        "proven_seconds": evidence.proven_seconds,
        "steps": trainer.steps,
        "planned": task.steps,
    }
    held_back = held_back_seeds(seeds)
    found["before"] = [judged(task, trainer, None, seed) for seed in held_back]
    found["after"] = [judged(task, trainer, cure.prescription, seed) for seed in held_back] if cure.prescription else []
    if with_random:
        one = random_search(trainer, cure.record.diagnosis, trainer.steps)
        found["random"] = one.label if one else ""
        found["random_rate"] = one.rate if one else 1.0
        found["after_random"] = [judged(task, trainer, one, seed) for seed in held_back] if one else []
    return found


def held_back_seeds(count: int) -> range:
    """Return the seeds of the judgement."""
    return range(FIRST_HELD_BACK, FIRST_HELD_BACK + count)


def time_plain(task: Task) -> float:
    """Return the seconds of one training as the user would run it."""
    model = task.build(2)
    started = time.perf_counter()
    fit = {"batch_size": task.batch_size, "epochs": task.epochs, "validation_data": task.held_out, "verbose": 0}
    model.fit(*task.trained, **fit)
    return time.perf_counter() - started


def judged(task: Task, trainer, prescription, seed: int) -> float:
    """Return the test accuracy after a training of full length."""
    return test_accuracy(task, trained(task, trainer.fresh(prescription, seed), seed))


def random_search(trainer, diagnosis, budget: int):
    """Return what random search over the same candidates prescribes within so many optimizer steps."""
    generator, plan = np.random.default_rng(0), Plan()
    steps = plan.steps_of(trainer.planned_steps)
    candidates = [None, *proposals(diagnosis)]
    best, best_score, used, seed = None, -math.inf, 0, 0
    while used < budget:
        one, rate = candidates[generator.integers(len(candidates))], plan.rates[generator.integers(len(plan.rates))]
        seed, used = seed + 1, used + steps
        factor = rate if one is None or one.rate == 1.0 else one.rate
        try:
            run, seen = trainer.train(one, seed, trainer.learning_rate() * factor, steps)
        except UnvanishError as error:  # does not fit
            print(f"  random: {one.label}: {error}", file=sys.stderr)
            continue
        diagnose(seen)
        if run.score > best_score:
            best, best_score = (one if one is None or one.rate != 1.0 else one.at_rate(rate)), run.score
    return best


def outcome(task: Task, before: list[float], after: list[float]) -> str:
    """Return better, worse or same: beyond the seeds' noise and the test part's."""
    if not after:
        return "none"
    gain = statistics.fmean(after) - statistics.fmean(before)
    middle = statistics.fmean(before)
    noise = 2 * math.sqrt(max(middle * (1 - middle), 1e-4) / len(task.test[0]))
    if gain > noise and paired_p(after, before) < 0.05:
        return "better"
    return "worse" if gain < -noise and paired_p(before, after) < 0.05 else "same"


def show(task: Task, found: dict) -> None:
    """Print one line."""
    before, after, plain = found["before"], found["after"], found["plain_seconds"]
    chosen = found["prescription"] + ("" if found["rate"] == 1 else f" @{found['rate']:.3g}")
    reached = f"{statistics.fmean(after):.3f}" if after else "  -  "
    first = f"{found['proven_seconds'] / plain:.2f}x" if found["proven_seconds"] else "  -  "
    line = (
        f"{task.name:28} {found['untreated']:16} {found['verdict']:17} {chosen:42} "
        f"{statistics.fmean(before):.3f} -> {reached} {outcome(task, before, after):6} "
        f"first {first} all {found['seconds'] / plain:.2f}x of {plain:.1f} s"
    )
    if found.get("after_random"):
        line += f" | random {found['random']:36} {statistics.fmean(found['after_random']):.3f}"
    for method, arm in found.get("dks", {}).items():
        line += f" | {method} @{arm['rate']:.3g} {statistics.fmean(arm['after']):.3f}"
    print(line, flush=True)


def summary(results: list[tuple[Task, dict]]) -> None:
    """Print the counts that matter."""
    sick = [(task, f) for task, f in results if f["untreated"] not in ("healthy",)]
    marks = {task.name: outcome(task, f["before"], f["after"]) for task, f in results}
    cured = sum(marks[task.name] == "better" for task, _ in sick)
    worse = [name for name, mark in marks.items() if mark == "worse"]
    gains = [statistics.fmean(f["after"]) - statistics.fmean(f["before"]) for _, f in results if f["after"]]
    print(f"\nsick: {len(sick)} of {len(results)}; cured {cured}/{len(sick)}; made worse {len(worse)} {worse}")
    print(f"not cured: {[t.name for t, _ in sick if marks[t.name] != 'better']}")
    if gains:
        print(f"gain of a prescription: mean {statistics.fmean(gains):+.3f} [{min(gains):+.3f}, {max(gains):+.3f}]")
    first = [f["proven_seconds"] / f["plain_seconds"] for _, f in results if f["proven_seconds"]]
    whole = [f["seconds"] / f["plain_seconds"] for _, f in sick]
    for name, ratios in (("first proven patch", first), ("full evidence", whole)):
        if ratios:
            range_ = f"[{min(ratios):.2f}, {max(ratios):.2f}]"
            print(f"{name}: median {statistics.median(ratios):.2f}x of one plain training {range_}")
    if sick and all("random" in f for _, f in sick):
        random = {task.name: outcome(task, f["before"], f["after_random"]) for task, f in sick}
        ours = [statistics.fmean(f["after"] or f["before"]) for _, f in sick]
        theirs = [statistics.fmean(f["after_random"] or f["before"]) for _, f in sick]
        print(
            f"random search, same steps: cured {sum(mark == 'better' for mark in random.values())}/{len(sick)}, "
            f"made worse {sum(mark == 'worse' for mark in random.values())}; "
            f"mean score {statistics.fmean(theirs):.3f}, ours {statistics.fmean(ours):.3f}"
        )
    stacks = [(task, f) for task, f in sick if "dks" in f]
    for method in dks_stack.METHODS if stacks else ():
        each = [outcome(task, f["before"], f["dks"][method]["after"]) for task, f in stacks]
        theirs = statistics.fmean(statistics.fmean(f["dks"][method]["after"]) for _, f in stacks)
        ours = statistics.fmean(statistics.fmean(f["after"] or f["before"]) for _, f in stacks)
        print(
            f"{method}, sick stacks: cured {each.count('better')}/{len(stacks)}, made worse {each.count('worse')}; "
            f"mean score {theirs:.3f}, ours {ours:.3f}"
        )


def keep(results: dict, path: Path | None) -> None:
    """Write the results to the file, where there is one."""
    if path:
        path.write_text(json.dumps(results, indent=1))


def main() -> None:
    """Measure the tasks that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="tasks whose name has this part")
    parser.add_argument("--seeds", type=int, default=5, help="held-back seeds")
    parser.add_argument("--json", metavar="FILE", help="keep the results here, and take what is there")
    parser.add_argument("--without-random", action="store_true")
    parser.add_argument("--with-dks", action="store_true", help="arms of DKS and TAT beside, where `dks` is installed")
    options = parser.parse_args()
    lacking = dks_stack.missing() if options.with_dks else ""
    if lacking:
        print(lacking)
    kept = Path(options.json) if options.json else None
    known = json.loads(kept.read_text()) if kept and kept.exists() else {}
    results = []
    for task in all_tasks():
        if options.only not in task.name:
            continue
        if task.name not in known:
            known[task.name] = measure(task, options.seeds, not options.without_random)
            keras.backend.clear_session()
            keep(known, kept)
        if options.with_dks and not lacking and task.plain and "dks" not in known[task.name]:
            known[task.name]["dks"] = dks_stack.measure(task, Plan().rates, held_back_seeds(options.seeds))
            keep(known, kept)
        results.append((task, known[task.name]))
        show(*results[-1])
    summary(results)


if __name__ == "__main__":
    main()
