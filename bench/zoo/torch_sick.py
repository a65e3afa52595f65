"""Thirty PyTorch runs with a planted disease, each beside its cured twin."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from zoo import torch_networks as net
from zoo.case import Case, opt

EXPLODING, VANISHING, SATURATED, DEAD = "exploding", "vanishing", "saturated", "dead"
BLOCKED, NONFINITE, STEP, WARNED = "blocked", "nonfinite", "untrainable-step", "healthy"


class Changed:
    """Build a network and change it in place: what plants most of the faults."""

    def __init__(self, build, change):
        self.build, self.change = build, change

    def __call__(self, task):
        model = self.build(task)
        with torch.no_grad():
            self.change(model)
        return model


def kernels(model):
    return [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]


def constant(model):
    for layer in kernels(model):
        layer.weight.fill_(0.05)
        layer.bias.zero_()


def zeros(model):
    for p in model.parameters():
        p.zero_()


def low_biases(model):
    for layer in kernels(model)[:-1]:
        layer.bias.fill_(-6.0)


class Cut(nn.Module):
    """Two parts; cut: the second one is given the first one's output without its history."""

    def __init__(self, task, cut):
        super().__init__()
        self.below = nn.Sequential(nn.Linear(net.features(task), 64), nn.ReLU(), nn.Linear(64, 4), nn.Tanh())
        self.above = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, net.units(task)))
        self.cut = cut

    def forward(self, x):
        h = self.below(x)
        return self.above(h.detach() if self.cut else h)


class Signs(nn.Module):
    """Round the activations of a narrow layer to signs: their derivative is zero everywhere."""

    def forward(self, x):
        return torch.sign(x)


class Times(nn.Module):
    """Multiply by a constant."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return self.scale * x


def scaled_inside(scale):
    """Return a builder of a tanh stack with a constant factor between its third and its fourth layer."""

    def build(task):
        model = net.dense(6, 64, nn.Tanh, net.xavier)(task)
        return nn.Sequential(*model[:6], Times(scale), *model[6:])

    return build


class Ending(nn.Module):
    """A network with one more function at its end."""

    def __init__(self, network, end):
        super().__init__()
        self.network, self.end = network, end

    def forward(self, x):
        return self.end(self.network(x))


class LogOfZero(nn.Module):
    """Take the logarithm of shares that a relu made: of zero, where it is closed."""

    def forward(self, outputs, y):
        shares = F.relu(outputs)
        return -torch.log(shares / shares.sum(dim=1, keepdim=True))[torch.arange(len(y)), y].mean()


class SmallLoss(nn.CrossEntropyLoss):
    """Scale the loss so far down that half precision cannot hold its gradients, though the step makes up for it."""

    def forward(self, outputs, y):
        return super().forward(outputs, y) * 1e-6


def all_but_the_cell(model):
    return model.out.parameters()


def exponential(x):
    return torch.exp(x)


CASES = (
    # vanishing
    Case(
        name="torch-sigmoid-10",
        family="dense",
        task="digits",
        build=net.dense(10, 64, nn.Sigmoid),
        optimizer=opt("Adam", 1e-3),
        root=VANISHING,
        codes=("GF101", "GF601"),
        cured={"build": net.dense(10, 64, nn.Tanh, net.xavier)},
    ),
    Case(
        name="torch-default-tanh-20",
        family="dense",
        task="digits",
        build=net.functional(20, 64, torch.tanh),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        epochs=20,
        root=VANISHING,
        codes=("GF101", "GF104", "GF601"),
        cured={"build": net.functional(20, 64, torch.tanh, net.xavier)},
    ),
    Case(
        name="torch-default-relu-12",
        family="dense",
        task="digits",
        build=net.dense(12, 64),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        epochs=15,
        root=VANISHING,
        codes=("GF101", "GF104", "GF601"),
        cured={"build": net.dense(12, 64, init=net.kaiming)},
    ),
    Case(
        name="torch-conv-sigmoid-8",
        family="conv",
        task="bars",
        build=net.conv(8, 12, activation=torch.sigmoid, init=None),
        optimizer=opt("Adam", 3e-3),
        root=VANISHING,
        codes=("GF101", "GF104", "GF601"),
        cured={"build": net.conv(8, 12)},
    ),
    Case(
        name="torch-scaled-down-inside",
        family="dense",
        task="digits",
        build=scaled_inside(1e-4),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        root=VANISHING,
        codes=("GF103", "GF104"),
        cured={"build": scaled_inside(1.0)},
    ),
    Case(
        name="torch-rnn-forgets",
        family="recurrent",
        task="first_of_60",
        build=net.recurrent(nn.RNN, 32),
        optimizer=opt("Adam", 1e-3),
        epochs=15,
        train={"clip": 1.0},
        root=VANISHING,
        codes=("GF701",),
        cured={"build": net.recurrent(nn.RNN, 32, nonlinearity="relu", init=net.identity_times(1.0))},
    ),
    Case(
        name="torch-rnn-weak-recurrence",
        family="recurrent",
        task="first_of_60",
        build=net.recurrent(nn.RNN, 32, nonlinearity="relu", init=net.identity_times(0.5)),
        optimizer=opt("Adam", 1e-3),
        epochs=15,
        train={"clip": 1.0},
        root=VANISHING,
        codes=("GF701",),
        cured={"build": net.recurrent(nn.RNN, 32, nonlinearity="relu", init=net.identity_times(1.0))},
    ),
    # exploding
    Case(
        name="torch-large-init",
        family="dense",
        task="digits",
        build=net.dense(10, 64, init=lambda m: net.kaiming(m, 3.0)),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        root=EXPLODING,
        accept=(NONFINITE,),
        codes=("GF102", "GF105", "GF602"),
        cured={"build": net.dense(10, 64, init=net.kaiming)},
    ),
    Case(
        name="torch-batch-norm-50",
        family="normalised",
        task="digits",
        build=lambda task: net.Normalised(task, 50, 48, skips=False),
        optimizer=opt("SGD", 0.02, momentum=0.9),
        batch=64,
        epochs=20,
        root=EXPLODING,
        codes=("GF102",),
        cured={"build": lambda task: net.Normalised(task, 50, 48, skips=True)},
    ),
    Case(
        name="torch-residual-unscaled",
        family="residual",
        task="digits",
        build=net.residual(30, 48),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        root=EXPLODING,
        accept=(NONFINITE,),
        codes=("GF105", "GF102", "GF602"),
        cured={"build": net.residual(30, 48, scale=0.1)},
    ),
    Case(
        name="torch-rnn-explodes",
        family="recurrent",
        task="first_of_60",
        build=net.recurrent(nn.RNN, 32, nonlinearity="relu", init=net.identity_times(2.5)),
        optimizer=opt("Adam", 1e-3),
        epochs=15,
        root=EXPLODING,
        accept=(NONFINITE,),
        codes=("GF702",),
        cured={"build": net.recurrent(nn.RNN, 32, nonlinearity="relu", init=net.identity_times(1.0))},
    ),
    # saturated and dead
    Case(
        name="torch-sigmoid-raw-inputs",
        family="binary",
        task="cancer_raw",
        build=net.dense(2, 32, nn.Sigmoid),
        optimizer=opt("SGD", 0.1, momentum=0.9),
        epochs=20,
        root=SATURATED,
        codes=("GF201", "GF902"),
        cured={"task": "cancer"},
    ),
    Case(
        name="torch-tanh-huge-weights",
        family="dense",
        task="digits",
        build=net.dense(3, 64, nn.Tanh, lambda m: net.xavier(m, 30.0)),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        root=SATURATED,
        accept=(EXPLODING,),
        codes=("GF201", "GF602"),
        cured={"build": net.dense(3, 64, nn.Tanh, net.xavier)},
    ),
    Case(
        name="torch-relu-low-biases",
        family="dense",
        task="digits",
        build=Changed(net.dense(3, 64, init=net.kaiming), low_biases),
        optimizer=opt("SGD", 0.05, momentum=0.9),
        root=DEAD,
        accept=(BLOCKED,),
        codes=("GF202",),
        cured={"build": net.dense(3, 64, init=net.kaiming)},
    ),
    # the step
    Case(
        name="torch-rate-tiny",
        family="dense",
        task="digits",
        build=net.dense(3, 64),
        optimizer=opt("Adam", 1e-7),
        root=STEP,
        codes=("GF301",),
        cured={"optimizer": opt("Adam", 1e-3)},
    ),
    Case(
        name="torch-rate-huge",
        family="conv",
        task="digits_images",
        build=net.conv(3, 24),
        optimizer=opt("Adam", 3.0),
        root=STEP,
        accept=(DEAD, NONFINITE, EXPLODING),
        codes=("GF302",),
        cured={"optimizer": opt("Adam", 5e-3)},
    ),
    # not finite
    Case(
        name="torch-log-of-zero",
        family="dense",
        task="digits",
        build=net.dense(2, 64),
        optimizer=opt("Adam", 1e-3),
        loss=LogOfZero,
        root=NONFINITE,
        codes=("GF401",),
        cured={"loss": None},
    ),
    Case(
        name="torch-exp-overflows",
        family="regression",
        task="friedman",
        build=net.functional(4, 64, exponential, net.kaiming),
        optimizer=opt("Adam", 1e-3),
        root=NONFINITE,
        accept=(EXPLODING,),
        codes=("GF401", "GF105"),
        cured={"build": net.functional(4, 64, F.elu, net.kaiming)},
    ),
    # blocked
    Case(
        name="torch-detached",
        family="dense",
        task="digits",
        build=lambda task: Cut(task, cut=True),
        optimizer=opt("Adam", 3e-3),
        epochs=20,
        root=BLOCKED,
        codes=("GF501",),
        cured={"build": lambda task: Cut(task, cut=False)},
    ),
    Case(
        name="torch-all-zero",
        family="conv",
        task="digits_images",
        build=Changed(net.conv(3, 24), zeros),
        optimizer=opt("Adam", 5e-3),
        root=BLOCKED,
        accept=(DEAD,),
        codes=("GF502", "GF603"),
        cured={"build": net.conv(3, 24)},
    ),
    Case(
        name="torch-signs",
        family="dense",
        task="digits",
        build=lambda task: nn.Sequential(net.dense(1, 64, nn.ReLU)(task)[:2], nn.Linear(64, 6), Signs(), nn.Linear(6, 10)),
        optimizer=opt("Adam", 3e-3),
        epochs=20,
        root=BLOCKED,
        codes=("GF502",),
        cured={
            "build": lambda task: nn.Sequential(
                net.dense(1, 64, nn.ReLU)(task)[:2], nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 10)
            )
        },
    ),
    Case(
        name="torch-constant-init",
        family="dense",
        task="digits",
        build=Changed(net.dense(2, 64), constant),
        optimizer=opt("SGD", 0.1, momentum=0.9),
        root=BLOCKED,
        codes=("GF603",),
        cured={"build": net.dense(2, 64)},
    ),
    Case(
        name="torch-softmax-of-one",
        family="binary",
        task="cancer",
        build=lambda task: Ending(net.dense(2, 32)(task), nn.Softmax(dim=1)),
        optimizer=opt("Adam", 3e-3),
        loss=nn.BCELoss,
        train={"probabilities": True},
        root=BLOCKED,
        codes=("GF904", "GF502"),
        cured={"build": lambda task: Ending(net.dense(2, 32)(task), nn.Sigmoid())},
    ),
    # warned of
    Case(
        name="torch-cell-not-optimised",
        family="recurrent",
        task="adding",
        build=net.recurrent(nn.LSTM, 32),
        optimizer=opt("Adam", 1e-2),
        epochs=20,
        train={"clip": 1.0, "optimised": all_but_the_cell},
        root=WARNED,
        codes=("GF503",),
        cured={"train": {"clip": 1.0}},
    ),
    Case(
        name="torch-random-labels",
        family="noisy labels",
        task="digits_random",
        build=net.dense(3, 64),
        optimizer=opt("Adam", 1e-3),
        epochs=20,
        root=WARNED,
        codes=("GF901",),
        cured={"task": "digits"},
    ),
    Case(
        name="torch-softmax-twice",
        family="conv",
        task="digits_images",
        build=lambda task: Ending(net.conv(3, 24)(task), nn.Softmax(dim=1)),
        optimizer=opt("SGD", 0.02, momentum=0.9),
        epochs=8,
        root=WARNED,
        accept=(STEP,),
        codes=("GF904",),
        cured={"build": net.conv(3, 24)},
    ),
    Case(
        name="torch-scales-apart",
        family="regression",
        task="friedman_spread",
        build=net.dense(2, 64, nn.Tanh),
        optimizer=opt("Adam", 3e-3),
        root=WARNED,
        accept=(SATURATED,),
        codes=("GF902",),
        cured={"task": "friedman"},
    ),
    Case(
        name="torch-bfloat16-weights",
        family="mixed precision",
        task="digits",
        build=net.dense(3, 64, init=net.kaiming),
        optimizer=opt("SGD", 2e-3),
        batch=16,
        epochs=50,
        train={"dtype": torch.bfloat16},
        root=WARNED,
        accept=(STEP,),
        codes=("GF305", "GF301"),
        cured={"train": {}},
    ),
    Case(
        name="torch-float16-underflow",
        family="mixed precision",
        task="digits",
        build=net.dense(3, 64, init=net.kaiming),
        optimizer=opt("SGD", 1e4, momentum=0.9),
        loss=SmallLoss,
        train={"dtype": torch.float16},
        root=WARNED,
        accept=(BLOCKED, VANISHING, STEP),
        codes=("GF402", "GF502"),
        cured={"train": {}},
    ),
    Case(
        name="torch-statistics-lag",
        family="normalised",
        task="digits",
        build=net.dense(4, 64, norm=lambda width: nn.BatchNorm1d(width, momentum=1e-3)),
        optimizer=opt("Adam", 1e-3),
        epochs=6,
        root=WARNED,
        codes=("GF905",),
        cured={"build": net.dense(4, 64, norm=nn.BatchNorm1d)},
    ),
)
