"""A framework of ten lines and a capture for it, so that scripts can be run without TensorFlow."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Cost, Site
from unvanish.core.network import Layer, Network, WeightStats
from unvanish.core.observation import DataInfo, LossInfo, Observation, OptimizerInfo
from unvanish.core.profile import LayerProfile, Profile
from unvanish.core.recording import LAYER_STATS, Recording
from unvanish.errors import UnvanishError
from unvanish.script.run import ScriptRun, run_script
from unvanish.watching.session import Enough, Idle
from unvanish.watching.sites import first_frame_of, site_of

TOYFRAME = """
class Layer:
    def __init__(self, name):
        self.name = name

class Model:
    def fit(self, steps=3, each=None):
        for step in range(steps):
            if each is not None:
                each(step)
        return "fitted"
"""


def observed(steps: int) -> Observation:
    """Return the observation of a network with one layer after so many steps."""
    stats = WeightStats(mean=0.0, variance=1.0, size=4)
    return Observation(
        network=Network(
            name="toy",
            framework="toyframe",
            layers=(Layer(name="dense", kind="dense", type="Dense", fan_in=2, fan_out=2, kernel=stats),),
            outputs=("dense",),
        ),
        profiles=(
            Profile(step=0, batches=1, batch_size=4, loss=0.7, dtype="float32", layers=(LayerProfile(name="dense"),)),
        ),
        recording=Recording(
            layers=("dense",),
            sizes=(4,),
            steps=tuple(range(steps)),
            losses=(0.7,) * steps,
            rows=dict.fromkeys(LAYER_STATS, ((1.0,),) * steps),
            total_steps=steps,
        ),
        optimizer=OptimizerInfo(name="SGD", family="sgd", learning_rate=0.1),
        loss=LossInfo(kind="mean_squared_error"),
        data=DataInfo(samples=8),
    )


class ToyCapture:
    """Watch toyframe as the real captures watch their frameworks."""

    entered = 0
    idle: Idle | None = None

    def __init__(self, script: Path, error: UnvanishError | None = None) -> None:
        self.script, self.error = script, error
        self.observation: Observation | None = None
        self.sites: dict[str, Site] = {}
        self.cost: Cost | None = Cost(total_seconds=0.0, added_seconds=0.0)
        self.suspended: tuple[str, ...] = ("ModelCheckpoint",)
        self.trainer = None
        self.optimizer_site = None
        self._before: dict[str, Any] = {}

    def __enter__(self) -> Self:
        type(self).entered += 1
        toyframe: Any = sys.modules["toyframe"]
        self._toyframe, self._before = toyframe, {"fit": toyframe.Model.fit, "make": toyframe.Layer.__init__}

        def make(layer: Any, name: str) -> None:
            self._before["make"](layer, name)
            found = first_frame_of(self.script)
            if found is not None:
                self.sites[name] = site_of(*found)

        def fit(model: Any, steps: int = 3, each: Callable[[int], None] | None = None) -> None:
            if self.error is not None:
                raise Enough

            def step(number: int) -> None:
                self.observation = observed(number)
                if each is not None:
                    each(number)
                self.observation = observed(number + 1)

            self._before["fit"](model, steps, step)
            raise Enough

        toyframe.Model.fit, toyframe.Layer.__init__ = fit, make
        return self

    def __exit__(self, *_: object) -> None:
        self._toyframe.Model.fit, self._toyframe.Layer.__init__ = self._before["fit"], self._before["make"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder that is the working directory, with toyframe installed elsewhere."""
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "toyframe.py").write_text(TOYFRAME)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path, str(installed)])
    monkeypatch.setattr(ToyCapture, "entered", 0)
    sys.modules.pop("toyframe", None)
    yield folder
    sys.modules.pop("toyframe", None)


@pytest.fixture
def run(home: Path) -> Callable[..., ScriptRun]:
    """Return a function that writes a script and runs it under the toy capture."""

    def run_text(
        text: str, *argv: str, name: str = "train.py", error: UnvanishError | None = None, newline: str = "\n"
    ) -> ScriptRun:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline=newline)
        absolute = path.absolute()
        return run_script(path, argv, {"toyframe": lambda: ToyCapture(absolute, error)})

    return run_text


@pytest.fixture
def ended_run() -> ScriptRun:
    """Return a run that saw enough."""
    return replace(ScriptRun(script=Path("train.py"), outcome="enough"), observation=observed(3))


@pytest.fixture
def toy_capture() -> type[ToyCapture]:
    """Return the capture of toyframe."""
    return ToyCapture


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """Return a device that is always full; one of our own where that can be made: broken code could replace it."""
    device = tmp_path / "full"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        device.open("wb").close()
    except OSError:
        device = Path("/dev/full")
    if not device.exists():
        pytest.skip("this system has no full device")
    return device
