"""Train every run plainly, without unvanish, and write down whether it is what the zoo says it is."""

from __future__ import annotations

import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any

from zoo.case import SEEDS, Case
from zoo.runs import cases, run

MEASURED = Path(__file__).parent / "measured.json"
PACKAGES = ("keras", "tensorflow-cpu", "torch", "scikit-learn", "numpy")


def measure(case: Case) -> dict[str, Any]:
    """Return what the run, and a sick one's cured twin, reach in all seeds, and whether it belongs in the zoo."""
    started = time.perf_counter()
    healthy = case.twin()
    limit = healthy.data.threshold
    scores = [run(case.name, seed) for seed in SEEDS]
    entry = {
        "family": case.family,
        "task": case.task,
        "half": case.half,
        "root": case.root or "healthy",
        "accept": list(case.accept),
        "codes": list(case.codes),
        "chance": round(healthy.data.chance, 4),
        "reference": round(healthy.data.reference, 4),
        "threshold": round(limit, 4),
        "scores": scores,
    }
    if case.codes:
        entry["twin"] = twin = [run(case.name, seed, cured=True) for seed in SEEDS]
        failed = sum(min(each) < limit for each in scores)
        entry["belongs"] = failed >= 2 and all(min(each) >= limit for each in twin)
    else:
        entry["belongs"] = all(min(each) >= limit for each in scores)
    return entry | {"seconds": round(time.perf_counter() - started, 1)}


def main(only: str, framework: str, again: bool) -> None:
    """Measure the runs whose name contains `only`; those measured before only `again`. Print one line a run."""
    chosen = cases(framework)
    names = {case.name for case in chosen}
    for case in chosen:
        if only not in case.name or (case.name in read()["runs"] and not again):
            continue
        entry = measure(case)
        word = "belongs" if entry["belongs"] else "DOES NOT BELONG"
        print(
            f"{case.name:32s} {case.task:16s} limit {entry['threshold']:.3f}  {entry['scores']} "
            f"{entry.get('twin', '')}  {word}  {entry['seconds']} s",
            flush=True,
        )
        known = read()
        known["runs"][case.name] = entry
        for gone in [n for n in known["runs"] if n.split("-")[0] == case.framework and n not in names]:
            del known["runs"][gone]
        known["versions"] = {name: importlib.metadata.version(name) for name in PACKAGES}
        MEASURED.write_text(json.dumps(known, indent=1) + "\n")


def read() -> dict[str, Any]:
    """Return what was measured: versions, and one entry a run."""
    return json.loads(MEASURED.read_text()) if MEASURED.exists() else {"versions": {}, "runs": {}}
