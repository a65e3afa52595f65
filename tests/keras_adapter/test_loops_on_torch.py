"""What loops on Keras' torch backend do besides what those on every backend do."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("for Keras on torch", allow_module_level=True)

import torch
from every_loop import kernels, looked
from loops import batch, sequential
from loops_on_torch import by_backward, by_torch_optimizer
from torch import nn

from unvanish.api import check_script
from unvanish.errors import UnsupportedError
from unvanish.watching.session import Plan

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
L = keras.layers


def raw_gradients(model):
    """Return the norms of the kernels' gradients on the batch, in float64, by an unwatched pass."""
    x, y = map(torch.tensor, batch())
    loss = nn.functional.binary_cross_entropy(model(x, training=True), y)
    found = torch.autograd.grad(loss, [layer.kernel.value for layer in model.layers])
    return [float(torch.linalg.vector_norm(g.double())) for g in found]


def clip_by_norm(parameters):
    nn.utils.clip_grad_norm_(parameters, 1e-3)


def clip_by_value(parameters):
    nn.utils.clip_grad_value_(parameters, 1e-6)


@pytest.mark.parametrize(("clip", "words"), [(clip_by_norm, "norm 0.001"), (clip_by_value, "value 1e-06")])
def test_what_is_read_is_the_gradient_before_the_loop_clipped_it(clip, words):
    expected = raw_gradients(sequential())
    seen = looked(lambda: by_torch_optimizer(clip=clip)).observation
    assert seen.recording.array("gradient_norm")[0] == pytest.approx(expected, rel=1e-5, abs=0)
    assert kernels(seen.profiles[0], "transmission")[1]
    assert seen.optimizer.clipping == words


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.SGD(0.1, clipnorm=1e-3),
        lambda: keras.optimizers.Adam(gradient_accumulation_steps=2),
        lambda: keras.optimizers.SGD(0.1, loss_scale_factor=64.0),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=2.0**10),
    ],
)
def test_what_is_read_is_the_raw_gradient_of_the_unscaled_loss(make):
    expected = raw_gradients(sequential())
    seen = looked(lambda: by_backward(optimizer=make())).observation
    assert seen.recording.array("gradient_norm")[0] == pytest.approx(expected, rel=1e-5, abs=0)
    assert seen.recording.losses[0] == pytest.approx(seen.profiles[0].loss, rel=1e-5, abs=0)
    assert kernels(seen.profiles[0], "transmission")[1]


def test_an_optimizer_of_torch_is_described():
    def adam(parameters, lr):
        return torch.optim.AdamW(parameters, lr=lr, betas=(0.8, 0.99), eps=1e-5)

    found = looked(lambda: by_torch_optimizer(make=adam)).observation.optimizer
    assert (found.name, found.family, found.learning_rate, found.epsilon) == ("AdamW", "adam", 0.01, 1e-5)
    assert (found.beta_1, found.beta_2) == (0.8, 0.99)


@pytest.mark.parametrize(
    ("loss", "kind", "from_logits", "compared"),
    [
        (nn.BCELoss(), "binary_crossentropy", False, True),
        (nn.BCEWithLogitsLoss(), "binary_crossentropy", True, True),
        (nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0])), "binary_crossentropy", True, False),
        (nn.MSELoss(), "mean_squared_error", None, True),
        (nn.L1Loss(reduction="sum"), "mean_absolute_error", None, False),
        (nn.HuberLoss(), "other", None, False),
    ],
)
def test_a_loss_of_torch_is_described(loss, kind, from_logits, compared):
    found = looked(lambda: by_torch_optimizer(loss)).observation
    assert (found.loss.kind, found.loss.from_logits) == (kind, from_logits)
    assert (found.loss.chance is not None) == compared
    assert kernels(found.profiles[0], "transmission")[1]


def test_class_numbers():
    def train():
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((20,)), L.Dense(8, "relu"), L.Dense(3)])
        optimizer, loss = torch.optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss()
        x, y = torch.tensor(batch()[0]), torch.arange(32) % 3
        for _ in range(3):
            optimizer.zero_grad()
            loss(model(x, training=True), y).backward()
            optimizer.step()

    found = looked(train, steps=3).observation
    assert found.loss.kind == "sparse_categorical_crossentropy"
    assert found.loss.chance == pytest.approx(np.log(3), rel=1e-3, abs=0)
    assert (found.data.label_min, found.data.label_max) == (0, 2)
    assert kernels(found.profiles[0], "transmission")[1]


def test_a_penalty_that_the_loop_adds_is_part_of_its_loss():
    def made():
        keras.utils.set_random_seed(1)
        penalty = keras.regularizers.L2(0.01)
        return keras.Sequential([keras.Input((20,)), L.Dense(8, "tanh", kernel_regularizer=penalty), L.Dense(1)])

    def train():
        model, loss = made(), nn.MSELoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x, y = map(torch.tensor, batch())
        (loss(model(x, training=True), y) + sum(model.losses)).backward()
        optimizer.step()

    model = made()
    x, y = batch()
    output = model(x).detach().numpy().astype(np.float64)
    kernel = model.layers[0].kernel.numpy().astype(np.float64)
    expected = np.mean((output - y) ** 2) + 0.01 * np.sum(kernel**2)
    assert looked(train).observation.profiles[0].loss == pytest.approx(expected, rel=1e-5, abs=0)


def test_a_frozen_layer_has_no_gradient():
    def train():
        model = sequential(loss=None)
        model.layers[2].trainable = False
        by_torch_optimizer(nn.BCELoss(), model=model)

    found = looked(train).observation
    assert np.all(np.asarray(found.recording.array("update_norm"))[:, 2] == 0)
    assert np.all(np.asarray(found.recording.array("update_norm"))[:, 1] > 0)
    assert kernels(found.profiles[0], "transmission")[1]


def test_gradients_that_no_pass_gave_are_refused():
    def finite():
        model, optimizer = sequential(), keras.optimizers.SGD(0.1)
        variables = model.trainable_variables
        optimizer.apply([torch.ones(tuple(v.shape)) for v in variables], variables)

    with pytest.raises(UnsupportedError, match="cannot be looked at") as caught:
        looked(finite)
    assert "backward" in str(caught.value)


def test_a_module_of_torch_beside_is_no_training_of_the_model():
    def train():
        model, other = sequential(loss=None), nn.Linear(1, 1)
        optimizer = torch.optim.SGD([*model.parameters(), *other.parameters()], lr=0.1)
        x, y = map(torch.tensor, batch())
        nn.functional.mse_loss(other(model(x, training=True)), y).backward()
        optimizer.step()

    assert looked(train).observation is None


SCRIPT = """
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import torch

keras.utils.set_random_seed(0)
x = torch.tensor(np.random.default_rng(0).normal(size=(256, 32)).astype("float32"))
y = (x[:, :1] > 0).float()
layers = [keras.layers.Dense(32, activation="sigmoid") for _ in range(10)]
model = keras.Sequential([keras.Input((32,)), *layers, keras.layers.Dense(1)])
optimizer, loss = torch.optim.Adam(model.parameters(), 1e-3), torch.nn.BCEWithLogitsLoss()
for start in range(0, 256, 32):
    optimizer.zero_grad()
    loss(model(x[start : start + 32], training=True), y[start : start + 32]).backward()
    optimizer.step()
"""


def test_the_capture_of_pytorch_leaves_the_loop_to_that_of_keras(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)
    run, diagnosis = check_script(tmp_path / "train.py", plan=Plan(steps=8), progress=lambda *_: None)
    assert run.error is None
    assert diagnosis.verdict == "vanishing"
    assert diagnosis.observation.network.framework.startswith("Keras")
    assert diagnosis.observation.recording.total_steps == 8
    assert diagnosis.observation.loss.kind == "binary_crossentropy"
