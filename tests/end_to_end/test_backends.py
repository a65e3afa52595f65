"""The same verdicts on every backend of Keras, from Python and from a script, and no other backend is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from looking import improved, labelled, sick

import unvanish

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
BACKEND = keras.backend.backend()
ROOT = Path(__file__).parents[2]
quick_elsewhere = pytest.mark.soak if BACKEND == "tensorflow" else pytest.mark.every_backend
"""On TensorFlow test_published has both networks by the command line, test_python_check the sick one from Python."""
HIDE = """
import runpy, sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
hidden = [name for name in ("jax", "tensorflow", "torch") if name != "{backend}"]
PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if name.partition(".")[0] in hidden else find(name, *rest)
)
{code}
print("imported:", [name for name in hidden if name in sys.modules])
"""
LOOK = """
import keras, numpy as np, unvanish

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, "tanh"), keras.layers.Dense(1)])
model.compile("adam", "mse")
r = np.random.default_rng(0)
x = r.random((64, 4))
print("verdict:", unvanish.check(model, x, x.sum(axis=1), steps=5).verdict)
"""


def alone(code: str) -> str:
    """Run the code in a Python that finds no backend but this run's own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", HIDE.format(backend=BACKEND, code=code)],
        env={**os.environ, "KERAS_BACKEND": BACKEND, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@quick_elsewhere
@pytest.mark.parametrize(("make", "verdict"), [(sick, "vanishing"), (improved, "healthy")])
def test_the_tutorials_networks_get_their_verdicts(make, verdict):
    keras.utils.set_random_seed(1)
    diagnosis = unvanish.check(make(), *labelled("teacher"))
    assert diagnosis.verdict == verdict
    assert diagnosis.observation.network.framework == f"Keras {keras.__version__} ({BACKEND})"
    assert diagnosis.observation.profiles[0].unreached == ()


@quick_elsewhere
def test_a_script_gets_its_verdict(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "unvanish", "check", str(ROOT / "examples" / "sick.py")],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": BACKEND, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "VANISHING" in done.stdout
    assert f"({BACKEND})" in done.stdout


def test_no_other_backend_is_imported():
    assert alone(LOOK).splitlines()[-2:] == ["verdict: healthy", "imported: []"]


def test_what_is_hidden_cannot_be_imported():
    other = "torch" if BACKEND == "jax" else "jax"
    tried = f"try:\n    import {other}\n    print('found')\nexcept ImportError:\n    print('hidden')"
    assert alone(tried).splitlines()[-2] == "hidden"
