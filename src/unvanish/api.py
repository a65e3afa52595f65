"""What a user calls. Each function composes the rooms in a few lines; the command line calls the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from unvanish.core.diagnosis import Cost, Diagnosis, Site
from unvanish.core.forecast import Forecast
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.core.renderers import RENDERERS
from unvanish.watching.session import Plan, Progress

if TYPE_CHECKING:
    from unvanish.script.run import ScriptRun

__version__ = "0.1.0"


def check(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    validation: tuple[Any, Any] | None = None,
    batch_size: int = 32,
    steps: int = 60,
    ignore: Sequence[str] = (),
    progress: Progress | None = None,
) -> Diagnosis:
    """Say whether the model's gradient lets it learn, where not, and why.

    model: a compiled Keras model, on any backend. x, y: arrays or tensors, or x a stream of batches: a
    tf.data.Dataset, a PyDataset, a torch DataLoader.
    validation: held-out (x, y); without it a fifth of the data is held out. steps: optimizer steps of the short watched
    training. ignore: rule codes to leave out. progress: called with (what, done, total).

    The model, its optimizer and every random number generator are put back to the bit, also when this raises.
    Raise UnvanishError (UsageError, DataError, UnsupportedError) when there is nothing that could be looked at.
    """
    from unvanish.adapters import adapter_of

    adapter = adapter_of(model)
    seen, cost = adapter.check(
        model, x, y, validation=validation, batch_size=batch_size, plan=Plan(steps=steps), progress=progress or _silent
    )
    return diagnose(seen, ignore=ignore, title=seen.network.name, cost=cost)


def forecast(model: Any) -> Forecast:
    """Predict the gradient of every layer from the architecture and the weights alone: no data, no training.

    model: a core Network, or a built Keras model. Nothing is changed. Raise UsageError for anything else.
    """
    from unvanish.theory.forecast import forecast_network

    if isinstance(model, Network):
        return forecast_network(model)
    from unvanish.adapters import adapter_of

    return forecast_network(adapter_of(model).describe(model))


def diagnose(
    seen: Observation,
    *,
    ignore: Sequence[str] = (),
    title: str = "",
    sites: dict[str, Site] | None = None,
    cost: Cost | None = None,
) -> Diagnosis:
    """Add the forecast to an observation and let every rule judge it."""
    from unvanish.rules.judge import judge

    return judge(
        with_forecast(seen),
        ignore=ignore,
        title=title,
        version=__version__,
        sites=sites or {},
        cost=cost,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
    )


def with_forecast(seen: Observation) -> Observation:
    """Return the observation with what theory expects of its network on its data."""
    from unvanish.theory.forecast import forecast_network

    if seen.forecast is not None:
        return seen
    data, moments = seen.data, {}
    if data.input_second_moment is not None and data.input_cross_moment is not None:
        moments = {"second_moment": data.input_second_moment, "cross_moment": data.input_cross_moment}
    return replace(seen, forecast=forecast_network(seen.network, batch_size=data.batch_size, **moments))


def check_script(
    path: str | Path, argv: Sequence[str] = (), *, plan: Plan, progress: Progress, ignore: Sequence[str] = ()
) -> tuple[ScriptRun, Diagnosis | None]:
    """Run an unmodified training script until enough is seen; return how it ran, and the diagnosis if it trained."""
    from unvanish.script.check import look

    run = look(Path(path), list(argv), plan, progress)
    if run.observation is None:
        return run, None
    return run, diagnose(run.observation, ignore=ignore, title=Path(path).name, sites=run.sites, cost=run.cost)


def _silent(what: str, done: int, total: int) -> None:
    """Show nothing."""


def _text(record: Any) -> str:
    from unvanish.report.text import render_text

    return render_text(record)


def _html(record: Any) -> str:
    from unvanish.report.html import render_fragment

    return render_fragment(record)


def _page(record: Any) -> str:
    from unvanish.report.html import render_html

    return render_html(record)


RENDERERS.update({"html": _html, "page": _page, "text": _text})
