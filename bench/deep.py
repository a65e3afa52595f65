"""Train a hundred and a thousand plain layers by what `unvanish cure` prescribes, and nothing else.

    python bench/deep.py [--depths 100,1000] [--seeds 5] [--json FILE]

Conditions: sigmoid layers of width 64 as a beginner writes them (Keras' own initialisation, Adam at its own rate, batch
128, no normalisation, no shortcut), MNIST-1D, 400 optimizer steps (1,000 layers: 300). 100 layers: the whole of `cure`.
1,000 layers: the same search with the one candidate that lets the network begin as an isometry, since every other
architecture takes minutes to compile. The learning rate is part of what is prescribed. Then so many new seeds, each
trained on all training samples and scored on the test part that no search saw; the median and the range. Beside them
the best shallow network: GELU with He's initialisation, 2 to 4 layers, as many steps, its learning rate chosen on a
held-out fifth as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras

from data.tasks import mnist1d, stack
from unvanish.cures.table import answered, proposals
from unvanish.curing import try_cures
from unvanish.diagnosing import diagnose
from unvanish.keras.trial import trainer_of
from unvanish.trial.changes import keeps_lengths
from unvanish.trial.decide import decide
from unvanish.trial.plan import Plan
from unvanish.trial.search import search
from unvanish.trial.short import SEARCH_SEED

BATCH, STEPS, SHORTER, HELD_BACK = 128, 400, 300, 101
SHALLOW, RATES = (2, 3, 4), (10.0, 3.0, 1.0, 1 / 3)


def main() -> None:
    """Measure the depths that are asked for, then the shallow networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", default="100,1000")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="keep the results here too")
    options = parser.parse_args()
    sys.setrecursionlimit(100_000)  # Keras walks a graph of a thousand layers by recursion
    found = {}
    for depth in map(int, options.depths.split(",")):
        found[str(depth)] = deep(depth, SHORTER if depth > 300 else STEPS, options.seeds)
    found["shallow"] = shallow(options.seeds)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1))


def parts():
    """Return all that may be trained on, and the test data; `cure` holds a fifth of the former out by itself."""
    return mnist1d()


def deep(depth: int, steps: int, seeds: int) -> dict:
    """Let `cure` prescribe, train new seeds by the prescription, print and return what came of it."""
    trained, test = parts()
    model = stack(1, depth, "sigmoid", trained[0].shape[1])
    kept = {"batch_size": BATCH, "planned_steps": steps}
    started = time.perf_counter()
    chosen, verdict = prescribed(trainer_of(model, *trained, **kept), whole=depth <= 300)
    seconds = time.perf_counter() - started
    judge = trainer_of(model, *trained, validation=test, **kept)
    rate = judge.learning_rate() * (chosen.rate if chosen else 1.0)
    scores = [judge.train(chosen, HELD_BACK + i, rate, steps)[0].score for i in range(seeds)]
    show(f"{depth} layers, {steps} steps", scores, f"{verdict}: {chosen.change if chosen else '-'} ({seconds:.0f} s)")
    keras.backend.clear_session()
    return {"scores": scores, "steps": steps, "prescription": chosen.change if chosen else "", "seconds": seconds}


def prescribed(trainer, *, whole: bool):
    """Return the prescription and the verdict word: of the whole of `cure`, or of the one candidate."""
    if whole:
        cure = try_cures(trainer, Plan(), lambda *_: None)
        return cure.prescription, cure.verdict
    untreated = diagnose(trainer.look(None, SEARCH_SEED))
    one = [candidate for candidate in proposals(untreated) if keeps_lengths(candidate)][:1]
    searched = search(trainer, one, diagnose, Plan())
    decision = decide(searched.evidence, untreated, answered(), searched.cut)
    return decision.prescription, decision.verdict


def shallow(seeds: int) -> dict:
    """Train shallow networks that need no cure at several learning rates, each as long."""
    trained, test = parts()
    best, score = (0, 1.0), 0.0
    judges = {}
    for depth in SHALLOW:
        model = stack(1, depth, "gelu", trained[0].shape[1], kernel_initializer="he_normal")
        kept = {"batch_size": BATCH, "planned_steps": STEPS}
        trainer = trainer_of(model, *trained, **kept)
        judges[depth] = trainer_of(model, *trained, validation=test, **kept)
        for rate in RATES:
            runs = [trainer.train(None, seed, trainer.learning_rate() * rate, STEPS)[0] for seed in (1, 2, 3)]
            reached = statistics.median(run.score for run in runs)
            if reached > score:
                best, score = (depth, rate), reached
    judge = judges[best[0]]
    rate = judge.learning_rate() * best[1]
    scores = [judge.train(None, HELD_BACK + i, rate, STEPS)[0].score for i in range(seeds)]
    show(f"best shallow, {STEPS} steps", scores, f"{best[0]} layers of GELU, learning rate {rate:.2g}")
    return {"scores": scores, "layers": best[0], "rate": rate}


def show(name: str, scores: list[float], words: str) -> None:
    """Print one line."""
    print(f"{name:24} {statistics.median(scores):.3f} [{min(scores):.3f}, {max(scores):.3f}]  {words}", flush=True)


if __name__ == "__main__":
    main()
