"""Train one PyTorch run with the loop that people write by hand."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

import unvanish
from unvanish import Diagnosis
from zoo.case import Case
from zoo.tasks import BINARY, NUMBERS, signed

LOSSES = {BINARY: nn.BCEWithLogitsLoss, NUMBERS: nn.MSELoss}


def run(case: Case, seed: int, watch: AbstractContextManager[Any]) -> list[float]:
    """Return the held-out scores: after the last training, and before it where the run was trained already.

    watch: entered around the last training alone. case.train may hold: `pretrained` (epochs of a training before),
    `clip` (a norm), `accumulate` (micro-batches a step), `autocast` (to bfloat16), `dtype` (of weights and inputs),
    `optimised` (model -> the parameters that the optimizer gets), `probabilities` (the model's answers).
    """
    torch.manual_seed(seed)
    model = case.build(case.data).to(case.train.get("dtype", torch.float32))
    scores, frozen = [], _frozen(model)
    if "pretrained" in case.train:
        train(case, model, case.train["pretrained"])
        scores.append(score(case, model))
    with watch:
        train(case, model, case.epochs)
    if not all(torch.equal(before, after) for before, after in zip(frozen, _frozen(model), strict=True)):
        raise RuntimeError(f"{case.name}: a frozen weight moved")
    return [*scores, score(case, model)]


def checked(case: Case, seed: int) -> Diagnosis:
    """Return what `unvanish.check` says of the untrained model, over as many steps as the run takes."""
    torch.manual_seed(seed)
    model, (x, y) = case.build(case.data), tensors(case)
    name, rate, config = case.optimizer
    return unvanish.check(
        model,
        x,
        y,
        loss=(case.loss or LOSSES.get(case.data.kind, nn.CrossEntropyLoss))(),
        optimizer=getattr(torch.optim, name)(model.parameters(), lr=rate, **config),
        validation=(torch.from_numpy(case.data.x_val), torch.from_numpy(case.data.y_val)),
        batch_size=case.batch,
        steps=case.epochs * -(-len(x) // case.batch),
    )


def train(case: Case, model: nn.Module, epochs: int) -> None:
    """Train the model in place, and evaluate it after every epoch."""
    x, y = tensors(case)
    name, rate, config = case.optimizer
    parameters = case.train.get("optimised", nn.Module.parameters)(model)
    optimizer = getattr(torch.optim, name)(parameters, lr=rate, **config)
    criterion = (case.loss or LOSSES.get(case.data.kind, nn.CrossEntropyLoss))()
    every, clip = case.train.get("accumulate", 1), case.train.get("clip")
    for _ in range(epochs):
        model.train()
        for step, rows in enumerate(torch.randperm(len(x)).split(case.batch)):
            with torch.autocast("cpu", torch.bfloat16, enabled=case.train.get("autocast", False)):
                loss = criterion(model(x[rows]), y[rows])
            (loss / every).backward()
            if (step + 1) % every == 0:
                if clip:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                optimizer.zero_grad()
        score(case, model)


def tensors(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and labels as the loss takes them."""
    dtype = case.train.get("dtype", torch.float32)
    x, y = torch.from_numpy(case.data.x), torch.from_numpy(case.data.y)
    x = x.to(dtype) if x.is_floating_point() else x.long()
    return x, (y[:, None] if case.data.kind == BINARY else y).to(dtype) if case.data.kind in LOSSES else y


@torch.no_grad()
def score(case: Case, model: nn.Module) -> float:
    """Return the held-out score, in inference mode."""
    model.eval()
    x = torch.from_numpy(case.data.x_val)
    outputs = model(x.to(case.train.get("dtype", torch.float32)) if x.is_floating_point() else x.long())
    outputs = (outputs[0] if isinstance(outputs, tuple) else outputs).double().numpy()
    middle = 0.5 if case.train.get("probabilities") else 0.0
    return case.data.score(signed(outputs - middle) if case.data.kind == BINARY else outputs)


def _frozen(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters() if not p.requires_grad]
