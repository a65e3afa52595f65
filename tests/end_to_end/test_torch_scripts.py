"""Hand-written PyTorch loops, unmodified, through the command line: the verdicts that the Keras scripts get."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
EXAMPLES = Path(__file__).parents[2] / "examples"


def run_check(folder, script, *arguments):
    """Run `unvanish check` in a folder; return (exit code, standard output, the JSON record or None)."""
    facts = folder / "facts.json"
    done = subprocess.run(
        [sys.executable, "-m", "unvanish", "check", str(script), "--json", str(facts), "-q", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
    )
    record = json.loads(facts.read_text())["record"] if facts.exists() else None
    return done.returncode, done.stdout + done.stderr, record


def finding(record, code):
    (found,) = (f for f in record["findings"] if f["code"] == code)
    return found


@pytest.mark.parametrize("labels", ["learnable", pytest.param("random", marks=pytest.mark.soak)])
def test_the_sick_network_vanishes_as_its_keras_twin_does(tmp_path, labels):
    code, out, record = run_check(tmp_path, EXAMPLES / "torch_sick.py", "--", labels)
    assert (code, record["verdict"]) == (1, "vanishing"), out
    found = finding(record, "GF101")
    assert 1 / found["evidence"]["transmission_per_layer"] == pytest.approx(4.2, rel=0.15, abs=0)
    assert found["evidence"]["saturated_share"] == 0.0
    assert record["observation"]["forecast"]["transmission_per_layer"] == pytest.approx(0.236, rel=0.05, abs=0)
    assert {f["code"] for f in record["findings"] if f["severity"] == "error"} == {"GF101", "GF104", "GF601"}
    assert {record["sites"][name]["line"] for name in ("2", "3", "20")} == {11}
    assert record["observation"]["loss"]["kind"] == "binary_crossentropy"
    assert record["observation"]["loss"]["chance"] == pytest.approx(0.693, rel=1e-2, abs=0)


def test_the_improved_network_is_healthy(tmp_path):
    code, out, record = run_check(tmp_path, EXAMPLES / "torch_improved.py")
    assert (code, record["verdict"]) == (0, "healthy"), out
    growth = finding(record, "GF102")
    assert growth["severity"] == "note"
    assert growth["evidence"]["transmission_per_layer"] == pytest.approx(1.2, rel=0.08, abs=0)


def test_a_recurrent_network_that_explodes_through_time(tmp_path):
    code, out, record = run_check(tmp_path, EXAMPLES / "torch_rnn_exploding.py")
    assert (code, record["verdict"]) == (1, "exploding"), out
    assert finding(record, "GF702")["layers"] == ["rnn"]


def test_a_memory_that_is_too_long_vanishes_with_its_horizon(tmp_path):
    code, out, record = run_check(tmp_path, EXAMPLES / "torch_rnn_memory.py")
    assert (code, record["verdict"]) == (1, "vanishing"), out
    found = re.search(r"carries (\d+) of 100 steps back", finding(record, "GF701")["message"])
    assert 4 <= int(found[1]) <= 16


def test_a_script_that_imports_torch_and_trains_nothing(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import torch\nmodel = torch.nn.Linear(2, 1)\nmodel(torch.ones(3, 2)).sum().backward()\n")
    code, out, record = run_check(tmp_path, script)
    assert (code, record) == (3, None)
    assert "1 backward pass, and no step of an optimizer" in out


def test_a_script_that_raises_in_its_third_step(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\nfrom torch import nn\nmodel = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\nx = torch.randn(8, 2)\n"
        "for step in range(9):\n    optimizer.zero_grad()\n    loss = (model(x) ** 2).mean()\n"
        "    loss.backward()\n    optimizer.step()\n    assert step < 2, 'the third step'\n"
    )
    code, out, record = run_check(tmp_path, script)
    assert code == 3
    assert "AssertionError: the third step" in out
    assert record["observation"]["recording"]["total_steps"] == 3
    assert "unvanish/torch" not in out


@pytest.mark.keras
def test_a_keras_script_that_imports_torch_too_is_keras(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\nimport keras\nimport numpy as np\nx = np.ones((64, 4), 'float32')\n"
        "model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\nmodel.fit(x, x[:, :1], verbose=0)\n"
    )
    _, out, record = run_check(tmp_path, script)
    assert record["observation"]["network"]["framework"].startswith("Keras"), out
