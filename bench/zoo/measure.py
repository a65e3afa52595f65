"""Train every run plainly, without unvanish, and write down whether it is what the zoo says it is."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from zoo.case import SEEDS, Case

MEASURED = Path(__file__).parent / "measured.json"
FRAMEWORKS = ("keras", "torch")
PACKAGES = ("keras", "tensorflow-cpu", "torch", "scikit-learn", "numpy")


def cases(framework: str = "") -> list[Case]:
    """Return the zoo's runs, healthy ones first. Imports the frameworks that are asked for."""
    chosen = (framework,) if framework else FRAMEWORKS
    parts = ("healthy", "sick")
    return [c for part in parts for f in chosen for c in importlib.import_module(f"zoo.{f}_{part}").CASES]


def run(case: Case, seed: int, watch: Any = None) -> list[float]:
    """Train one run and return its held-out scores. watch: a context entered around its last training."""
    return importlib.import_module(f"zoo.{case.framework}_runs").run(case, seed, watch or nullcontext())


def measure(case: Case) -> dict[str, Any]:
    """Return what the run, and a sick one's cured twin, reach in all seeds, and whether it belongs in the zoo."""
    started = time.perf_counter()
    healthy = case.twin()
    limit = healthy.data.threshold
    scores = [run(case, seed) for seed in SEEDS]
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
        "scores": [[round(s, 4) for s in each] for each in scores],
    }
    if case.codes:
        twin = [run(healthy, seed) for seed in SEEDS]
        entry["twin"] = [[round(s, 4) for s in each] for each in twin]
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
