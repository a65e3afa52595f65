"""Two recorded trainings as HTML: one scale of colours, one step axis, a slider that runs both; one file, offline."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.recording import ACTIVATION_STATS
from unvanish.core.run_comparison import LossPair, RunComparison
from unvanish.report.before_after import Line
from unvanish.report.figures.by_step import MARKED_EVENTS
from unvanish.report.numbers import plain, scientific
from unvanish.report.pictures import of_runs
from unvanish.report.raw_data import compact
from unvanish.report.recording_html import EMBEDDED, EVENTS, drawn, embedded, glossary, title
from unvanish.report.recording_words import cost_words, named, seen
from unvanish.report.run_comparison_columns import cells_of, columns_of, footnote_of
from unvanish.report.run_comparison_text import UNKNOWN, change, footnote, higher, loss_label, times, told_words
from unvanish.report.template import page


def render_run_comparison_html(pair: RunComparison) -> str:
    """Return the whole page: one file, under the same policy as that of a diagnosis."""
    columns = columns_of(pair)
    small = replace(pair, before=embedded(pair.before, EMBEDDED // 2), after=embedded(pair.after, EMBEDDED // 2))
    return page(
        "runs.html.j2",
        ["sort.js", "moving.js"],
        compact(small),
        version=pair.version,
        created="",
        sides=[
            (place, recording, title(recording), recording.events[:EVENTS], max(len(recording.events) - EVENTS, 0))
            for place, recording in (("before", pair.before), ("after", pair.after))
        ],
        named=lambda recording: " · ".join([*named(recording)[1:], seen(recording)]),
        lines=lines_of(pair),
        picture=of_runs(pair),
        drawn=[(place, text) for place, text in (("before", drawn(pair.before)), ("after", drawn(pair.after))) if text],
        marked=MARKED_EVENTS,
        told=pair.told,
        words=told_words,
        unknown=UNKNOWN,
        layers=pair.layers,
        change=change,
        footnote=footnote(pair),
        columns=columns,
        beside=footnote_of(columns),
        cells=cells_of,
        glossary=glossary(activations=any(column.stat in ACTIVATION_STATS for column in columns)),
    )


def lines_of(pair: RunComparison) -> list[Line]:
    """Return the rows of numbers, before and after."""
    ratios, factor = pair.first_over_last, pair.first_over_last_change
    costs = [cost_words(recording.cost).partition(";")[0] or "-" for recording in (pair.before, pair.after)]
    return [
        *(_loss(losses) for losses in pair.losses),
        Line("first / last gradient, median", scientific(ratios[0]), scientific(ratios[1]), times(factor)),
        Line("cost of watching", costs[0], costs[1]),
    ]


def _loss(losses: LossPair) -> Line:
    return Line(loss_label(losses), plain(losses.before), plain(losses.after), higher(losses))
