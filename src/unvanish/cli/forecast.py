"""`unvanish forecast SPEC`: what a network's gradients will do, from its description alone."""

from __future__ import annotations

from pathlib import Path

import click

from unvanish.api import INPUTS, forecast_spec
from unvanish.cli import files, streams
from unvanish.spec.initialisers import INITIALISERS

EPILOG = """\b
Examples:
  unvanish forecast "dense(64, sigmoid)*11, dense(1)"
  unvanish forecast "(dense(64), relu)*10, dense(1)" --init he_normal
  unvanish forecast "residual(dense(64, tanh))*50, dense(10)" --input normal
  unvanish forecast "input(32, 32, 3), (conv(16, 3), batch_norm, relu)*8,
      global_avg_pool, dense(10, softmax)"

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
Exit codes: 0 fine; 1 the gradient vanishes or explodes; 2 wrong usage;
4 undecided.
"""


@click.command(epilog=EPILOG)
@click.argument("spec")
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
@click.option("--json", "json_path", metavar="FILE", help="Write the facts as JSON; - for standard output.")
def forecast(
    spec: str, initialiser: str, inputs: str, features: int | None, batch_size: int, json_path: str | None
) -> int:
    """Say from a network's description what its gradients will do, untrained.

    No data, no framework and no training step: theory alone. With the exit code 0 the first gradient is within 1.5
    decades of the last, and so is the signal.
    """
    json = None if json_path in (None, "-") else Path(str(json_path))
    files.ensure_writable(json)
    outlook = forecast_spec(spec, initialiser=initialiser, inputs=inputs, features=features, batch_size=batch_size)
    if json_path == "-":
        streams.say(outlook.to_json())
    else:
        from unvanish.report.forecast_text import print_outlook

        with streams.console() as console:
            print_outlook(outlook, console)
        if json is not None:
            files.write(json, outlook.to_json())
    return {"fine": 0, "undecided": 4}.get(outlook.verdict, 1)
