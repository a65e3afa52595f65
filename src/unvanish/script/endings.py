"""Tell the ways apart in which a script can end, and say each of them in four parts."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from unvanish.adapters import BACKENDS, is_installed, missing_backend
from unvanish.errors import ScriptError, UnvanishError
from unvanish.script.gate import legacy_refused, wants_legacy
from unvanish.script.no_module import hint_of
from unvanish.script.outcome import ScriptRun
from unvanish.script.trace import last_line, own_traceback
from unvanish.watching.session import Enough

OTHER_LOOPS: tuple[tuple[str, str], ...] = (
    ("GradientTape", "no step of a Keras optimizer on the variables of a keras.Model"),
    ("autograd.grad", "gradients by torch.autograd.grad, which are not looked at: those of loss.backward() are"),
    ("torch.func import", "gradients by torch.func, which are not looked at: those of loss.backward() are"),
    ("import torch", "no step of a PyTorch optimizer that trains a module"),
    ("from torch", "no step of a PyTorch optimizer that trains a module"),
)
"""Words in a script's source that explain what was not seen."""


def ended(run: ScriptRun, failure: BaseException | None, interrupted: bool, refusal: UnvanishError | None) -> ScriptRun:
    """Return the run with its outcome, and with what to tell about it.

    failure: what the script raised; None when it ran to its end. interrupted: whether Ctrl-C was pressed.
    """
    if isinstance(failure, KeyboardInterrupt) or interrupted:
        return replace(run, outcome="interrupted", error=_interrupted(run))
    refusal = refusal or (None if failure is None else _missing(failure, run.script))
    if refusal is not None:
        return replace(run, outcome="refused", error=refusal)
    code = _exit_code(failure)
    run = replace(run, script_exit=code)
    stopped = failure is None or code == 0 or any(isinstance(error, Enough) for error in _chain(failure))
    if run.observation is not None and stopped:
        return replace(run, outcome="enough")
    if failure is None or isinstance(failure, Enough):
        return replace(run, outcome="finished", error=_never_trained(run))
    if code is not None:
        return replace(run, outcome="exited", error=_exited(run, failure, code))
    return replace(run, outcome="raised", error=_raised(run, failure), traceback=own_traceback(failure))


def steps_seen(run: ScriptRun) -> int:
    """Return the number of training steps that were seen."""
    return 0 if run.observation is None else run.observation.recording.total_steps


def _interrupted(run: ScriptRun) -> ScriptError:
    seen = run.observation is not None
    hint = f"unvanish check {_quoted(run.script)} --steps 20 needs fewer steps"
    if run.command == "forecast":
        hint = "a forecast ends the script before its first training step; what comes before that takes its time"
    if run.command == "watch":
        hint = "a run is recorded from its first training step on, and kept whenever it ends"
    if run.command == "cure":
        hint = "trials begin when the script calls fit: Ctrl-C from then on keeps what was measured"
    return ScriptError(
        f"{run.script.name} was interrupted",
        found="what was measured until then is kept" if seen else "nothing was measured until then",
        numbers={"training steps seen": steps_seen(run)},
        hint=hint,
    )


def _never_trained(run: ScriptRun) -> ScriptError:
    words = ["no such call of fit or train_on_batch was seen", *_other_loops(run.script)]
    kinds = "this version looks at models of Keras 3 and of PyTorch, and at loops with an optimizer of theirs"
    found, hint = run.idle or (", and ".join(words), kinds)
    return ScriptError(
        f"{run.script.name} ended without a training that could be looked at",
        found=found,
        numbers={"training steps seen": 0},
        hint=f"{hint}; arguments of the script go behind --: unvanish {run.command} {_quoted(run.script)} -- --train",
    )


def _exited(run: ScriptRun, failure: BaseException, code: int) -> ScriptError:
    message = failure.code if isinstance(failure, SystemExit) else None
    when = f"after {steps_seen(run)} training steps" if run.observation is not None else "before it trained anything"
    hint = f"run `python {_quoted(run.script)}` by itself until it trains, then {run.command} it again"
    if code == 2:
        hint = f"arguments of the script go behind --: unvanish {run.command} {_quoted(run.script)} -- --epochs 3"
    return ScriptError(
        f"{run.script.name} called sys.exit {when}",
        found=f"sys.exit({message!r})" if isinstance(message, str) else f"exit code {code}",
        numbers={"training steps seen": steps_seen(run)},
        hint=hint,
    )


def _raised(run: ScriptRun, failure: BaseException) -> ScriptError:
    steps, kind = steps_seen(run), type(failure).__name__
    when = f"after {steps} training steps" if run.observation is not None else "before it trained anything"
    hint = f"run `python {_quoted(run.script)}` by itself until it trains, then {run.command} it again"
    if run.observation is not None:
        hint = f"the report covers what was measured until then; repair the error, then {run.command} again"
    if isinstance(failure, ModuleNotFoundError) and failure.name and "." not in failure.name:
        hint = hint_of(failure.name, run.script, run.command)
    if isinstance(failure, EOFError) or kind == "BdbQuit":
        hint = "a script that asks for input needs --verbose, which shows what it writes and lets it read"
    return ScriptError(
        f"{run.script.name} raised {kind} {when}",
        found=last_line(failure, run.script),
        numbers={"training steps seen": steps},
        hint=hint,
    )


def _missing(failure: BaseException, script: Path) -> UnvanishError | None:
    """Return what to say when the failure is a missing or an unwanted backend; None when it is something else."""
    if not isinstance(failure, ImportError):
        return None
    name = (failure.name or "") if isinstance(failure, ModuleNotFoundError) else ""
    through_tensorflow = name.startswith("tensorflow.keras") or "Keras cannot be imported" in str(failure)
    if "tf_keras" in f"{name} {failure}" or (through_tensorflow and wants_legacy()):
        return legacy_refused()
    name = "keras" if through_tensorflow else name
    wanted = name in ("keras", "tensorflow", "torch") or name == os.environ.get("KERAS_BACKEND")
    if wanted and name in BACKENDS and not is_installed(name):
        return missing_backend(name, wanted_by=last_line(failure, script))
    return None


def _exit_code(failure: BaseException | None) -> int | None:
    """Return the exit code as Python would give it; None when the script did not exit by itself."""
    if not isinstance(failure, SystemExit):
        return None
    if failure.code is None:
        return 0
    return failure.code if isinstance(failure.code, int) else 1


def _chain(failure: BaseException) -> Iterator[BaseException]:
    """Yield the exception, and those during whose handling it was raised: a script may clean up after Enough."""
    seen: set[int] = set()
    error: BaseException | None = failure
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _other_loops(script: Path) -> list[str]:
    try:
        source = script.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return sorted({words for word, words in OTHER_LOOPS if word in source})


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))
