"""A record of any kind as text in the terminal, and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unvanish.core.renderers import render

if TYPE_CHECKING:
    from rich.console import Console

    from unvanish.cli.facts import Record

PAGES = {
    "Comparison": "comparison page",
    "Cured": "cure page",
    "Diagnosis": "page",
    "Outlook": "forecast page",
    "Recording": "recording page",
    "RunComparison": "runs page",
}
"""Kind of a record -> the name of the function that renders its page."""


def page(record: Record) -> str:
    """Return the HTML report; the table of renderers is to be filled by then (unvanish.rendering)."""
    return render(PAGES[type(record).__name__], record)


def show(record: Record, console: Console, report: str = "") -> None:
    """Print the record to the console. report: where its HTML report is written, to be named; empty for nowhere."""
    from unvanish.core.comparison import Comparison
    from unvanish.core.cured import Cured
    from unvanish.core.outlook import Outlook
    from unvanish.core.recording import Recording
    from unvanish.core.run_comparison import RunComparison

    if isinstance(record, Comparison):
        from unvanish.report.comparison_text import print_comparison

        print_comparison(record, console)
    elif isinstance(record, Cured):
        from unvanish.report.cure_text import print_cure

        print_cure(record, console, report=report)
    elif isinstance(record, Outlook):
        from unvanish.report.forecast_text import print_outlook

        print_outlook(record, console)
    elif isinstance(record, Recording):
        from unvanish.report.recording_text import print_recording

        print_recording(record, console)
    elif isinstance(record, RunComparison):
        from unvanish.report.run_comparison_text import print_run_comparison

        print_run_comparison(record, console)
    else:
        from unvanish.report.text import print_diagnosis

        print_diagnosis(record, console, report=report)
