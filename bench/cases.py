"""Judge the labelled cases of bench/data as `unvanish check` would, and count what is right.

    python bench/cases.py [--seeds 3] [--only ID] [--json FILE] [--on tensorflow|jax|torch|pytorch] [--weights FOLDER]

Conditions: each case's own model, data, loss, optimizer and batch size; the initial weights and the batch order depend
on the seed; 60 steps (or the whole of a fit of up to 200). The order is one permutation of the training data by numpy,
the same in every epoch and on every framework: each shuffles in its own way, and a network on the edge of dying then
trains in one and dies in the other. A verdict is right when it is the label's root word, not
wrong when it is among the accepted words. Contested cases (some seed trains though labelled sick, or the reverse) and
faults that are not in the gradients are counted apart. Intervals: Clopper-Pearson, 95 %.

--on: the backend of Keras, or pytorch for the same network as a native module in a hand-written loop. --weights: keep
the initial weights in this folder, or take them from it, so that every framework starts alike (bench/agreement.py).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
ON = sys.argv[sys.argv.index("--on") + 1] if "--on" in sys.argv else "tensorflow"
os.environ["KERAS_BACKEND"] = "torch" if ON == "pytorch" else ON  # Keras picks its backend when it is imported

import keras
import numpy as np
from msgspec.structs import replace
from scipy.stats import beta

from data.build import data, keras_model, load_cases
from unvanish.diagnosing import diagnose
from unvanish.watching.session import Enough, Plan

if ON == "pytorch":
    from data import torch_build as native


def observe(case, seed):
    """Return the observation of one case: its own training, seen through the capture that scripts are seen with."""
    x, y, x_val, y_val = data(case["data"])
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    model = keras_model(case, seed)
    start_alike(case, seed, model)
    capture = importlib.import_module(f"unvanish.{'torch' if ON == 'pytorch' else 'keras'}.capture").Capture(
        Plan(), lambda *_: None, Path(__file__)
    )
    try:
        with capture:
            if ON == "pytorch":
                native.train(case, native.torch_module(case, model.get_weights(), x.shape[1]), x, y)
            else:
                held_out = (x_val, y_val)
                size, epochs = case["batch_size"], case["epochs"]
                model.fit(x, y, batch_size=size, epochs=epochs, validation_data=held_out, shuffle=False, verbose=0)
    except Enough:
        pass
    except RuntimeError:  # torch takes no cross-entropy of what is not a number: what was seen until then is judged
        if capture.observation is None:
            raise
    finally:
        keras.backend.clear_session()
    if capture.error is not None:
        raise capture.error
    return capture.observation


def start_alike(case, seed, model):
    """Give the model the kept initial weights, or keep its own."""
    if not WEIGHTS:
        return
    kept = Path(WEIGHTS, f"{case['id']}-{seed}.npz")
    if kept.exists():
        with np.load(kept) as arrays:
            model.set_weights([arrays[name] for name in arrays.files])
    else:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, *model.get_weights())


def upto(seen, step):
    """Return what was known after so many steps."""
    recording = seen.recording
    keep = [i for i, s in enumerate(recording.steps) if s < step]
    cut = replace(
        recording,
        steps=tuple(recording.steps[i] for i in keep),
        losses=tuple(recording.losses[i] for i in keep),
        rows={stat: tuple(rows[i] for i in keep) for stat, rows in recording.rows.items()},
        total_steps=min(step, recording.total_steps),
    )
    profiles = tuple(p for p in seen.profiles if p.step <= step)
    return replace(seen, profiles=profiles, recording=cut, evaluation=None)


def judge_case(case, seed):
    started = time.perf_counter()
    seen = observe(case, seed)
    final = diagnose(seen)
    early = {step: diagnose(upto(seen, step)).verdict for step in (0, 10)}
    stood = next((step for step in (0, 10) if early[step] == final.verdict), seen.recording.total_steps)
    return {
        "id": case["id"],
        "seed": seed,
        "verdict": final.verdict,
        "early": early,
        "stood": stood,
        "seconds": time.perf_counter() - started,
        "findings": [f"{f.code}:{f.severity}" for f in final.findings],
        "sentence": final.sentence,
        "document": final.to_json() if KEEP else "",
    }


def grade(case, verdict):
    if case["group"] == "other":
        return "other"
    if verdict == case["root"]:
        return "right"
    return "not wrong" if verdict in case["accept"] else "wrong"


def interval(k, n):
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    return f"{k}/{n} [{low:.2f}, {high:.2f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", default="")
    parser.add_argument("--keep", default="", help="folder for every diagnosis as JSON")
    parser.add_argument("--on", default="tensorflow", choices=("tensorflow", "jax", "torch", "pytorch"))
    parser.add_argument("--weights", default="", help="folder of the initial weights")
    options = parser.parse_args()
    global KEEP, WEIGHTS
    KEEP, WEIGHTS = options.keep, options.weights
    rows = []
    print(f"{'case':30s} {'label':16s} seed  {'verdict':17s} {'step 0':17s} grade      stood    s  findings")
    for case in load_cases():
        if options.only not in case["id"]:
            continue
        for seed in range(1, options.seeds + 1):
            row = judge_case(case, seed)
            if KEEP:
                Path(KEEP).mkdir(parents=True, exist_ok=True)
                Path(KEEP, f"{case['id']}-{seed}.json").write_text(row.pop("document"))
            row |= {
                "grade": grade(case, row["verdict"]),
                "contested": bool(case.get("contested")),
                "group": case["group"],
            }
            row["root"] = case["root"]
            row["label"] = case["root"] or "/".join(case["labels"])[:16]
            rows.append(row)
            print(
                f"{row['id']:30s} {row['label'][:16]:16s} {seed:4d}  {row['verdict']:17s} {row['early'][0]:17s} "
                f"{row['grade']:10s} {row['stood']:5d} {row['seconds']:4.1f}  {' '.join(row['findings'])}"
                f"{'  (contested)' if row['contested'] else ''}",
                flush=True,
            )
    summary(rows)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1, default=str))


def majority(rows, key):
    """Return the most frequent value over the seeds of each case: one case counts once."""
    table = {}
    for row in rows:
        table.setdefault(row["id"], []).append(row[key])
    return {name: Counter(values).most_common(1)[0][0] for name, values in table.items()}


GROUPS = (
    ("uncontested healthy", "healthy", False),
    ("contested healthy", "healthy", True),
    ("uncontested sick", "gradient", False),
    ("contested sick", "gradient", True),
)


def summary(rows):
    """Print the counts: of runs, and of cases (the majority over a case's seeds)."""
    print()
    for title, group, contested in GROUPS:
        chosen = [r for r in rows if r["group"] == group and r["contested"] == contested]
        if not chosen:
            continue
        grades, by_case = Counter(r["grade"] for r in chosen), Counter(majority(chosen, "grade").values())
        print(f"{title:22s} runs:  {dict(grades)}; cases: {dict(by_case)}")
        alarms = sum(r["verdict"] not in QUIET for r in chosen)
        cases = sum(v not in QUIET for v in majority(chosen, "verdict").values())
        word = "false alarms" if group == "healthy" else "flagged"
        count = len(majority(chosen, "verdict"))
        print(f"{'':22s} {word}: runs {interval(alarms, len(chosen))}, cases {interval(cases, count)}")
    known = [r for r in rows if r["group"] == "gradient" and not r["contested"] and r["root"]]
    right = sum(grade == "right" for grade in majority(known, "grade").values())
    print(f"{'root word known':22s} right: cases {interval(right, len(majority(known, 'grade')))}")
    judged = [r for r in rows if r["group"] != "other"]
    for step in (0, 10):
        print(f"verdict stood at step {step:2d}: runs {interval(sum(r['stood'] <= step for r in judged), len(judged))}")
    seconds = sorted(r["seconds"] for r in rows)
    print(f"seconds per case: median {seconds[len(seconds) // 2]:.1f}, worst {seconds[-1]:.1f}")
    for row in rows:
        if row["grade"] == "wrong":
            found = " ".join(row["findings"])
            print(f"MISS {row['id']} seed {row['seed']}: {row['label']} judged {row['verdict']}; {found}")
            print(f"     {row['sentence']}")


QUIET = ("healthy", "undecided")
KEEP = WEIGHTS = ""

if __name__ == "__main__":
    main()
