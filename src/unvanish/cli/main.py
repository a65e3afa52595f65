"""The command `unvanish`: its table of commands, each imported only when it is called, and what every error becomes."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from unvanish import __version__
from unvanish.cli import streams
from unvanish.cli.signals import Signals
from unvanish.errors import UnvanishError

COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("unvanish.cli.check", "Run a training script until enough is seen, and say what its gradients do."),
    "compare": (
        "unvanish.cli.compare",
        "Put two saved diagnoses or cures side by side, or the recordings of two runs.",
    ),
    "cure": (
        "unvanish.cli.cure",
        "Try changes on copies of a script's model, and prescribe the smallest that suffices.",
    ),
    "demo": ("unvanish.cli.demo", "Check the tutorial's networks and every remedy, and cure the sick one."),
    "explain": ("unvanish.cli.explain", "Show the page of a rule: what it measures, why, evidence, remedies."),
    "forecast": ("unvanish.cli.forecast", "Say what a network's gradients will do before it is trained."),
    "replay": ("unvanish.cli.replay", "Run the batch again that gave the first non-finite value, and say where."),
    "report": ("unvanish.cli.report", "Render saved facts again: as text, HTML, JSON, an image or Markdown."),
    "watch": ("unvanish.cli.watch", "Run a training script to its end, and record what every layer does."),
}
"""Name -> module, one line of help. The module's function of that name is the command."""

PATIENCE = 2.0
"""Seconds that threads of a stopped script are waited for."""

EXAMPLES = """\b
Examples:
  unvanish check train.py                what do its gradients do?
  unvanish check train.py -- --epochs 3  the script's arguments go behind --
  unvanish check train.py --json facts.json --fail-on warning
  unvanish explain GF101                 the page of a rule
  unvanish forecast "dense(64, tanh)*20" before there is a script
\b
Exit codes: 0 healthy; 1 findings; 2 wrong usage or a missing backend; 3 the
script failed or never trained; 4 undecided; 130 interrupted (143 by SIGTERM).
"""


class Commands(click.Group):
    """Import a command when it is called; `--help` reads the table alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names in order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command, imported now; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table's lines, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(COMMANDS.items())])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say which command was probably meant when there is none of that name."""
        if args and args[0].endswith(".py") and args[0] not in COMMANDS:
            raise click.UsageError(f"No such command {args[0]!r}. To check a script: unvanish check {args[0]}", ctx)
        near = difflib.get_close_matches(args[0], COMMANDS, n=1) if args and args[0] not in COMMANDS else []
        if near:
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="unvanish", message="%(prog)s %(version)s")
def unvanish() -> None:
    """Show where a deep network's gradient dies, say why, and what to change first."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. Every error has been told on standard error."""
    streams.open_closed()
    _write_what_cannot_be_encoded_as_question_marks()
    try:
        code: Any = unvanish.main(arguments, prog_name="unvanish", standalone_mode=False)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        with contextlib.suppress(OSError, ValueError):  # where nobody hears it, the code still tells
            _tell(error)
        return _code_of(error)
    return code if isinstance(code, int) else 0


def _tell(error: BaseException) -> None:
    """Say on standard error what went wrong."""
    if isinstance(error, click.ClickException):
        error.show()
        if (
            isinstance(error, click.NoSuchOption)
            and error.ctx
            and error.ctx.info_name in ("check", "forecast", "watch")
        ):
            example = f"unvanish {error.ctx.info_name} train.py -- --epochs 3"
            click.echo(f"Arguments of the script go behind --: {example}", err=True)
    elif isinstance(error, UnvanishError):
        click.echo(f"error: {error}", err=True)
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        click.echo("interrupted", err=True)
    else:
        traceback.print_exception(error)
        click.echo(f"error: {_own_fault(error)}", err=True)


def _code_of(error: BaseException) -> int:
    if isinstance(error, UnvanishError):
        return error.exit_code
    return 130 if isinstance(error, KeyboardInterrupt | click.Abort) else 2


def main() -> NoReturn:
    """Run the command line and exit. What a script left behind neither writes into the report nor holds the exit up."""
    signals = Signals()
    signals.listen()
    code = signals.exit_code(run())
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
        if "unvanish.script.run" in sys.modules:
            with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), descriptor)
    left = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    for thread in left:
        thread.join(timeout=PATIENCE / len(left))
    if any(thread.is_alive() for thread in left):
        os._exit(code)
    sys.exit(code)


def _own_fault(error: BaseException) -> UnvanishError:
    return UnvanishError(
        "unvanish itself failed",
        found=f"{type(error).__name__}: {error}",
        numbers={"version": __version__},
        hint="report this with the lines above; `--steps 1` may still give a first look",
    )


def _write_what_cannot_be_encoded_as_question_marks() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
