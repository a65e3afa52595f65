"""The table of renderers, by which a record shows itself without knowing a reporter."""

from __future__ import annotations

from typing import Any

from unvanish.core.renderers import RENDERERS


def _text(record: Any) -> str:
    from unvanish.report.text import render_text

    return render_text(record)


def _cure_text(record: Any) -> str:
    from unvanish.report.cure_text import render_cure

    return render_cure(record)


def _comparison_text(record: Any) -> str:
    from unvanish.report.comparison_text import render_comparison

    return render_comparison(record)


def _html(record: Any) -> str:
    from unvanish.report.html import render_fragment

    return render_fragment(record)


def _cure_html(record: Any) -> str:
    from unvanish.report.cure_html import render_cure_fragment

    return render_cure_fragment(record)


def _comparison_html(record: Any) -> str:
    from unvanish.report.comparison_html import render_comparison_fragment

    return render_comparison_fragment(record)


def _page(record: Any) -> str:
    from unvanish.report.html import render_html

    return render_html(record)


def _cure_page(record: Any) -> str:
    from unvanish.report.cure_html import render_cure_html

    return render_cure_html(record)


def _forecast_text(record: Any) -> str:
    from unvanish.report.forecast_text import render_outlook

    return render_outlook(record)


def _forecast_page(record: Any) -> str:
    from unvanish.report.forecast_html import render_forecast_html

    return render_forecast_html(record)


def _comparison_page(record: Any) -> str:
    from unvanish.report.comparison_html import render_comparison_html

    return render_comparison_html(record)


def _recording_page(record: Any) -> str:
    from unvanish.report.recording_html import render_recording_html

    return render_recording_html(record)


def _recording_text(record: Any) -> str:
    from unvanish.report.recording_text import render_recording

    return render_recording(record)


def _runs_page(record: Any) -> str:
    from unvanish.report.run_comparison_html import render_run_comparison_html

    return render_run_comparison_html(record)


def _runs_text(record: Any) -> str:
    from unvanish.report.run_comparison_text import render_run_comparison

    return render_run_comparison(record)


RENDERERS.update(
    {
        "comparison html": _comparison_html,
        "comparison page": _comparison_page,
        "comparison text": _comparison_text,
        "cure html": _cure_html,
        "cure page": _cure_page,
        "cure text": _cure_text,
        "forecast page": _forecast_page,
        "forecast text": _forecast_text,
        "html": _html,
        "page": _page,
        "recording page": _recording_page,
        "recording text": _recording_text,
        "runs page": _runs_page,
        "runs text": _runs_text,
        "text": _text,
    }
)
