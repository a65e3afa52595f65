"""`unvanish demo`: the tutorial's two networks and its remedies, measured one after the other."""

from __future__ import annotations

import math
import random
import sys
import time
from pathlib import Path

import click

import unvanish
from unvanish.core.diagnosis import Diagnosis
from unvanish.watching.session import Plan, Progress

NETWORKS = ("sick", "improved", "relu", "leaky_relu", "elu", "tanh", "batch_norm", "clipping", "residual")
LABELS = (("learnable", "labels that can be learnt (a fixed teacher)"), ("random", "the tutorial's random labels"))


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path(".unvanish/demo"), show_default=True)
def demo(output: Path) -> None:
    """Check the tutorial's sick and improved networks, and every remedy that it recommends.

    Nine scripts (examples/) are run on two sets of labels, each for its own five epochs. Every script starts from the
    same seed, so that networks which differ in the optimizer alone start alike and see the same batches. Needs
    TensorFlow; takes about two minutes. The reports are written to the output folder.
    """
    from rich.console import Console

    from unvanish.report.overlay import draw_overlay
    from unvanish.report.progress import TerminalProgress
    from unvanish.report.text import print_diagnosis

    started = time.perf_counter()
    console = Console(width=None if sys.stdout.isatty() else 100)
    output.mkdir(parents=True, exist_ok=True)
    for labels, title in LABELS:
        diagnoses: dict[str, Diagnosis] = {}
        for name in NETWORKS:
            with TerminalProgress(title=f"{name} ({labels})") as progress:
                diagnoses[name] = check_example(name, labels, progress)
            diagnoses[name].save(output / f"{labels}-{name}.html")
        if labels == "learnable":
            for name in ("sick", "improved", "tanh"):
                console.rule(f"unvanish check {name}.py")
                print_diagnosis(diagnoses[name], console)
        console.print()
        _print_table(console, title, diagnoses)
        draw_overlay(diagnoses, output / f"{labels}.png")
    console.print()
    console.print(f"Pictures: {output}/learnable.png, {output}/random.png (gradient against depth, all networks)")
    console.print(f"Reports:  {output}/learnable-sick.html, ... ({len(LABELS) * len(NETWORKS)} files)")
    console.print(f"{time.perf_counter() - started:.0f} s. Next: unvanish check your_script.py")


def check_example(name: str, labels: str, progress: Progress) -> Diagnosis:
    """Return the diagnosis of one example script on these labels, always from the same seed."""
    from unvanish.api import check_script

    _seed()
    run, diagnosis = check_script(_examples() / f"{name}.py", [labels], plan=Plan(), progress=progress)
    if diagnosis is None:
        raise run.error or unvanish.UnvanishError(f"the example {name} was not judged", found=run.outcome)
    return diagnosis


def _seed() -> None:
    """Seed every generator: weights, batch order and dropout of each script are then the same."""
    import keras

    random.seed(1)
    keras.utils.set_random_seed(1)


def _examples() -> Path:
    """Return the folder of the example scripts: inside the installed package, or beside the sources."""
    package = Path(unvanish.__file__).parent
    inside = package / "examples"
    return inside if inside.is_dir() else package.parents[1] / "examples"


def _print_table(console: object, title: str, diagnoses: dict[str, Diagnosis]) -> None:
    from rich.console import Console
    from rich.table import Table

    assert isinstance(console, Console)
    table = Table(title=f"Eleven hidden layers of 64 on {title}; Adam, 5 epochs of 25 steps", title_justify="left")
    for heading in ("network", "verdict", "per layer", "forecast", "first/last", "moved", "loss", "held-out", "found"):
        table.add_column(heading, justify="left" if heading in ("network", "verdict", "found") else "right")
    for name, diagnosis in diagnoses.items():
        table.add_row(name, diagnosis.verdict, *_numbers(diagnosis), _found(diagnosis))
    console.print(table)
    console.print(
        "per layer: factor of the gradient towards the input, measured and forecast; first/last: gradient of the first "
        "kernel over the output kernel's; moved: |W - W0|/|W0| of the first kernel; loss: first and last watched step; "
        "held-out: area under the ROC curve with batch statistics, 0.5 is chance."
    )


def _numbers(diagnosis: Diagnosis) -> tuple[str, ...]:
    seen = diagnosis.observation
    first, last = (seen.profiles[0].layer(seen.network.kernels[i].name).gradient_norm or 0.0 for i in (0, -1))
    forecast = seen.forecast.transmission_per_layer if seen.forecast else None
    moved = seen.recording.array("movement")[-1, 0] if seen.recording.steps else math.nan
    score = seen.evaluation.held_out_batch_statistics if seen.evaluation else None
    losses = seen.recording.losses
    return (
        f"{_per_layer(diagnosis):.2f}x",
        "-" if forecast is None else f"{forecast:.2f}x",
        "-" if not last else f"{first / last:.1e}",
        f"{moved:.1e}",
        f"{losses[0]:.3f} -> {losses[-1]:.3f}" if losses else "-",
        "-" if score is None else f"{score:.2f}",
    )


def _per_layer(diagnosis: Diagnosis) -> float:
    """Return the geometric mean of the measured transmission between the kernels."""
    seen = diagnosis.observation
    profile = seen.profiles[0]
    known = [profile.layer(layer.name).preactivation_gradient_norm or 0.0 for layer in seen.network.kernels]
    if len(known) < 2 or not known[-1] or not known[0]:
        return math.nan
    return float((known[0] / known[-1]) ** (1 / (len(known) - 1)))


def _found(diagnosis: Diagnosis) -> str:
    return " ".join(finding.code for finding in diagnosis.findings) or "-"
