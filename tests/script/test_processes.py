"""Real processes without a framework: Ctrl-C, a script that exits, a script's own child, all through the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "unvanish", "check")


def check(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(text)
    return subprocess.run([*COMMAND, "train.py", *options], cwd=folder, capture_output=True, text=True, check=False)


def interrupted(tmp_path: Path, text: str, number: int) -> tuple[int, str, str]:
    """Run the script, send the signal when it has written a file `ready`, and return (exit code, stdout, stderr)."""
    (tmp_path / "train.py").write_text(text)
    process = subprocess.Popen(
        [*COMMAND, "train.py", "-q"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell may ignore it
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_ctrl_c_and_what_ends_a_process_otherwise(tmp_path: Path, number: int, code: int) -> None:
    text = "import time\nopen('ready', 'w').close()\nprint('waiting')\ntime.sleep(60)\n"
    status, out, err = interrupted(tmp_path, text, number)
    assert (status, out) == (code, "")
    assert "  | waiting\n" in err
    assert err.endswith(
        "error: train.py was interrupted\n  found:  nothing was measured until then\n"
        "  training steps seen: 0\n  try:    unvanish check train.py --steps 20 needs fewer steps\n"
    )


FORKING = """
import os, signal, time
child = os.fork()
if not child:
    time.sleep(60)
os.kill(child, signal.SIGTERM)
print("ended by", os.waitpid(child, 0)[1])
"""


def test_a_process_that_the_script_forks_ends_by_sigterm_as_ever(tmp_path: Path) -> None:
    done = check(tmp_path, FORKING, "-v")
    assert (done.returncode, f"ended by {int(signal.SIGTERM)}\n" in done.stderr) == (3, True)


def test_ctrl_c_before_a_cure_has_begun_names_no_option_that_cure_has_otherwise(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("raise KeyboardInterrupt\n")
    command = [*COMMAND[:-1], "cure", "train.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.endswith(
        "  try:    trials begin when the script calls fit: Ctrl-C from then on keeps what was measured\n"
    )
    (tmp_path / "train.py").write_text("import sys\nsys.exit(2)\n")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "unvanish cure train.py -- --epochs 3" in done.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_what_the_script_writes(tmp_path: Path, verbose: bool) -> None:
    text = "import os, sys\nprint('on stdout')\nos.system('echo from a child')\nsys.exit('no data')\n"
    done = check(tmp_path, text, *(["-v"] if verbose else []))
    assert (done.returncode, done.stdout) == (3, "")
    assert ("on stdout\nfrom a child\n" in done.stderr) is verbose
    assert ("  | on stdout\n  | from a child\n" in done.stderr) is not verbose
    assert "error: train.py called sys.exit before it trained anything\n  found:  sys.exit('no data')\n" in done.stderr
    assert (tmp_path / ".unvanish" / "train" / "output.txt").exists() is not verbose


def test_missing_backend(tmp_path: Path) -> None:
    """As on a machine without TensorFlow: a finder that finds nothing of that name."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nclass Blocker:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('keras', 'tensorflow'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
    )
    (tmp_path / "train.py").write_text("\nimport keras\n")
    done = subprocess.run(
        [*COMMAND, "train.py", "-q"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), *filter(None, sys.path)))},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: Keras is not installed where unvanish runs",
        "  found:  no module named 'keras', asked for at train.py:2  import keras",
        f"  python: {sys.executable}",
        f'  try:    {sys.executable} -m pip install "unvanish[tensorflow]"; without a GPU "unvanish[tensorflow-cpu]" '
        "is half as large (Linux x86-64)",
    ]


def test_syntax_error_and_traceback_are_python_s_own(tmp_path: Path) -> None:
    done = check(tmp_path, "for _ in range(10):\nprint()\n", "-q")
    assert done.returncode == 3
    assert f'  File "{tmp_path}/train.py", line 2\n    print()\n' in done.stderr
    assert "IndentationError: expected an indented block after 'for' statement on line 1\n\nerror: " in done.stderr
    done = check(tmp_path, "def f():\n    1 / 0\nf()\n", "-q")
    plain = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith(f"{plain.stderr}\nerror: train.py raised ZeroDivisionError")


def test_what_a_script_leaves_behind(tmp_path: Path) -> None:
    text = (
        "import atexit, threading, time\natexit.register(print, 'bye', flush=True)\nprint('hello')\n"
        "threading.Thread(target=time.sleep, args=(SECONDS,)).start()\n"
    )
    for seconds in ("0", "600"):
        done = check(tmp_path, text.replace("SECONDS", seconds), "-q")
        assert (done.returncode, done.stdout) == (3, "")
        assert "bye" not in done.stderr
