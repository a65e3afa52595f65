"""`unvanish forecast SPEC|SCRIPT`: what a network's gradients will do, before it is trained."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unvanish.cli import files, streams
from unvanish.errors import UsageError
from unvanish.forecasting import INPUTS
from unvanish.spec.initialisers import INITIALISERS

if TYPE_CHECKING:
    from unvanish.core.outlook import Outlook
    from unvanish.forecasting import Reach
    from unvanish.script.run import ScriptRun

EPILOG = """\b
Examples:
  unvanish forecast "dense(64, sigmoid)*11, dense(1)"
  unvanish forecast "(dense(64), relu)*10, dense(1)" --init he_normal
  unvanish forecast "dense(64, tanh)*20, dense(1)" --depth 5..200
  unvanish forecast "residual(dense(64, tanh))*50, dense(10)" --input normal
  unvanish forecast "input(32, 32, 3), (conv(16, 3), batch_norm, relu)*8,
      global_avg_pool, dense(10, softmax)"
  unvanish forecast train.py             the model that it is about to train
  unvanish forecast train.py -- --layers 50

\b
SPEC lists layers from the input to the output, separated by commas:
  dense(units)  dense(units, activation)
  conv(filters, size)  and any of: a stride, same or valid, an activation
  simple_rnn(units)  and any of: tanh, relu or linear; sequences
  avg_pool(size)  max_pool(size)  global_avg_pool  global_max_pool
  batch_norm  layer_norm  rms_norm  group_norm(groups)  instance_norm
  dropout(rate)  flatten  an activation: relu, tanh, sigmoid, gelu, ...
  embedding(words, units)  right behind the input
  residual(...)  adds what enters to what leaves
  residual(..., scale=0.1)  multiplies what leaves first
  input(32, 32, 3)  as the first word: the shape of an input
  layer*N  (...)*N  repeats

\b
NAME of --init:
  glorot_uniform glorot_normal he_normal he_uniform lecun_normal
  lecun_uniform orthogonal torch keras

\b
SCRIPT is run up to its first training step, which is not taken: its model
counts with the weights that it has, and its data with their own moments.

\b
Exit codes: 0 fine; 1 the gradient vanishes or explodes; 2 wrong usage;
3 the script failed or never trained; 4 undecided; 130 interrupted.
"""

MOST = 5000
"""Layers with weights of the deepest network that a curve goes to: some ten seconds."""


def _reach(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Return A and B of `A..B`."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,5})\.\.(\d{1,5})", value, re.ASCII)
    low, high = (int(number) for number in found.groups()) if found else (0, 0)
    if not 2 <= low < high <= MOST:
        raise click.BadParameter(f"{value!r} is not A..B with 2 <= A < B <= {MOST}, as in 5..200.")
    return low, high


OF_SPEC = ("initialiser", "inputs", "features", "batch_size")
OF_SCRIPT = ("arguments", "fit", "quiet", "verbose")


@click.command(epilog=EPILOG)
@click.argument("network", metavar="SPEC|SCRIPT")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]")
@click.option(
    "--init",
    "initialiser",
    type=click.Choice(INITIALISERS),
    metavar="NAME",
    default="glorot_uniform",
    show_default=True,
    help="How all weights are drawn; keras and torch as their dense layers do by themselves.",
)
@click.option(
    "--input",
    "inputs",
    type=click.Choice(tuple(INPUTS)),
    default="uniform",
    show_default=True,
    help="How the inputs are drawn: U(0, 1) or N(0, 1).",
)
@click.option("--features", type=click.IntRange(1, 10**7), help="Of an input.  [default: the first layer's units]")
@click.option(
    "--batch", "batch_size", type=click.IntRange(1), default=32, show_default=True, help="Samples in a batch."
)
@click.option("--fit", type=click.IntRange(min=1), default=1, metavar="N", help="Which training of a script.")
@click.option("--depth", callback=_reach, metavar="A..B", help="Follow the recipe from A to B layers with weights.")
@click.option("--json", "json_path", metavar="FILE", help="Write the facts as JSON; - for standard output.")
@click.option("--html", "html_path", callback=files.no_dash, metavar="FILE", help="Write a page with the plots there.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes while a script runs.")
@click.option("--verbose", "-v", is_flag=True, help="Show what a script writes while it runs.")
@click.pass_context
def forecast(ctx: click.Context, /, network: str, json_path: str | None, html_path: str | None, **told: Any) -> int:
    """Say what a network's gradients will do before it is trained.

    No training step and, of a description, no data and no framework: theory alone. With the exit code 0 the first
    gradient is within 1.5 decades of the last, and so is the signal.
    """
    script = network.endswith(".py") or os.path.isfile(network)
    _refuse(ctx, OF_SPEC if script else ("arguments", "fit"), network, script=script)
    html, json = (None if path in (None, "-") else Path(path) for path in (html_path, json_path))
    files.ensure_writable(html, json, script=Path(network) if script else None)
    told["depth"] = told["depth"] or (None if html is None else "usual")
    if script:
        run, outlook = _script(Path(network), told["depth"], **{name: told[name] for name in OF_SCRIPT})
    else:
        from unvanish.api import forecast_spec

        run, outlook = None, forecast_spec(network, **{name: told[name] for name in (*OF_SPEC, "depth")})
    problems = [] if outlook is None else _give(outlook, html, json, on_stdout="json" if json_path == "-" else "text")
    if run is not None and run.error is not None:
        streams.failure(run)
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if outlook is None or (run is not None and run.exit_code is not None):
        return 3 if run is None or run.exit_code is None else run.exit_code
    if problems:
        return 2
    return {"fine": 0, "undecided": 4}.get(outlook.verdict, 1)


def _script(
    script: Path, depth: Reach | None, *, arguments: tuple[str, ...], fit: int, quiet: bool, verbose: bool
) -> tuple[ScriptRun, Outlook | None]:
    from unvanish.api import forecast_script
    from unvanish.script.check import shown_live

    with shown_live(verbose), streams.progress(script.name, silent=quiet or verbose) as progress:
        run, outlook = forecast_script(script, arguments, fit=fit, depth=depth, progress=progress)
    if not quiet:
        streams.notes(run.notes)
    return run, outlook


def _give(outlook: Outlook, html: Path | None, json: Path | None, *, on_stdout: str) -> list[UsageError]:
    """Show the forecast, then write its files, the slowest last; return what went wrong."""
    return files.give(
        lambda: _show(outlook, on_stdout),
        lambda: None if json is None else files.write(json, outlook.to_json()),
        lambda: None if html is None else files.write(html, _page(outlook)),
    )


def _show(outlook: Outlook, form: str) -> None:
    if form == "json":
        streams.say(outlook.to_json())
        return
    from unvanish.report.forecast_text import print_outlook

    with streams.console() as console:
        print_outlook(outlook, console)


def _page(outlook: Outlook) -> str:
    from unvanish.report.forecast_html import render_forecast_html

    return render_forecast_html(outlook)


def _refuse(ctx: click.Context, names: tuple[str, ...], network: str, *, script: bool) -> None:
    """Raise UsageError for options that mean nothing here: they would be obeyed in silence, or not at all."""
    given = [
        "/".join(param.opts) if isinstance(param, click.Option) else "arguments behind --"
        for param in ctx.command.params
        if param.name in names and ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE
    ]
    if not given:
        return
    of = "a script brings its own weights, inputs and batches" if script else "a description is not run"
    raise UsageError(
        f"{given[0]} says nothing about {network!r}",
        found=of,
        hint=f"unvanish forecast {network}" if script else 'a script ends in ".py", or is a file that exists',
    )
