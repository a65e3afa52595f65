"""A script runs as under Python itself, and each way of ending is told apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unvanish.errors import UnsupportedError, UsageError
from unvanish.script.run import ScriptRun, run_script
from unvanish.watching.session import Idle

Run = Callable[..., ScriptRun]

FIT = "import toyframe\ntoyframe.Model().fit(5)\n"


def parts(run: ScriptRun) -> tuple[str, str, dict[str, object], str]:
    """Return the four parts of the run's error; each must be there."""
    error = run.error
    assert error is not None
    assert error.what
    assert error.found
    assert error.numbers
    assert error.hint
    text = str(error).splitlines()
    assert text[0] == error.what
    assert next(line[:10] for line in text[1:]) == "  found:  "
    assert text[-1] == f"  try:    {error.hint}"
    return error.what, error.found, error.numbers, error.hint


# --- it saw enough ---------------------------------------------------------------------------------------------------


def test_it_stops_right_after_the_training(run: Run, home: Path) -> None:
    seen = run(FIT + "open('after.txt', 'w')\n")
    assert (seen.outcome, seen.error, seen.exit_code, seen.traceback) == ("enough", None, None, "")
    assert seen.observation is not None
    assert seen.observation.recording.total_steps == 5
    assert seen.suspended == ("ModelCheckpoint",)
    assert not (home / "after.txt").exists()


def test_a_script_that_catches_everything_still_counts(run: Run) -> None:
    caught = "import toyframe\ntry:\n    toyframe.Model().fit(2)\nexcept:\n    pass\n"
    for ending in ("", "    raise SystemExit(4)\n", "    undefined\n"):
        seen = run(caught + ending)
        assert (seen.outcome, seen.error) == ("enough", None)


def test_cleaning_up_that_fails_still_counts(run: Run) -> None:
    seen = run("import toyframe\ntry:\n    h = toyframe.Model().fit(2)\nfinally:\n    print(h)\n")
    assert (seen.outcome, seen.error) == ("enough", None)


def test_exit_zero_after_a_training_counts(run: Run) -> None:
    seen = run("import sys, toyframe\ntoyframe.Model().fit(9, lambda step: step == 4 and sys.exit())\n")
    assert (seen.outcome, seen.script_exit, seen.exit_code) == ("enough", 0, None)
    assert seen.observation is not None
    assert seen.observation.recording.total_steps == 4


# --- as under Python itself ------------------------------------------------------------------------------------------

FACTS = """
import sys, os, json
facts = {"argv": sys.argv, "path": sys.path[0], "file": __file__, "name": __name__, "spec": __spec__,
         "package": __package__, "cached": __cached__, "doc": __doc__, "loader": type(__loader__).__name__,
         "main": sys.modules["__main__"].__dict__ is globals(), "builtins": type(__builtins__).__name__,
         "cwd": os.getcwd(), "code": sys._getframe().f_code.co_filename, "flags": sys._getframe().f_code.co_flags}
json.dump(facts, open("facts.json", "w"))
"""


def test_the_script_sees_what_python_would_show_it(run: Run, home: Path) -> None:
    run('"""Doc."""' + FACTS, "--x", "1", name="sub/train.py")
    ours = (home / "facts.json").read_text()
    subprocess.run([sys.executable, "sub/train.py", "--x", "1"], check=True)
    assert ours == (home / "facts.json").read_text()


def test_everything_is_put_back(run: Run, home: Path) -> None:
    held = sys.argv, list(sys.path), list(sys.meta_path), os.getcwd(), sys.modules["__main__"]
    handler = signal.getsignal(signal.SIGINT)
    (home / "html.py").write_text("ours = True\n")
    known = sys.modules.pop("html", None)
    try:
        seen = run(
            "import os, sys, signal, html, toyframe\nassert html.ours\nsys.argv = []\nsys.path.insert(0, 'x')\n"
            "os.chdir('/')\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntoyframe.Model().fit()\n"
        )
        assert seen.outcome == "enough", seen.traceback
        assert "html" not in sys.modules
    finally:
        if known is not None:
            sys.modules["html"] = known
    assert held == (sys.argv, list(sys.path), list(sys.meta_path), os.getcwd(), sys.modules["__main__"])
    assert signal.getsignal(signal.SIGINT) is handler
    assert sys.modules["toyframe"].Model.fit.__qualname__ == "Model.fit"


def test_neighbours_guards_argparse_and_other_folders(run: Run, home: Path) -> None:
    (home / "dönnées").mkdir()
    (home / "dönnées" / "näheres.py").write_text("def build(frame):\n    return frame.Layer('made here')\n")
    seen = run(
        "import argparse, os, toyframe\nimport näheres\n"
        "parser = argparse.ArgumentParser()\nparser.add_argument('--steps', type=int, required=True)\n"
        "def main():\n    steps = parser.parse_args().steps\n    os.chdir('/')\n    näheres.build(toyframe)\n"
        "    toyframe.Layer(\n        'there')\n    toyframe.Model().fit(steps)\n"
        "if __name__ == '__main__':\n    main()\n",
        "--steps",
        "4",
        name="dönnées/träin é.py",
    )
    assert seen.outcome == "enough", seen.traceback
    assert seen.observation is not None
    assert seen.observation.recording.total_steps == 4
    made, there = seen.sites["made here"], seen.sites["there"]
    assert (made.file, made.line) == (str(home / "dönnées" / "näheres.py"), 2)
    assert made.text == "return frame.Layer('made here')"
    assert (there.file, there.line, there.text) == (str(home / "dönnées" / "träin é.py"), 9, "toyframe.Layer(")


def test_windows_line_ends_byte_order_mark_and_declared_encoding(run: Run, home: Path) -> None:
    assert run("\ufeff" + FIT, newline="\r\n").outcome == "enough"
    (home / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nassert len('\xe9') == 1\n")
    assert run_script(Path("latin.py"), [], {}).outcome == "finished"


def test_worker_processes_import_the_script_and_do_not_train(run: Run) -> None:
    seen = run(
        "import multiprocessing as mp, os\n"
        "def double(x):\n    return 2 * x, os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool:\n        (four, other), = pool.map(double, [2])\n"
        "    assert four == 4 and other != os.getpid()\n    import toyframe\n    toyframe.Model().fit(2)\n"
    )
    assert seen.outcome == "enough", seen.traceback


def test_the_capture_is_entered_once_and_late(run: Run) -> None:
    seen = run(
        "import importlib.util, sys\nassert importlib.util.find_spec('toyframe')\n"
        "assert 'toyframe' not in sys.modules\nimport toyframe\nimport importlib\nimportlib.reload(toyframe)\n"
    )
    assert seen.outcome == "finished", seen.traceback
    assert seen.observation is None
    assert seen.cost is not None  # the capture was there


def test_a_framework_that_is_imported_already_is_watched(run: Run) -> None:
    import toyframe  # noqa: F401

    assert run(FIT).outcome == "enough"


# --- it did not ------------------------------------------------------------------------------------------------------


def test_never_trained(run: Run) -> None:
    seen = run("import toyframe\nwith_tape = 'GradientTape'\n")
    what, found, numbers, hint = parts(seen)
    assert (seen.outcome, seen.exit_code) == ("finished", 3)
    assert what == "train.py ended without a training that could be looked at"
    assert found == (
        "no such call of fit or train_on_batch was seen, "
        "and no step of a Keras optimizer on the variables of a keras.Model"
    )
    assert numbers == {"training steps seen": 0}
    assert "unvanish check train.py -- " in hint


@pytest.mark.parametrize("by", ["torch.autograd.grad(loss, weights)", "from torch.func import grad"])
def test_gradients_without_a_backward_pass_are_told(run: Run, by: str) -> None:
    found = parts(run(f"import toyframe\nby = {by!r}\n"))[1]
    assert "which are not looked at: those of loss.backward() are" in found


def test_what_was_seen_in_place_of_a_training_is_told(
    run: Run, toy_capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy_capture, "idle", Idle("fit ran, and took no step", "one epoch or more"))
    what, found, _, hint = parts(run("import toyframe\n"))
    assert what == "train.py ended without a training that could be looked at"
    assert found == "fit ran, and took no step"
    assert hint.startswith("one epoch or more; arguments of the script go behind --")
    assert parts(run("import toyframe\n1 / 0\n"))[0] == "train.py raised ZeroDivisionError before it trained anything"


@pytest.mark.parametrize(
    ("call", "code", "found", "hint"),
    [
        ("sys.exit()", 0, "exit code 0", "by itself"),
        ("sys.exit('no data')", 1, "sys.exit('no data')", "by itself"),
        ("import argparse; argparse.ArgumentParser().parse_args(['--no'])", 2, "exit code 2", "-- --epochs 3"),
    ],
)
def test_sys_exit_before_training(run: Run, call: str, code: int, found: str, hint: str) -> None:
    seen = run(f"import sys\n{call}\n" + FIT)
    what, said, numbers, tip = parts(seen)
    assert (seen.outcome, seen.exit_code, seen.script_exit) == ("exited", 3, code)
    assert what == "train.py called sys.exit before it trained anything"
    assert (said, numbers) == (found, {"training steps seen": 0})
    assert hint in tip


def test_sys_exit_in_training_keeps_what_was_measured(run: Run) -> None:
    seen = run("import sys, toyframe\ntoyframe.Model().fit(9, lambda step: step == 4 and sys.exit(7))\n")
    assert (seen.outcome, seen.exit_code, seen.script_exit) == ("exited", 3, 7)
    assert parts(seen)[0] == "train.py called sys.exit after 4 training steps"
    assert seen.observation is not None


def test_exception_before_training(run: Run, home: Path) -> None:
    (home / "helper.py").write_text("def load(path):\n    return open(path)\n")
    text = "import helper\nhelper.load('none.csv')\n" + FIT
    seen = run(text)
    what, found, numbers, hint = parts(seen)
    assert (seen.outcome, seen.exit_code) == ("raised", 3)
    assert what == "train.py raised FileNotFoundError before it trained anything"
    assert found == "train.py:2  helper.load('none.csv')"
    assert numbers == {"training steps seen": 0}
    assert "`python train.py` by itself" in hint
    plain = subprocess.run([sys.executable, "train.py"], capture_output=True, text=True, check=False)
    assert seen.traceback == plain.stderr


def test_exception_in_training_keeps_what_was_measured(run: Run) -> None:
    seen = run("import toyframe\ntoyframe.Model().fit(9, lambda step: 1 / (step - 4))\n")
    what, found, numbers, hint = parts(seen)
    assert (seen.outcome, seen.exit_code) == ("raised", 3)
    assert what == "train.py raised ZeroDivisionError after 4 training steps"
    assert found == "train.py:2  toyframe.Model().fit(9, lambda step: 1 / (step - 4))"
    assert numbers == {"training steps seen": 4}
    assert "report covers" in hint
    assert seen.observation is not None
    assert seen.traceback.endswith("ZeroDivisionError: division by zero\n")
    assert "unvanish/script" not in seen.traceback


def test_exception_after_training_is_never_reached(run: Run) -> None:
    assert run(FIT + "raise RuntimeError\n").outcome == "enough"


def test_chained_exceptions_and_groups_keep_python_s_text(run: Run) -> None:
    seen = run(
        "import json\ntry:\n    import nothing_of_that_name\nexcept ImportError as error:\n"
        "    raise ExceptionGroup('both', [ValueError(1), error]) from error\n"
    )
    plain = subprocess.run([sys.executable, "train.py"], capture_output=True, text=True, check=False)
    assert seen.traceback == plain.stderr


def test_missing_package_names_the_python_to_install_into(run: Run) -> None:
    _, _, _, hint = parts(run("import nothing_of_that_name\n"))
    assert f"{sys.executable} -m pip install nothing_of_that_name" in hint


def test_input_needs_verbose(run: Run) -> None:
    assert "--verbose" in parts(run("raise EOFError\n"))[3]


@pytest.mark.parametrize(
    ("text", "kind", "line", "hint"),
    [
        ("model = 1\nfor _ in range(10):\nmodel += 1\n", "IndentationError", 3, "four spaces"),
        ("print('a'\n", "SyntaxError", 1, "repair that line"),
        ("x = 1\0", "SyntaxError", 1, "repair that line"),
    ],
)
def test_syntax_error_shows_python_s_own_text(run: Run, text: str, kind: str, line: int, hint: str) -> None:
    seen = run(text)
    what, found, numbers, tip = parts(seen)
    assert (seen.outcome, seen.exit_code) == ("syntax", 3)
    assert what == "train.py is not valid Python, so nothing of it ran"
    assert found.startswith(f"{kind}: ")
    assert numbers == {"line": line}
    assert hint in tip
    if "\0" not in text:
        plain = subprocess.run([sys.executable, "train.py"], capture_output=True, text=True, check=False)
        marks = str.maketrans("", "", "^")  # Python underlines less of a file than of a string
        assert seen.traceback.translate(marks).split() == plain.stderr.translate(marks).split()


def test_interrupt_keeps_what_was_measured(run: Run) -> None:
    press = "import os, signal, toyframe\ndef press(step):\n    step == 3 and os.kill(os.getpid(), signal.SIGINT)\n"
    seen = run(press + "toyframe.Model().fit(9, press)\n")
    what, found, numbers, hint = parts(seen)
    assert (seen.outcome, seen.exit_code, seen.traceback) == ("interrupted", 130, "")
    assert what == "train.py was interrupted"
    assert found == "what was measured until then is kept"
    assert numbers == {"training steps seen": 3}
    assert hint == "unvanish check train.py --steps 20 needs fewer steps"
    assert seen.observation is not None


def test_interrupt_that_the_script_catches_is_noticed(run: Run) -> None:
    seen = run(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    import time; time.sleep(5)\n"
        "except KeyboardInterrupt:\n    print('bye')\n"
    )
    assert (seen.outcome, seen.exit_code, seen.observation) == ("interrupted", 130, None)
    assert parts(seen)[1] == "nothing was measured until then"


def test_a_training_that_cannot_be_looked_at(run: Run) -> None:
    error = UnsupportedError("no static graph", found="a subclass", numbers={"layers": 0}, hint="use Sequential")
    seen = run(FIT, error=error)
    assert (seen.outcome, seen.error, seen.exit_code) == ("refused", error, 2)


# --- no script -------------------------------------------------------------------------------------------------------


def refused(path: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        run_script(Path(path), [], {})
    error = caught.value
    assert error.exit_code == 2
    assert error.what
    assert error.found
    assert error.numbers
    assert error.hint
    return error


def test_no_such_script(home: Path) -> None:
    error = refused("trian.py")
    assert error.what == "there is no script 'trian.py'"
    assert error.found == f"in {home}: no Python file"
    assert error.numbers == {"Python files there": 0}
    assert "check the name" in error.hint
    (home / "train.py").touch()
    assert refused("trian.py").hint == "unvanish check train.py"
    assert refused("nowhere/train.py").found == "no folder nowhere"


def test_a_folder_as_script(home: Path) -> None:
    (home / "project").mkdir()
    error = refused("project")
    assert error.what == "'project' is a folder, not a script"
    assert (error.found, error.numbers) == ("it holds no Python file", {"Python files in it": 0})
    assert error.hint == "name the file that trains the model"
    for name in ("a.py", "train.py"):
        (home / "project" / name).touch()
    error = refused("project")
    assert (error.found, error.hint) == ("it holds a.py, train.py", "unvanish check project/train.py")


def test_a_notebook_as_script(home: Path) -> None:
    (home / "train.ipynb").write_text("{}")
    error = refused("train.ipynb")
    assert error.what == "train.ipynb is a notebook, not a script"
    assert "nbconvert --to script train.ipynb" in error.hint


def test_a_script_that_cannot_be_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (home / "train.py").touch()
    monkeypatch.setattr(Path, "read_bytes", denied)
    error = refused("train.py")
    assert error.what == "cannot read the script 'train.py'"
    assert (error.found, error.numbers) == ("Permission denied", {"error number": 13})
    assert error.hint == "check the permissions: ls -l train.py"


def test_os_exit_in_training_keeps_what_was_measured_and_is_put_back(run: Run) -> None:
    before = os._exit
    seen = run("import os, toyframe\ntoyframe.Model().fit(9, lambda step: step == 4 and os._exit(0))\n")
    assert os._exit is before
    assert seen.observation is not None
    assert seen.observation.recording.total_steps == 4


def test_os_exit_before_a_training_is_told(run: Run) -> None:
    seen = run("import os\nos._exit(0)\n")
    assert (seen.outcome, seen.script_exit) == ("exited", 0)
    assert seen.exit_code == 3


def test_os_exit_of_a_forked_child_is_its_own(run: Run) -> None:
    fork = "import os, toyframe\nchild = os.fork()\nif not child:\n    os._exit(7)\n"
    seen = run(fork + "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\ntoyframe.Model().fit(3)\n")
    assert seen.observation is not None
