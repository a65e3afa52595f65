"""The loops that a script may have on Keras' torch backend."""

import keras
import torch
from loops import STEPS, batch, by_fit, sequential
from torch import nn


def by_backward(loss=None, optimizer=None, model=None):
    """Train as Keras' guide for PyTorch does; loss: called with (y, output)."""
    model = sequential(loss=None) if model is None else model
    model.own_optimizer = optimizer = optimizer or keras.optimizers.Adam()
    loss = loss or keras.losses.BinaryCrossentropy()
    x, y = map(torch.tensor, batch())
    for _ in range(STEPS):
        model.zero_grad()
        optimizer.scale_loss(loss(y, model(x, training=True))).backward()
        variables = list(model.trainable_weights)
        with torch.no_grad():
            optimizer.apply([v.value.grad for v in variables], variables)
    return model


def by_torch_optimizer(loss=None, make=torch.optim.SGD, clip=None, model=None):
    """Train as a loop of PyTorch does; loss: called with (output, y)."""
    model = sequential(loss=None) if model is None else model
    known = keras.losses.BinaryCrossentropy()
    loss = loss or (lambda output, y: known(y, output))
    model.own_optimizer = optimizer = make(model.parameters(), lr=0.01)
    x, y = map(torch.tensor, batch())
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(model(x, training=True), y).backward()
        if clip is not None:
            clip(model.parameters())
        optimizer.step()
    return model


def by_torch_loss():
    return by_torch_optimizer(nn.BCELoss())


def by_a_view_of_the_output():
    return by_torch_optimizer(lambda output, y: nn.functional.binary_cross_entropy(output.squeeze(-1), y[:, 0]))


def by_a_loss_of_its_own():
    def own(output, y):
        return -(y * torch.log(output) + (1 - y) * torch.log(1 - output)).mean()

    return by_torch_optimizer(own)


def by_grad():
    """The gradients are asked for, and nothing is left in the parameters."""
    model = sequential(loss=None)
    model.own_optimizer = optimizer = keras.optimizers.Adam()
    loss = keras.losses.BinaryCrossentropy()
    x, y = map(torch.tensor, batch())
    for _ in range(STEPS):
        value = loss(y, model(x, training=True))
        gradients = torch.autograd.grad(value, [v.value for v in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
    return model


def by_closure():
    """The optimizer runs the pass itself."""
    model, loss = sequential(loss=None), nn.BCELoss()
    model.own_optimizer = optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = map(torch.tensor, batch())

    def closure():
        optimizer.zero_grad()
        value = loss(model(x, training=True), y)
        value.backward()
        return value

    for _ in range(STEPS):
        optimizer.step(closure)
    return model


def by_scaler():
    """A gradient scaler scales the loss, and unscales the gradients."""
    model, loss = sequential(loss=None), nn.BCELoss()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    model.own_optimizer = optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = map(torch.tensor, batch())
    for _ in range(STEPS):
        optimizer.zero_grad()
        scaler.scale(loss(model(x, training=True), y)).backward()
        scaler.step(optimizer)
        scaler.update()
    return model


class OwnStep(keras.Sequential):
    """A train step of its own, with the compiled loss."""

    def train_step(self, data):
        x, y = data
        self.zero_grad()
        loss = self.compute_loss(x, y, self(x, training=True))
        loss.backward()
        variables = self.trainable_variables
        with torch.no_grad():
            self.optimizer.apply([v.value.grad for v in variables], variables)
        return {"mine": loss}


def by_own_step():
    return by_fit(sequential(OwnStep))


LOOPS = {
    "train_step": by_own_step,
    "backward": by_backward,
    "torch.optim": by_torch_optimizer,
    "torch.optim, torch loss": by_torch_loss,
    "a view of the output": by_a_view_of_the_output,
    "torch.optim, loss unknown": by_a_loss_of_its_own,
    "autograd.grad": by_grad,
    "closure": by_closure,
    "gradient scaler": by_scaler,
}
UNPROBED = {"torch.optim, loss unknown"}
"""Loops whose loss only they know."""
BY_SGD = {name for name in LOOPS if "torch" in name} | {"a view of the output", "closure", "gradient scaler"}
"""Loops with torch's own optimizers: its Adam is not Keras' where epsilon tells, its SGD is."""
PATCHED = (
    (torch.autograd, "backward"),
    (torch.autograd, "grad"),
    (torch.amp.GradScaler, "scale"),
    (torch.amp.GradScaler, "step"),
    (nn.functional, "binary_cross_entropy"),
    (nn.utils, "clip_grad_value_"),
    (nn.utils.clip_grad, "_clip_grads_with_norm_"),
)
