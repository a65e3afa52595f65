"""`unvanish demo`: the tutorial's two networks and its remedies, measured one after the other; the sick one cured."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

import unvanish
from unvanish.cli import files
from unvanish.core.diagnosis import Clear, Diagnosis, Finding
from unvanish.watching.session import Plan as Watched
from unvanish.watching.session import Progress

if TYPE_CHECKING:
    from rich.console import Console

    from unvanish.trial.cure import Cure

NETWORKS = ("sick", "improved", "relu", "leaky_relu", "elu", "tanh", "batch_norm", "clipping", "residual")
LABELS = (("learnable", "labels that can be learnt (a fixed teacher)"), ("random", "the tutorial's random labels"))

LEGEND = (
    "per layer: factor by which the hidden kernels' gradient RMS changes from one layer to the next towards the input, "
    "measured and forecast; first/last: gradient norm of the first kernel over the output kernel's, so with the step "
    "into the output layer; moved: |W - W0|/|W0| of the first kernel; batch loss: of the first and the last training "
    "batch (the loss in a report is that of the same batches before and after); AUC: area under the ROC curve on "
    "held-out samples, 0.5 is chance."
)


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path(".unvanish/demo"), show_default=True)
def demo(output: Path) -> None:
    """Check the tutorial's networks and every remedy, and cure the sick one.

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
    files.ensure_folder(output)
    for labels, title in LABELS:
        diagnoses: dict[str, Diagnosis] = {}
        for name in NETWORKS:
            with TerminalProgress(title=f"{name} ({labels})") as progress:
                diagnoses[name] = check_example(_examples() / f"{name}.py", labels, progress)
            diagnoses[name].save(output / f"{labels}-{name}.html")
        if labels == "learnable":
            for name in ("sick", "improved", "tanh"):
                console.rule(f"unvanish check {name}.py")
                print_diagnosis(diagnoses[name], console)
        console.print()
        _print_table(console, title, diagnoses)
        draw_overlay(diagnoses, output / f"{labels}.png")
    cures = {labels: cure_example("sick", labels, output) for labels in ("random", "learnable")}
    _print_cures(console, cures["random"], cures["learnable"])
    patched = patched_example(cures["learnable"], output)
    if patched is not None:
        console.print()
        console.rule("unvanish check sick.py, patched")
        with TerminalProgress(title="the patched script") as progress:
            healed = check_example(patched, "learnable", progress)
        print_diagnosis(healed, console)
    console.print()
    console.print(f"Pictures: {output}/learnable.png, {output}/random.png (gradient against depth, all networks)")
    console.print(f"Reports:  {output}/learnable-sick.html, ... ({len(LABELS) * len(NETWORKS)} files)")
    console.print(f"Cures:    {output}/cure-learnable.html, {output}/cure-random.html")
    if patched is not None:
        console.print(f"Patched:  {patched} (the script as it was is among the examples, untouched)")
    words = command_words()
    spent = f"{time.perf_counter() - started:.0f} s"
    console.print(f"{spent}. Next: {words} check your_script.py, then {words} cure your_script.py", soft_wrap=True)


def command_words() -> str:
    """Return what to type for this command: `unvanish` where the shell finds it, else the path of its script."""
    script = Path(sys.executable).with_name("unvanish")
    if shutil.which("unvanish") or not script.exists():
        return "unvanish"
    here = Path.cwd()
    return str(script.relative_to(here) if script.is_relative_to(here) else script)


def check_example(script: Path, labels: str, progress: Progress) -> Diagnosis:
    """Return the diagnosis of an example script, or of a copy of one, on these labels; always from the same seed."""
    from unvanish.api import check_script

    run, diagnosis = check_script(script, [labels], plan=Watched(), progress=progress)
    if diagnosis is None:
        raise run.error or unvanish.UnvanishError(f"the example {script.stem} was not judged", found=run.outcome)
    return diagnosis


def cure_example(name: str, labels: str, output: Path) -> Cure:
    """Return the cure of one example script on these labels; its report is written to the output folder."""
    from unvanish.curing import cure_script
    from unvanish.report.progress import TerminalProgress
    from unvanish.trial.plan import Plan

    with TerminalProgress(title=f"cure of {name} ({labels})") as progress:
        run, cure = cure_script(_examples() / f"{name}.py", [labels], plan=Plan(), progress=progress)
    if cure is None:
        raise run.error or unvanish.UnvanishError(f"the example {name} was not cured", found=run.outcome)
    cure.save(output / f"cure-{labels}.html")
    return cure


def patched_example(cure: Cure, output: Path) -> Path | None:
    """Write copies of the examples that a cure patches, and of the data they share; return the first; None for none."""
    if cure.changes is None:
        return None
    folder = output / "patched"
    files.ensure_folder(folder)
    shutil.copy(_examples() / "data.py", folder)
    for change in cure.changes.files:
        files.write(folder / Path(change.path).name, change.after)
    return folder / Path(cure.changes.files[0].path).name


def _print_cures(console: Console, random: Cure, learnable: Cure) -> None:
    """Print what came of the random labels in one line, and the whole report of the learnable ones."""
    from unvanish.report.cure_text import print_cure, print_verdict

    console.rule("unvanish cure sick.py -- random")
    print_verdict(random.record, console)
    console.print()
    console.rule("unvanish cure sick.py")
    print_cure(learnable.record, console)


def _examples() -> Path:
    """Return the folder of the example scripts: inside the installed package, or beside the sources."""
    package = Path(unvanish.__file__).parent
    inside = package / "examples"
    return inside if inside.is_dir() else package.parents[1] / "examples"


def _print_table(console: Console, title: str, diagnoses: dict[str, Diagnosis]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(
        title=f"Eleven hidden layers of 64, {title}; Adam, 5 epochs of 25 steps",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
    left_out = () if console.width >= 100 else ("batch loss", "moved")
    headings = ("network", "verdict", "per layer", "forecast", "first/last", "moved", "batch loss", "AUC", "found")
    for heading in (h for h in headings if h not in left_out):
        left = heading in ("network", "verdict", "found")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading != "found", overflow="fold")
    for name, diagnosis in diagnoses.items():
        cells = zip(headings, (name, diagnosis.verdict, *_numbers(diagnosis), _found(diagnosis)), strict=True)
        table.add_row(*(cell for heading, cell in cells if heading not in left_out))
    console.print(table)
    console.print(LEGEND, style="dim")


def _numbers(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the cells of one row, each taken from the record."""
    seen = diagnosis.observation
    first, last = (seen.profiles[0].layer(seen.network.kernels[i].name).gradient_norm for i in (0, -1))
    forecast = seen.forecast.gradient_factor_per_layer if seen.forecast else None
    per_layer = _evidence(diagnosis, "GF101").get("transmission_per_layer")
    score = seen.evaluation.held_out_batch_statistics if seen.evaluation else None
    losses, moved = seen.recording.losses, seen.recording.array("movement")
    return (
        "-" if per_layer is None else f"{per_layer:.2f}x",
        "-" if forecast is None else f"{forecast:.2f}x",
        f"{first / last:.1e}" if first is not None and last else "-",
        f"{moved[-1, 0]:.1e}" if len(moved) else "-",
        f"{losses[0]:.2f} > {losses[-1]:.2f}" if losses else "-",
        "-" if score is None else f"{score:.2f}",
    )


def _evidence(diagnosis: Diagnosis, code: str) -> dict[str, float]:
    """Return the numbers of one rule's verdict, whichever way it judged."""
    verdicts: tuple[Finding | Clear, ...] = (*diagnosis.findings, *diagnosis.clear)
    return next((verdict.evidence for verdict in verdicts if verdict.code == code), {})


def _found(diagnosis: Diagnosis) -> str:
    return " ".join(finding.code for finding in diagnosis.findings) or "-"
