"""Held-out score and loss of every arm of a cure's trials: a dot for each seed, the median as a bar."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unvanish.core.cured import Cured
from unvanish.core.evidence import Arm, Run
from unvanish.report.figures.canvas import labels, legend, new_figure
from unvanish.report.figures.palette import BLUE, INK, MARKERS, ORANGE

LONGEST_NAME = 30
GREY = "#7f8790"


def draw(cured: Cured) -> Figure | None:
    """Return the picture; None where nothing was trained."""
    evidence = cured.evidence
    if evidence is None:
        return None
    arms, chance = (evidence.baseline, *evidence.arms), cured.diagnosis.observation.loss.chance
    panels = 2 if evidence.metric != "loss" else 1
    figure, axes = new_figure(height=0.75 + 0.34 * len(arms), panels=panels)
    figure.subplots_adjust(left=0.27, wspace=0.1)
    for ax in axes:
        ax.grid(visible=False, axis="y")
        ax.grid(visible=True, axis="x")
    colours = [_colour(cured, arm) for arm in arms]
    _panel(
        axes[-1],
        arms,
        colours,
        lambda run: run.loss,
        lambda arm: arm.loss,
        f"held-out loss after {evidence.steps} steps",
        chance,
    )
    if panels == 2:
        known = evidence.chance
        _panel(
            axes[0], arms, colours, lambda run: run.score, lambda arm: arm.score, f"held-out {evidence.metric}", known
        )
        axes[1].set_yticklabels([])
    axes[0].set_yticks(range(len(arms)), labels([arm.label for arm in arms], LONGEST_NAME))
    for tick, arm in zip(axes[0].get_yticklabels(), arms, strict=True):
        tick.set_fontweight("bold" if _chosen(cured, arm) else "normal")
    legend(axes[0], 5)
    return figure


def _panel(
    ax: Axes,
    arms: Sequence[Arm],
    colours: Sequence[str],
    number: Callable[[Run], float],
    middle_of: Callable[[Arm], float],
    label: str,
    chance: float | None,
) -> None:
    seeds = [run.seed for run in arms[0].runs]
    for place, arm in enumerate(arms):
        known = [number(run) for run in arm.runs if math.isfinite(number(run))]
        if known:
            ax.plot([min(known), max(known)], [place, place], color=colours[place], linewidth=6, alpha=0.3)
        middle = middle_of(arm)
        if math.isfinite(middle):
            ax.plot([middle, middle], [place - 0.28, place + 0.28], color=colours[place], linewidth=2.4)
        for run in arm.runs:
            marker = MARKERS[seeds.index(run.seed) % len(MARKERS)] if run.seed in seeds else "."
            name = f"seed {run.seed}" if place == 0 else ""
            at = number(run)
            if math.isfinite(at):
                ax.plot(at, place, marker, color=colours[place], markersize=5.5, label=name, markeredgewidth=0)
            else:
                ax.plot(0.99, place, "x", color=colours[place], transform=ax.get_yaxis_transform(), clip_on=False)
    if chance is not None:
        ax.axvline(chance, color=INK, linestyle="--", linewidth=1.2, label="chance")
    ax.set_ylim(len(arms) - 0.4, -0.6)
    ax.set_yticks(range(len(arms)))
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(label)


def _colour(cured: Cured, arm: Arm) -> str:
    return BLUE if arm.prescription is None else ORANGE if _chosen(cured, arm) else GREY


def _chosen(cured: Cured, arm: Arm) -> bool:
    return arm.prescription is not None and arm.prescription == cured.prescription
