"""Captures are entered when a framework is completely imported; Keras 2 and missing backends are told apart."""

from __future__ import annotations

import importlib.abc
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from unvanish.errors import UnsupportedError, UsageError
from unvanish.script.gate import Gate
from unvanish.script.imports import ImportHook
from unvanish.script.run import ScriptRun, run_script
from unvanish.watching.session import Enough

Run = Callable[..., ScriptRun]


class Blocker(importlib.abc.MetaPathFinder):
    """Make modules missing, as if they were not installed."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def block(*names: str) -> None:
        monkeypatch.setattr(sys, "meta_path", [Blocker(*names), *sys.meta_path])
        for name in [name for name in sys.modules if name.split(".")[0] in names]:
            monkeypatch.delitem(sys.modules, name)

    return block


def installed(home: Path, name: str, text: str) -> None:
    (home.parent / "site-packages" / f"{name}.py").write_text(text)


class Seen:
    """A capture that only notes when it is entered and left."""

    def __init__(self, log: list[str], modules: Sequence[str] = ()) -> None:
        self.log, self.modules = log, modules
        self.observation: object = None
        self.cost, self.error = None, None
        self.sites: dict[str, object] = {}
        self.suspended = ()
        self.trainer = None
        self.optimizer_site = None
        self.idle = None

    def __enter__(self) -> Seen:
        self.log.append("entered")
        assert all(hasattr(sys.modules[name], "done") for name in self.modules)
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append("left")


def test_hook_survives_a_bare_look_and_leaves_the_loader_alone(home: Path) -> None:
    log: list[str] = []

    @contextmanager
    def around(name: str):
        log.append(f"before {name}")
        yield
        log.append(f"after {name}")

    hook = ImportHook(["toyframe"], around, sys.meta_path)
    sys.meta_path.insert(0, hook)
    try:
        for _ in range(2):
            assert importlib.util.find_spec("toyframe") is not None
        import json.tool  # noqa: F401

        import toyframe
    finally:
        sys.meta_path.remove(hook)
    assert log == ["before toyframe", "after toyframe"]
    assert "exec_module" not in vars(toyframe.__spec__.loader)
    assert hook.find_spec("os") is None


def test_the_capture_waits_for_whatever_imports_the_framework(home: Path) -> None:
    """TensorFlow imports Keras while it is only half imported itself."""
    log: list[str] = []
    installed(
        home,
        "tensorflow",
        "import toyframe\ntoyframe.done = True\nlog.append('half')\ndone = True\n".replace(
            "log", "__import__('builtins').toylog"
        ),
    )
    import builtins

    builtins.toylog = log  # type: ignore[attr-defined]
    known = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "tensorflow"}
    sys.path.insert(0, str(home.parent / "site-packages"))
    try:
        (home / "train.py").write_text("import tensorflow\ntoylog.append('script')\n")
        run_script(Path("train.py"), [], {"toyframe": lambda: Seen(log, ["tensorflow", "toyframe"])})
    finally:
        del builtins.toylog  # type: ignore[attr-defined]
        sys.modules.pop("tensorflow", None)
        sys.modules.update(known)
    assert log == ["half", "entered", "script", "left"]


@pytest.mark.parametrize("kind", ["ImportError", "ValueError"])
def test_a_framework_that_fails_to_import_is_not_entered(run: Run, home: Path, kind: str) -> None:
    installed(home, "toyframe", f"raise {kind}('broken')\n")
    seen = run(f"try:\n    import toyframe\nexcept {kind} as error:\n    raise RuntimeError from error\n")
    assert (seen.outcome, seen.cost) == ("raised", None)
    places = {**os.environ, "PYTHONPATH": str(home.parent / "site-packages")}
    command = [sys.executable, "train.py"]
    plain = subprocess.run(command, capture_output=True, text=True, check=False, env=places)
    assert seen.traceback == plain.stderr


def test_an_error_of_the_capture_stops_the_script(home: Path) -> None:
    error = UnsupportedError("too old", found="Keras 3.0", numbers={"needed": 3.8}, hint="pip install -U keras")

    def refuse() -> Seen:
        raise error

    (home / "train.py").write_text("import toyframe\nopen('after.txt', 'w')\n")
    seen = run_script(Path("train.py"), [], {"toyframe": refuse})
    assert (seen.outcome, seen.error) == ("refused", error)
    assert not (home / "after.txt").exists()


def test_hook_is_gone_and_captures_left_when_the_gate_closes(home: Path) -> None:
    log: list[str] = []
    before = list(sys.meta_path)
    with pytest.raises(Enough), Gate({"toyframe": lambda: Seen(log)}):
        exec("import toyframe\nraise Enough", {"Enough": Enough})
    assert log == ["entered", "left"]
    assert sys.meta_path == before


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_of_two_frameworks_the_one_that_was_trained_is_told(home: Path, order: tuple[str, str]) -> None:
    """A script that trains with one framework may import another: for a plot, for its data, as a backend."""
    captures = {name: Seen([]) for name in order}
    for name in order:
        installed(home, name, "done = True\n")
    with Gate({"first": lambda: captures["first"], "second": lambda: captures["second"]}) as gate:
        exec("".join(f"import {name}\n" for name in order), {})
        assert gate.seen() is captures[order[0]]
        captures["second"].error = UnsupportedError("why it could not be looked at")
        assert gate.seen() is captures["second"]
        captures["first"].observation = "a training"
        assert gate.seen() is captures["first"]
    for name in order:
        del sys.modules[name]


# --- Keras 2, and what is not installed ------------------------------------------------------------------------------


def refusal(seen: ScriptRun) -> UnsupportedError | UsageError:
    assert (seen.outcome, seen.exit_code) == ("refused", 2)
    error = seen.error
    assert isinstance(error, UnsupportedError | UsageError)
    assert error.found
    assert error.numbers
    assert error.hint
    return error


@pytest.mark.parametrize("setting", ["1", None])
def test_keras_2_is_refused_before_it_runs(
    run: Run, home: Path, setting: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    if setting:
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", setting)
    installed(home, "tf_keras", "open('ran.txt', 'w')\n")
    error = refusal(run("try:\n    import tf_keras\nexcept Exception:\n    pass\nopen('after.txt', 'w')\n"))
    assert error.what == "the script uses Keras 2 (the package tf_keras), which this version cannot look at"
    assert error.found == ("TF_USE_LEGACY_KERAS is set" if setting else "an import of tf_keras")
    assert error.numbers == {"TF_USE_LEGACY_KERAS": setting or "not set"}
    assert "unset TF_USE_LEGACY_KERAS" in error.hint
    assert not list(home.glob("*.txt"))


def test_keras_2_that_is_not_installed_is_refused_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "raise ImportError('Your environment has TF_USE_LEGACY_KERAS set to True, but ... tf_keras')\n"
    for setting, found in (("1", "TF_USE_LEGACY_KERAS is set"), ("0", "an import of tf_keras")):
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", setting)
        error = refusal(run(text))
        assert isinstance(error, UnsupportedError)
        assert error.found == found
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    text = "raise ImportError('Keras cannot be imported. Check that it is installed.')\n"  # after a mere warning
    assert isinstance(refusal(run(text)), UnsupportedError)
    assert run("raise ImportError('another')\n").outcome == "raised"


@pytest.mark.parametrize(
    ("text", "module", "name"),
    [
        ("import keras\n", "keras", "Keras"),
        ("from tensorflow.keras.models import Sequential\n", "tensorflow", "TensorFlow"),
        ("raise ModuleNotFoundError('x', name='tensorflow.keras')\n", "keras", "Keras"),
        ("raise ImportError('Keras cannot be imported. Check that it is installed.')\n", "keras", "Keras"),
    ],
)
def test_missing_backend(
    run: Run, blocked: Callable[..., None], text: str, module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    blocked("keras", "tensorflow")
    error = refusal(run(text))
    assert error.what == f"{name} is not installed where unvanish runs"
    assert error.found == f"no module named {module!r}, asked for at train.py:1  {text.strip()}"
    assert error.numbers == {"python": sys.executable}
    assert error.hint.startswith(f'{sys.executable} -m pip install "unvanish[tensorflow]"; without a GPU ')
    assert '"unvanish[tensorflow-cpu]"' in error.hint


def test_a_wrong_name_in_a_backend_is_the_script_s_own_error(run: Run, home: Path) -> None:
    (home / "keras").mkdir()
    (home / "keras" / "__init__.py").touch()
    installed(home, "keras", "")
    for text in ("from keras import nothing_of_that_name", "import keras.nothing_of_that_name"):
        assert run(text).outcome == "raised"
    assert run("raise ModuleNotFoundError('x', name='tensorflow.keras.nothing')").outcome == "raised"


def test_a_script_that_does_without_the_backend_goes_on(run: Run, blocked: Callable[..., None]) -> None:
    blocked("keras")
    assert (
        run("try:\n    import keras\nexcept ImportError:\n    import toyframe\ntoyframe.Model().fit()\n").error is None
    )


def test_another_keras_backend_that_is_missing(
    run: Run, blocked: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked("jax")
    assert run("import jax\n").outcome == "raised"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    error = refusal(run("import jax\n"))
    assert error.what == "JAX is not installed where unvanish runs"
    assert error.found == "no module named 'jax', asked for at train.py:1  import jax"
    assert error.hint == f'{sys.executable} -m pip install "unvanish[jax]"'


def test_a_missing_pytorch_is_told_with_its_light_build(run: Run, blocked: Callable[..., None]) -> None:
    blocked("torch")
    error = refusal(run("import torch.nn as nn\n"))
    assert error.what == "PyTorch is not installed where unvanish runs"
    assert error.found == "no module named 'torch', asked for at train.py:1  import torch.nn as nn"
    assert error.hint.startswith(f'{sys.executable} -m pip install "unvanish[torch]"; without a GPU ')
    assert "the CPU build" in error.hint
