"""The table of adapters: by what is imported already, and with the line to type where something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from unvanish.adapters import ADAPTERS, LOOKED_AT, NOT_YET, adapter_of, is_installed, missing_backend
from unvanish.errors import UnsupportedError, UsageError


class Model:
    """Stand in for a framework's model."""


def fake(monkeypatch: pytest.MonkeyPatch, name: str, base: str) -> None:
    module = ModuleType(name)
    setattr(module, base, Model)
    monkeypatch.setitem(sys.modules, name, module)


def test_tables_are_sorted() -> None:
    assert [adapter.framework for adapter in ADAPTERS] == sorted(adapter.framework for adapter in ADAPTERS)
    assert list(NOT_YET) == sorted(NOT_YET)


def test_a_keras_model_goes_to_the_keras_room(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "keras", "Model")
    adapter = adapter_of(Model())
    assert adapter.room == "unvanish.keras"
    room = SimpleNamespace(check="check", describe="describe")
    monkeypatch.setitem(sys.modules, "unvanish.keras.check", room)
    assert (adapter.check, adapter.describe) == ("check", "describe")


def test_a_torch_module_goes_to_the_torch_room_unless_it_is_a_keras_model(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "torch.nn", "Module")
    assert adapter_of(Model()).room == "unvanish.torch"
    fake(monkeypatch, "keras", "Model")
    assert adapter_of(Model()).room == "unvanish.keras"


@pytest.mark.parametrize(("framework", "base", "name"), NOT_YET)
def test_models_of_other_frameworks(monkeypatch: pytest.MonkeyPatch, framework: str, base: str, name: str) -> None:
    fake(monkeypatch, framework, base)
    with pytest.raises(UnsupportedError) as caught:
        adapter_of(Model())
    error = caught.value
    assert error.what == f"this version cannot look at {name} models"
    assert error.found == f"an object of the class {__name__}.Model"
    assert error.numbers == {"looked at": LOOKED_AT}
    assert "Keras 3" in error.hint


def test_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "keras", "Model")
    with pytest.raises(UsageError) as caught:
        adapter_of(list(range(1000)))
    error = caught.value
    assert error.what.startswith("[0, 1, 2,")
    assert error.what.endswith("… is not a model that can be looked at")
    assert len(error.what) < 110
    assert error.found == "an object of the class builtins.list"
    assert error.numbers == {"looked at": LOOKED_AT}
    assert error.hint == "pass a compiled Keras model, or a torch.nn.Module with its loss, as loss=torch.nn.MSELoss()"


def test_a_framework_that_is_half_imported_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", ModuleType("keras"))
    with pytest.raises(UsageError, match="is not a model"):
        adapter_of(Model())


def test_missing_backend_names_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/my env/python")
    error = missing_backend("keras", wanted_by="train.py:1  import keras")
    assert error.what == "Keras is not installed where unvanish runs"
    assert error.found == "no module named 'keras', asked for at train.py:1  import keras"
    assert error.numbers == {"python": "/my env/python"}
    assert error.hint.startswith("'/my env/python' -m pip install \"unvanish[tensorflow]\"; without a GPU ")
    assert '-m pip install "unvanish[torch]"; without a GPU ' in missing_backend("torch").hint
    assert missing_backend("jax").hint.endswith('-m pip install "unvanish[jax]"')


def test_without_any_framework_its_absence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_installed("wave")
    monkeypatch.setattr(sys, "path", [])
    for name in ("keras", "torch", "torch.nn"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(UsageError, match="Keras is not installed"):
        adapter_of([])
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    with pytest.raises(UsageError, match="is not a model"):  # of PyTorch, which is there
        adapter_of([])
    monkeypatch.setitem(sys.modules, "keras", None)  # what Python keeps for "this cannot be imported"
    assert not is_installed("keras")


@pytest.mark.parametrize("path", ["train.py", Path("train.py")])
def test_a_path_is_looked_at_from_the_shell(monkeypatch: pytest.MonkeyPatch, path: str | Path) -> None:
    fake(monkeypatch, "keras", "Model")
    with pytest.raises(UsageError, match="is not a model") as caught:
        adapter_of(path)
    assert caught.value.hint == "a script is looked at from the shell: unvanish check train.py"


def test_no_framework_is_imported() -> None:
    code = (
        "import sys, unvanish.adapters as a\n"
        "try: a.adapter_of([])\nexcept Exception: pass\n"
        "print({'keras', 'tensorflow', 'torch', 'jax', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
