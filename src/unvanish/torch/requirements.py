"""What must hold before anything can be looked at; each refusal says what, where, the numbers and the next step."""

from __future__ import annotations

from typing import Any

import torch

from unvanish.errors import UnsupportedError, UsageError
from unvanish.torch.examples import example_for
from unvanish.torch.structures import leaves

WORDS = ("bce", "bce_with_logits", "cross_entropy", "mse")
"""Losses that can be asked for by a word; see `loss_functions`."""


def require_model(model: torch.nn.Module) -> None:
    """Raise UsageError for a model with nothing to train, or whose weights are not made yet."""
    name, parameters = type(model).__name__, list(model.parameters())
    if isinstance(model, torch.jit.ScriptModule):
        raise UnsupportedError(
            f"the model {name} is compiled to TorchScript, which cannot be looked into",
            found=f"an object of the class {type(model).__module__}.{name}",
            hint="pass the module that it was made from, before torch.jit.script or torch.jit.trace",
        )
    lazy = sum(torch.nn.parameter.is_lazy(p) for p in parameters)
    if lazy:
        raise UsageError(
            f"{lazy} parameters of the model {name} have no shape yet",
            found="lazy modules, which take their shapes from the first batch",
            numbers={"parameters": len(parameters)},
            hint="call the model once: model(x[:1])",
        )
    empty = sum(p.is_meta for p in parameters)
    if empty:
        raise UsageError(
            f"{empty} parameters of the model {name} have no values",
            found="parameters on the device meta",
            numbers={"parameters": len(parameters)},
            hint="model.to_empty(device='cpu'), then initialise them or load them",
        )
    if not any(p.requires_grad for p in parameters):
        raise UsageError(
            f"the model {name} has no trainable parameters",
            found="nothing that a gradient could change",
            numbers={"parameters": len(parameters), "of them with requires_grad": 0},
            hint="model.requires_grad_(True)",
        )


def unreadable(name: str, error: Exception) -> UnsupportedError:
    """Return why a training could not be looked at: something went wrong on our side, and the script went on."""
    return UnsupportedError(
        f"the training of the model {name} could not be looked at",
        found=f"{type(error).__name__}: {error}".splitlines()[0],
        hint="the script itself is not at fault; unvanish.check(model, x, y, loss=loss) takes another road",
    )


def unsupported(optimizer: torch.optim.Optimizer, outer: torch.nn.Module | None) -> UnsupportedError:
    """Return why an optimizer's steps could not be looked at. outer: a model that was not called itself."""
    held = sum(len(group["params"]) for group in optimizer.param_groups)
    if not any(isinstance(p, torch.nn.Parameter) for group in optimizer.param_groups for p in group["params"]):
        return _of_no_module(optimizer)
    if outer is not None:
        name = type(outer).__name__
        return UnsupportedError(
            f"the parts of the model {name} are called one by one, not the model",
            found=f"a method of {name} that runs without {name} being called: model.forward(x), model.encode(x), ...",
            numbers={"parameters of the optimizer": held},
            hint="call the model itself, model(x), and let its forward method call the parts",
        )
    return UnsupportedError(
        f"what {type(optimizer).__name__} trains is no module that was seen at work",
        found="steps of an optimizer, and no call of a torch.nn.Module that owns what it holds: parameters of no "
        "module, torch.func, TorchScript, another thread, or a training step that is compiled as a whole",
        numbers={"parameters of the optimizer": held},
        hint="call a module that owns them, model(x); compile the model, not the step: model = torch.compile(model)",
    )


def _of_no_module(optimizer: torch.optim.Optimizer) -> UnsupportedError:
    """Return why the steps of an optimizer of plain tensors could not be looked at."""
    held = [p for group in optimizer.param_groups for p in group["params"]]
    return UnsupportedError(
        f"what {type(optimizer).__name__} trains belongs to no torch.nn.Module",
        found="plain tensors: which of them make a layer, and what lies between, only a module can tell",
        numbers={"tensors of the optimizer": len(held), "shapes": ", ".join(str(tuple(p.shape)) for p in held[:6])},
        hint="make them torch.nn.Parameter attributes of a torch.nn.Module whose forward computes the output, call "
        "that, model(x), and give the optimizer model.parameters()",
    )


def require_loss(loss: Any) -> None:
    """Raise UsageError where no loss is given, or none that could be called."""
    if loss is None:
        raise UsageError(
            "a PyTorch model carries no loss, and none was given",
            found="loss=None",
            hint="loss=torch.nn.CrossEntropyLoss(), or what the training uses",
        )
    if isinstance(loss, str) and loss not in WORDS:
        raise UsageError(
            f"there is no loss called {loss!r}",
            found=f"loss={loss!r}",
            numbers={"known by a word": ", ".join(WORDS)},
            hint="a function of (outputs, targets) is taken as well: loss=torch.nn.functional.l1_loss",
        )
    if isinstance(loss, type):
        raise UsageError(
            "the loss is a class, not an object of it",
            found=f"loss={loss.__qualname__}",
            hint=f"loss={loss.__qualname__}(...), called with what it needs",
        )
    if not isinstance(loss, str) and not callable(loss):
        raise UsageError(
            "the loss cannot be called",
            found=f"an object of the class {type(loss).__name__}",
            hint="a function of (outputs, targets), or a module: loss=torch.nn.MSELoss()",
        )


def require_example(model: torch.nn.Module, example: Any) -> None:
    """Raise UsageError without an example of what the model takes."""
    if next(leaves(example), None) is None:
        raise UsageError(
            f"what the model {type(model).__name__} computes is not known before it was called once",
            found=f"input={example!r}",
            hint=f"unvanish.forecast(model, input={example_for(model)}): an example of what it takes, with its shape",
        )


def require_gradients(model: torch.nn.Module) -> None:
    """Raise UsageError where no parameter holds a gradient."""
    parameters = list(model.parameters())
    if all(p.grad is None for p in parameters):
        raise UsageError(
            f"the model {type(model).__name__} holds no gradient",
            found="neither data, nor a gradient that a backward pass left",
            numbers={"parameters": len(parameters), "of them with a gradient": 0},
            hint="call it after loss.backward(), or unvanish.plot_grad_flow(model, x, y, loss=loss)",
        )


def require_optimizer(optimizer: Any, model: torch.nn.Module) -> None:
    """Raise UsageError for what is no optimizer, or one of another model."""
    if optimizer is None:
        return
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise UsageError(
            "the optimizer is no optimizer of PyTorch",
            found=f"an object of the class {type(optimizer).__name__}",
            hint="optimizer=torch.optim.Adam(model.parameters())",
        )
    own = {id(p) for p in model.parameters()}
    held = [p for group in optimizer.param_groups for p in group["params"]]
    if not any(id(p) in own for p in held):
        raise UsageError(
            f"the optimizer holds no parameter of the model {type(model).__name__}",
            found="parameters of something else, or of the model before it was copied or replaced",
            numbers={"parameters of the model": len(own), "of the optimizer": len(held), "shared": 0},
            hint="make it after the model: torch.optim.Adam(model.parameters())",
        )
