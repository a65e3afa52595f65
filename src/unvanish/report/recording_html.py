"""A recording as HTML: loss and gradients over the steps, what was told meanwhile, every layer; one file, offline."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.recording import Recording
from unvanish.core.version import VERSION
from unvanish.report.figures.by_step import DRAWN, MARKED_EVENTS
from unvanish.report.glossary import GLOSSARY
from unvanish.report.headline import Number
from unvanish.report.inert import sentence
from unvanish.report.numbers import MISSING, plain, scientific
from unvanish.report.pictures import of_recording
from unvanish.report.raw_data import compact
from unvanish.report.recording_words import cost_words, named, seen, share
from unvanish.report.template import page

EVENTS = 200
"""Events that are listed at most."""

EMBEDDED = 20_000
"""Numbers of the gradients that are embedded; of a longer recording, fewer samples."""

WORDS = frozenset({"first/last", "gradient RMS", "update/weight"})
OF_ACTIVATIONS = frozenset({"dead unit", "saturated", "transmission"})


def render_recording_html(recording: Recording) -> str:
    """Return the whole page: one file, under the same policy as that of a diagnosis."""
    looked_into = int(recording.looked_into().sum())
    return page(
        "recording.html.j2",
        ["sort.js", "moving.js"],
        compact(embedded(recording, EMBEDDED)),
        version=VERSION,
        created="",
        recording=recording,
        title=title(recording),
        what=" · ".join(named(recording)[1:]),
        alarm=recording.alarm,
        numbers=headline(recording),
        picture=of_recording(recording),
        drawn=drawn(recording),
        events=recording.events[:EVENTS],
        left_out=max(len(recording.events) - EVENTS, 0),
        marked=MARKED_EVENTS,
        courses=recording.courses(),
        looked_into=looked_into,
        facts=facts(recording),
        glossary=glossary(activations=looked_into > 0),
    )


def title(recording: Recording) -> str:
    """Return what the recording is of."""
    return recording.about.title if recording.about is not None and recording.about.title else "a training"


def headline(recording: Recording) -> tuple[Number, ...]:
    """Return the numbers of the card: loss, first over last gradient, steps seen, cost."""
    cost, loss, ratio = recording.cost, recording.loss_course(), recording.first_over_last_course()
    ends = f"at step {recording.steps[0]} and at step {recording.steps[-1]}" if recording.steps else "no sample yet"
    return (
        Number(
            "loss of the batch",
            MISSING if loss.median is None else f"{plain(loss.first)} → {plain(loss.last)}",
            "not finite, or nobody saw it" if loss.median is None and recording.steps else ends,
        ),
        Number(
            "first / last gradient",
            f"{scientific(ratio.first)} → {scientific(ratio.last)}",
            f"the first kernel's norm over the output kernel's, {ends}",
        ),
        Number("sampled steps", f"{len(recording.steps)} of {recording.total_steps}", seen(recording)),
        Number(
            "cost of watching",
            MISSING if cost is None or not cost.seconds else share(cost.share),
            cost_words(cost) or "not known: the training had not ended",
        ),
    )


def drawn(recording: Recording) -> str:
    """Say what was left out of the picture; empty where nothing was."""
    samples = len(recording.steps)
    if samples <= DRAWN:
        return ""
    return (
        f"Drawn are {DRAWN} of {samples} samples, evenly over them; of neighbours the first whose gradient is not "
        "finite, where there is one."
    )


def embedded(recording: Recording, numbers: int) -> Recording:
    """Return what a page embeds: gradients and losses, of so many numbers at most; all of it is in the recording."""
    thin = recording.thinned(max(numbers // max(len(recording.layers), 1), 3))
    return replace(thin, rows={"gradient_norm": thin.rows["gradient_norm"]}, events=thin.events[:EVENTS])


def facts(recording: Recording) -> list[tuple[str, str]]:
    """Return in what surroundings the numbers were taken, as (name, text)."""
    about, looks = recording.about, int(recording.looked_into().sum())
    found = [
        ("framework", "" if about is None else about.framework),
        ("optimizer", "" if about is None else about.optimizer),
        ("began", "" if about is None else about.started),
        ("samples", seen(recording)),
        ("looked into", f"{looks} of them, for the activations" if looks else ""),
        ("cost", cost_words(recording.cost)),
        ("recorded", ", ".join(stat.replace("_", " ") for stat in recording.stats)),
        ("by unvanish", "" if about is None else about.version),
    ]
    return [(name, sentence(text)) for name, text in found if text]


def glossary(*, activations: bool = False) -> list[tuple[str, str]]:
    """Return the words that the page uses, with their meanings."""
    words = WORDS | (OF_ACTIVATIONS if activations else frozenset())
    return [entry for entry in GLOSSARY if entry[0] in words]
