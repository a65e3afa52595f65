"""Run an unmodified script as Python would, with the captures of its frameworks in place, and say how it ended."""

from __future__ import annotations

import builtins
import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import NoReturn

from msgspec.structs import replace

from unvanish.script.captures import Factory
from unvanish.script.endings import ended
from unvanish.script.gate import Gate
from unvanish.script.outcome import Command, ScriptRun
from unvanish.script.source import compile_script, syntax_failure
from unvanish.watching.sites import is_users

__all__ = ["ScriptRun", "run_script"]


def run_script(
    path: Path, argv: Sequence[str], captures: Mapping[str, Factory], command: Command = "check"
) -> ScriptRun:
    """Run the script as `python path *argv` would, until a capture has seen enough, and return what was seen.

    sys.argv, sys.path, sys.meta_path, the working directory, `__main__`, the handler of Ctrl-C and the modules that
    came from the script's folder are put back. command: the one that hints name. Whatever the script raises is told in
    the result, never raised. Raise UsageError when there is no such script.
    """
    run = ScriptRun(script=path, outcome="enough", command=command)
    try:
        code = compile_script(path)
    except SyntaxError as error:
        text = "".join(traceback.format_exception_only(error))
        return replace(run, outcome="syntax", error=syntax_failure(path, error), traceback=text)
    gate = Gate(captures)
    interrupted = threading.Event()
    with _restored(), _interrupts(interrupted), _imports_forgotten(path) as files:
        failure = _execute(code, path, argv, gate)
    seen = gate.seen()
    run = replace(run, files=(str(path.absolute()), *sorted(files)))
    if seen is not None:
        run = replace(
            run,
            observation=seen.observation,
            sites=dict(seen.sites),
            optimizer_site=seen.optimizer_site,
            cost=seen.cost,
            suspended=tuple(seen.suspended),
            trainer=seen.trainer,
        )
    run = replace(run, idle=next((capture.idle for capture in gate.entered if capture.idle is not None), None))
    refusal = gate.refusal or (seen.error if seen is not None else None)
    return ended(run, failure, interrupted.is_set(), refusal)


def _execute(code: CodeType, path: Path, argv: Sequence[str], gate: Gate) -> BaseException | None:
    """Run the code as `__main__`; return what it raised. The captures are left before this returns."""
    main = ModuleType("__main__")
    file = str(path.absolute())
    main.__dict__.update(
        __file__=file, __builtins__=builtins, __cached__=None, __loader__=SourceFileLoader("__main__", file)
    )
    if not sys.flags.safe_path:
        sys.path[: _starts_with_ours()] = [str(path.resolve().parent)]
    sys.argv = [str(path), *argv]
    sys.modules["__main__"] = main
    try:
        with gate, _exits_told():
            gate.open()
            exec(code, main.__dict__)
    except BaseException as error:  # the user's SystemExit, KeyboardInterrupt and Enough included: told, not raised
        return error
    return None


def _starts_with_ours() -> bool:
    """Say whether sys.path begins with the folder of the running command, which is not there for the script."""
    ours = ("", os.getcwd(), os.path.dirname(os.path.realpath(sys.argv[0])))
    return bool(sys.path) and sys.path[0] in ours


@contextlib.contextmanager
def _exits_told() -> Iterator[None]:
    """Let `os._exit` in this process end the script as `sys.exit` does: what was seen is told. Children keep theirs."""
    original, own = os._exit, os.getpid()

    def leave(status: int) -> NoReturn:
        if os.getpid() != own:
            original(status)
        raise SystemExit(status)

    os._exit = leave
    try:
        yield
    finally:
        os._exit = original


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    argv, places, main, folder = sys.argv, list(sys.path), sys.modules["__main__"], os.getcwd()
    try:
        yield
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = argv, places, main
        with contextlib.suppress(OSError):  # the folder may be gone by now
            os.chdir(folder)


@contextlib.contextmanager
def _imports_forgotten(path: Path) -> Iterator[set[str]]:
    """Forget the modules that came from the script's folder: one named `html` or `queue` would shadow a real one.

    Their files are added to what is given, at the end.
    """
    before = set(sys.modules)
    script = str(path.absolute())
    files: set[str] = set()
    try:
        yield files
    finally:
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if isinstance(file, str) and is_users(file, script):
                files.add(file)
                del sys.modules[name]


@contextlib.contextmanager
def _interrupts(pressed: threading.Event) -> Iterator[None]:
    """Notice Ctrl-C, also when the script catches it, and let it do what it does."""
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    act: Callable[[int, FrameType | None], object] = previous

    def notice(number: int, frame: FrameType | None) -> None:
        pressed.set()
        act(number, frame)

    signal.signal(signal.SIGINT, notice)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
