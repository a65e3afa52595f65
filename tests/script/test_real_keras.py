"""Real scripts on the real Keras, each in its own process: few, because TensorFlow takes seconds to import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unvanish.core import document
from unvanish.core.diagnosis import Diagnosis

pytestmark = pytest.mark.keras

COMMAND = (sys.executable, "-m", "unvanish", "check")

MODEL = """
import numpy as np
import keras
x = np.random.default_rng(0).random((256, 4)).astype("float32")
y = (x[:, :1] > 0.5).astype("float32")
model = keras.Sequential([keras.Input((4,))])
for _ in range(3):
    model.add(keras.layers.Dense(8, activation="tanh"))
model.add(keras.layers.Dense(1, activation="sigmoid"))
model.compile(optimizer="sgd", loss="binary_crossentropy")
"""


def check(script: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, str(script), *options],
        cwd=script.parent,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1", **environment},
    )


def test_a_script_with_everything(tmp_path: Path) -> None:
    """tensorflow.keras, a neighbour, argparse, a guard, another folder, callbacks that write, a unicode path."""
    folder = tmp_path / "dönnées"
    folder.mkdir()
    (folder / "netz.py").write_text(
        "from tensorflow.keras import Sequential\nfrom tensorflow.keras.layers import Dense, Input\n"
        "def build(width):\n    return Sequential([\n        Input((4,)),\n        Dense(width, activation='tanh'),\n"
        "        Dense(width, activation='tanh'),\n        Dense(1, activation='sigmoid')])\n",
        encoding="utf-8",
    )
    script = folder / "träin.py"
    script.write_text(
        "import argparse, os, random\nimport numpy as np\nimport tensorflow as tf\nfrom netz import build\n"
        "def main():\n    parser = argparse.ArgumentParser()\n    parser.add_argument('--width', type=int)\n"
        "    width = parser.parse_args().width\n    os.makedirs('sub'); os.chdir('sub')\n"
        "    print('ready to train')\n"
        "    x = np.random.default_rng(0).random((256, 4)); y = (x[:, 0] > .5).astype(int)\n"
        "    model = build(width)\n    model.compile('adam', 'binary_crossentropy')\n"
        "    model.fit(x, y, epochs=2, callbacks=[tf.keras.callbacks.ModelCheckpoint('best.keras')])\n"
        "    open('after.txt', 'w').close()\n"
        "if __name__ == '__main__':\n    main()\n",
        encoding="utf-8",
    )
    done = check(script, "--json", "facts.json", "--", "--width", "8")
    assert done.returncode in (0, 1), done.stderr
    seen = document.decode((folder / "facts.json").read_bytes(), Diagnosis)
    assert [layer.units for layer in seen.network.kernels] == [8, 8, 1]
    assert seen.recording.total_steps == 16
    assert seen.title == "träin.py"
    assert sorted((site.file, site.line) for site in seen.sites.values() if "Dense" in site.text) == [
        ("netz.py", 6),
        ("netz.py", 7),
        ("netz.py", 8),
    ]
    assert seen.cost is not None
    assert 0 < seen.cost.added_seconds < seen.cost.total_seconds
    assert list((folder / "sub").iterdir()) == []
    assert "not run, because they write files: ModelCheckpoint" in done.stderr
    assert "ready to train" not in done.stdout + done.stderr
    assert "ready to train" in (folder / ".unvanish" / "träin" / "output.txt").read_text(encoding="utf-8")
    assert (folder / ".unvanish" / "träin" / "report.html").is_file()


def test_an_exception_in_fit_keeps_what_was_measured(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    text = MODEL + (
        "class Breaks(keras.callbacks.Callback):\n    def on_epoch_end(self, epoch, logs=None):\n"
        "        if epoch == 2:\n            raise ValueError('the disk of the script is full')\n"
        "model.fit(x, y, epochs=9, callbacks=[Breaks()], verbose=0)\n"
    )
    script.write_text(text)
    done = check(script, "-q", "--json", "facts.json")
    assert done.returncode == 3
    seen = document.decode((tmp_path / "facts.json").read_bytes(), Diagnosis)
    assert seen.recording.total_steps == 24
    last_line = len(text.splitlines())
    assert f'  File "{script}", line {last_line}, in <module>\n    model.fit(x, y' in done.stderr
    assert "\nValueError: the disk of the script is full\n" in done.stderr
    assert f"{os.sep}unvanish{os.sep}" not in done.stderr.split("\nerror: ")[0]
    assert "error: train.py raised ValueError after 24 training steps\n  found:  train.py:" in done.stderr
    assert seen.sentence.split()[0] in done.stdout


def test_ctrl_c_in_fit_keeps_what_was_measured(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        MODEL
        + "import time\nclass Slow(keras.callbacks.Callback):\n    def on_train_batch_end(self, batch, logs=None):\n"
        "        if batch == 5:\n            open('ready', 'w').close()\n            time.sleep(60)\n"
        "model.fit(x, y, epochs=9, callbacks=[Slow()], verbose=0)\n"
    )
    process = subprocess.Popen(
        [*COMMAND, "train.py", "-q", "--json", "facts.json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell may ignore it
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    seen = document.decode((tmp_path / "facts.json").read_bytes(), Diagnosis)
    assert 5 <= seen.recording.total_steps <= 6
    assert "error: train.py was interrupted\n  found:  what was measured until then is kept\n" in err


def test_keras_2_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("import tensorflow as tf\nmodel = tf.keras.Sequential()\n")
    done = check(script, "-q", TF_USE_LEGACY_KERAS="1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-4:] == [
        "error: the script uses Keras 2 (the package tf_keras), which this version cannot look at",
        "  found:  TF_USE_LEGACY_KERAS is set",
        "  TF_USE_LEGACY_KERAS: 1",
        "  try:    unset TF_USE_LEGACY_KERAS (and any line of the script that sets it), and run the script on Keras 3",
    ]
