"""Thirty PyTorch runs that train well."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from zoo import torch_networks as net
from zoo.case import Case, opt


class DigitAndParity(nn.Module):
    """Add the losses of both answers."""

    def forward(self, outputs, y):
        digit, odd = outputs
        return F.cross_entropy(digit, y) + 0.5 * F.binary_cross_entropy_with_logits(odd[:, 0], (y % 2).float())


CASES = (
    Case(
        name="torch-dense-relu",
        family="dense",
        task="digits",
        build=net.dense(3, 64),
        optimizer=opt("Adam", 1e-3),
        epochs=20,
    ),
    Case(
        name="torch-dense-tanh-functional",
        family="dense",
        task="digits",
        build=net.functional(6, 64, torch.tanh, net.xavier),
        optimizer=opt("SGD", 0.02, momentum=0.9),
    ),
    Case(
        name="torch-dense-gelu-10",
        family="dense",
        task="digits",
        build=net.functional(10, 64, F.gelu, net.kaiming),
        optimizer=opt("AdamW", 1e-3, weight_decay=0.01),
    ),
    Case(
        name="torch-dense-leaky",
        family="dense",
        task="wine",
        build=net.dense(2, 32, nn.LeakyReLU),
        optimizer=opt("RMSprop", 1e-3),
        batch=8,
        epochs=20,
    ),
    Case(
        name="torch-tiny-parity",
        family="tiny",
        task="parity",
        build=net.dense(2, 16, nn.Tanh, net.xavier),
        optimizer=opt("Adam", 0.02),
        epochs=20,
    ),
    Case(
        name="torch-wide",
        family="wide",
        task="digits",
        build=net.dense(2, 1024),
        optimizer=opt("Adam", 3e-4),
        batch=256,
        epochs=15,
    ),
    Case(
        name="torch-conv",
        family="conv",
        task="digits_images",
        build=net.conv(3, 24),
        optimizer=opt("Adam", 5e-3),
    ),
    Case(
        name="torch-conv-clipped",
        family="conv",
        task="bars",
        build=net.conv(4, 16),
        optimizer=opt("SGD", 0.05, momentum=0.9),
        epochs=25,
        train={"clip": 1.0},
    ),
    Case(
        name="torch-conv-batch-norm",
        family="normalised",
        task="digits_images",
        build=net.conv(4, 16, norm=nn.BatchNorm2d),
        optimizer=opt("SGD", 0.05, momentum=0.9),
    ),
    Case(
        name="torch-conv-group-norm",
        family="normalised",
        task="bars",
        build=net.conv(4, 16, activation=F.silu, norm=lambda width: nn.GroupNorm(4, width)),
        optimizer=opt("AdamW", 5e-3),
        epochs=15,
    ),
    Case(
        name="torch-dense-batch-norm",
        family="normalised",
        task="digits",
        build=net.dense(4, 64, norm=nn.BatchNorm1d),
        optimizer=opt("Adam", 1e-3),
    ),
    Case(
        name="torch-dense-layer-norm",
        family="normalised",
        task="digits",
        build=net.dense(6, 64, nn.GELU, norm=nn.LayerNorm),
        optimizer=opt("Adam", 1e-3),
        batch=64,
        epochs=15,
    ),
    Case(
        name="torch-dense-rms-norm",
        family="normalised",
        task="digits",
        build=net.dense(5, 64, norm=nn.RMSNorm),
        optimizer=opt("AdamW", 2e-3),
        batch=64,
    ),
    Case(
        name="torch-residual-plain",
        family="residual",
        task="digits",
        build=net.residual(6, 48, scale=0.3, before=False),
        optimizer=opt("SGD", 0.02, momentum=0.9),
    ),
    Case(
        name="torch-residual-before",
        family="residual",
        task="digits",
        build=net.residual(12, 48, norm=nn.LayerNorm, scale=0.3),
        optimizer=opt("AdamW", 1e-3),
        batch=64,
    ),
    Case(
        name="torch-residual-zero-branch",
        family="residual",
        task="digits",
        build=net.residual(20, 32, scale=0.0),
        optimizer=opt("Adam", 1e-3),
    ),
    Case(
        name="torch-regression-dropout",
        family="regression",
        task="diabetes",
        build=net.dense(2, 64, dropout=0.1),
        optimizer=opt("Adam", 1e-3, weight_decay=1e-3),
        epochs=20,
    ),
    Case(
        name="torch-regression-adagrad",
        family="regression",
        task="friedman",
        build=net.dense(2, 64, nn.SiLU),
        optimizer=opt("Adagrad", 0.05),
        epochs=40,
    ),
    Case(
        name="torch-binary-accumulated",
        family="binary",
        task="cancer",
        build=net.dense(2, 32),
        optimizer=opt("Adam", 3e-3),
        batch=8,
        train={"accumulate": 4},
    ),
    Case(
        name="torch-lstm",
        family="recurrent",
        task="adding",
        build=net.recurrent(nn.LSTM, 32),
        optimizer=opt("Adam", 1e-2),
        epochs=20,
        train={"clip": 1.0},
    ),
    Case(
        name="torch-gru-text",
        family="recurrent",
        task="text",
        build=net.recurrent(nn.GRU, 32, embed=16),
        optimizer=opt("Adam", 3e-3),
        batch=64,
        epochs=6,
    ),
    Case(
        name="torch-rnn-identity-60",
        family="recurrent",
        task="first_of_60",
        build=net.recurrent(nn.RNN, 32, nonlinearity="relu", init=net.identity_times(1.0)),
        optimizer=opt("Adam", 1e-3),
        epochs=15,
        train={"clip": 1.0},
    ),
    Case(
        name="torch-transformer",
        family="attention",
        task="digits_rows",
        build=net.Transformer,
        optimizer=opt("AdamW", 3e-3),
    ),
    Case(
        name="torch-own-attention",
        family="attention",
        task="text",
        build=net.OwnAttention,
        optimizer=opt("Adam", 3e-3),
        batch=64,
        epochs=8,
    ),
    Case(
        name="torch-autoencoder",
        family="autoencoder",
        task="digits_itself",
        build=net.Autoencoder,
        optimizer=opt("Adam", 2e-3),
        epochs=20,
    ),
    Case(
        name="torch-two-halves",
        family="several inputs and outputs",
        task="digits",
        build=net.TwoHalves,
        optimizer=opt("Adam", 2e-3),
        loss=DigitAndParity,
    ),
    Case(
        name="torch-converged",
        family="converged",
        task="digits",
        build=net.dense(3, 64),
        optimizer=opt("Adam", 1e-3),
        epochs=5,
        train={"pretrained": 80},
    ),
    Case(
        name="torch-noisy-labels",
        family="noisy labels",
        task="digits_noisy",
        build=net.dense(2, 64, dropout=0.3),
        optimizer=opt("Adam", 1e-3),
    ),
    Case(
        name="torch-frozen",
        family="frozen",
        task="digits",
        build=net.frozen_below,
        optimizer=opt("Adam", 1e-3),
    ),
    Case(
        name="torch-bfloat16-autocast",
        family="mixed precision",
        task="digits",
        build=net.dense(3, 64, init=net.kaiming),
        optimizer=opt("AdamW", 1e-3),
        train={"autocast": True},
    ),
)
