"""`unvanish watch SCRIPT` on scripts as people write them: to their end, unchanged, recorded."""

import os
import subprocess
import sys

import pytest

import unvanish

FIT = """
import keras, numpy as np
keras.utils.set_random_seed(1)
layers = [keras.layers.Dense(32, activation="sigmoid") for _ in range(8)]
model = keras.Sequential([keras.Input((20,)), *layers, keras.layers.Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy")
rng = np.random.default_rng(0)
x = rng.normal(size=(128, 20)).astype("float32")
model.fit(x, (x[:, :1] > 0).astype("float32"), epochs=2, verbose=0)
print("end", float(np.square(model.get_weights()[0]).sum()))
"""

ELSEWHERE = [] if os.environ["KERAS_BACKEND"] == "tensorflow" else [pytest.mark.soak]
"""Of the other backends the quick suite has the bits in test_watch, and what a replay needs in test_nonfinite."""

LOOP = """
import torch
torch.manual_seed(0)
layers = [part for i in range(8) for part in (torch.nn.Linear(20 if i == 0 else 32, 32), torch.nn.Sigmoid())]
model = torch.nn.Sequential(*layers, torch.nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters())
x = torch.randn(128, 20)
for step in range(8):
    loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x), (x[:, :1] > 0).float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("end", model[0].weight.square().sum().item())
"""


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "100", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(FIT, marks=[pytest.mark.keras, pytest.mark.every_backend, *ELSEWHERE], id="fit"),
        pytest.param(LOOP, marks=pytest.mark.torch, id="loop"),
    ],
)
def test_a_script_is_watched_to_its_end_and_ends_as_it_would_have(script, tmp_path):
    (tmp_path / "train.py").write_text(script)
    alone = run(tmp_path, "train.py")
    done = run(tmp_path, "-m", "unvanish", "watch", "train.py", "--every", "1")
    assert done.returncode == 0, done.stderr
    assert alone.stdout.startswith("end ")
    assert alone.stdout in done.stdout  # to the last digit
    assert "VANISHING  [GF101] the gradient shrinks" in done.stderr
    assert done.stderr.count("GF101") == 1
    found = unvanish.load(tmp_path / ".unvanish" / "train" / "run-1")
    assert found.steps == tuple(range(8))
    assert len(found.layers) == 9
    assert [event.kind for event in found.events if "GF101" in event.text] == ["finding"]
    assert "recording: .unvanish/train/run-1" in done.stdout
    again = run(tmp_path, "-m", "unvanish", "report", ".unvanish/train/run-1")
    assert again.returncode == 0
    assert again.stdout.strip()
    assert again.stdout.strip() in done.stdout


@pytest.mark.torch
@pytest.mark.parametrize(("at", "code", "kept"), [("step == 5", 3, range(5)), ("True", 3, range(0))])
def test_what_was_recorded_before_a_script_failed_is_kept(at, code, kept, tmp_path):
    failing = LOOP.replace("    optimizer.zero_grad()", f"    assert not ({at}), 'no'\n    optimizer.zero_grad()")
    (tmp_path / "train.py").write_text(failing)
    done = run(tmp_path, "-m", "unvanish", "watch", "train.py", "--every", "1")
    assert done.returncode == code
    assert "AssertionError: no" in done.stderr
    runs = list((tmp_path / ".unvanish" / "train").glob("run-*"))
    assert [unvanish.load(folder).steps for folder in runs] == ([tuple(kept)] if len(kept) else [])


@pytest.mark.parametrize(
    ("text", "arguments", "code", "told"),
    [
        ("print('nothing')", [], 3, "ended without a training that could be looked at"),
        ("print('nothing')", ["--every", "0"], 2, "is neither a number of steps"),
        ("print('nothing')", ["--budget", "2"], 2, "not in the range"),
        ("x = (", [], 3, "SyntaxError"),
        (None, [], 2, "train.py"),
    ],
)
def test_what_cannot_be_watched_is_said(text, arguments, code, told, tmp_path):
    if text is not None:
        (tmp_path / "train.py").write_text(text)
    done = run(tmp_path, "-m", "unvanish", "watch", "train.py", *arguments)
    assert done.returncode == code, done.stderr
    assert told in done.stderr


@pytest.mark.torch
@pytest.mark.parametrize(("ending", "code"), [("", 2), ("raise ValueError('no')\n", 3)])
def test_what_could_not_be_recorded_is_said_with_the_steps_that_ran(ending, code, tmp_path):
    (tmp_path / "train.py").write_text(LOOP.replace("step in range(8)", "step in range(300)") + ending)
    (tmp_path / ".unvanish").write_text("in the way")
    done = run(tmp_path, "-m", "unvanish", "watch", "train.py")
    assert done.returncode == code
    assert done.stderr.count("unvanish: nothing can be recorded: ") == 1
    told = done.stderr[done.stderr.rindex("error: train.py") :]
    if ending:
        assert told.startswith("error: train.py raised an error after 300 training steps\n")
    else:
        assert "  found:  [Errno " in told
        assert "  training steps seen: 300\n" in told
    assert "  try:    run it where .unvanish can be made and written" in told


@pytest.mark.torch
def test_a_script_that_fails_between_two_samples_is_said_to_have_taken_all_its_steps(tmp_path):
    (tmp_path / "train.py").write_text(
        LOOP.replace("step in range(8)", "step in range(300)") + "raise ValueError('no')\n"
    )
    done = run(tmp_path, "-m", "unvanish", "watch", "train.py")
    assert "error: train.py raised an error after 300 training steps\n" in done.stderr
    assert unvanish.load(tmp_path / ".unvanish" / "train" / "run-1").total_steps == 300


OWN = FIT.replace(
    "epochs=2, verbose=0)",
    """epochs=2, verbose=0, callbacks=[unvanish.keras.Watch(every=1)])
model.fit(x, x[:, :1], epochs=1, verbose=0)
with unvanish.watch(model, every=2):
    for _ in range(4): model.train_on_batch(x, x[:, :1])
""",
).replace("import keras,", "import keras, unvanish,")


@pytest.mark.keras
def test_what_a_script_watches_itself_is_told_of_and_watched_once(tmp_path):
    (tmp_path / "train.py").write_text(OWN)
    found, alone = run(tmp_path, "-m", "unvanish", "watch", "train.py"), run(tmp_path, "train.py")
    assert found.returncode == 0, found.stderr
    assert "watched already" not in found.stderr
    assert next(line for line in found.stdout.splitlines() if line.startswith("end")) == alone.stdout.strip()
    runs = sorted((tmp_path / ".unvanish").rglob("recording.sqlite"))
    steps = [unvanish.load(path.parent).steps for path in runs]
    assert len(steps) == 5  # three of them watched by the command, two of them by the script alone
    assert [found.stdout.count(f"of {taken} steps") for taken in (8, 4)] == [1, 2]
