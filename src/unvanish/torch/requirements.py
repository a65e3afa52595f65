"""What must hold before anything can be looked at; each refusal says what, where, the numbers and the next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from unvanish.errors import DataError, UnsupportedError, UsageError
from unvanish.torch.structures import leaves, length

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
    if not any(p.requires_grad for p in parameters):
        raise UsageError(
            f"the model {name} has no trainable parameters",
            found="nothing that a gradient could change",
            numbers={"parameters": len(parameters), "of them with requires_grad": 0},
            hint="model.requires_grad_(True)",
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
        "module, TorchScript, or a training step that is compiled as a whole",
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
            hint="unvanish.check(model, x, y, loss=torch.nn.CrossEntropyLoss())",
        )
    if isinstance(loss, str) and loss not in WORDS:
        raise UsageError(
            f"there is no loss called {loss!r}",
            found=f"loss={loss!r}",
            numbers={"known by a word": ", ".join(WORDS)},
            hint="a function of (outputs, targets) is taken as well: loss=torch.nn.functional.l1_loss",
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
            hint="unvanish.forecast(model, input=torch.randn(32, 20)): an example of what it takes, with its shape",
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


def require_data(x: Any, y: Any) -> None:
    """Raise DataError for no samples, inputs and labels of different lengths, or inputs that are not finite."""
    lengths = {"x": [_len(leaf) for leaf in leaves(x)], "y": [_len(leaf) for leaf in leaves(y)]}
    shortest = min(lengths["x"] + lengths["y"])
    if not lengths["y"]:
        raise DataError(
            "the labels are no tensor and no array",
            found=f"y is of the class {type(y).__name__}",
            hint="y=torch.tensor(y), or y=numpy.asarray(y)",
        )
    if length(x) == 0:
        raise DataError("the data are empty", found="x without a sample", hint="pass at least one sample")
    if len({*lengths["x"], *lengths["y"]}) > 1:
        raise DataError(
            "inputs and labels are of different lengths",
            found="every sample needs its label",
            numbers={name: ", ".join(map(str, found)) for name, found in lengths.items()},
            hint=f"x[:{shortest}] and y[:{shortest}], or find the lost ones",
        )


def require_stream(x: Any, y: Any) -> None:
    """Raise DataError or UnsupportedError for what gives no batches of (x, y) again and again."""
    if x is None:
        raise DataError("there are no inputs", found="x is None", hint="unvanish.check(model, x, y, loss=loss)")
    if y is not None or isinstance(x, torch.Tensor | np.ndarray) or not hasattr(x, "__iter__"):
        raise DataError(
            "the labels are missing" if y is None else "the inputs are no tensor and no array",
            found=f"x is of the class {type(x).__name__}, y of the class {type(y).__name__}",
            hint="tensors or arrays x and y, or a DataLoader that gives (x, y) and no y",
        )
    if hasattr(x, "__next__"):
        raise UnsupportedError(
            "the training data can be read only once",
            found=f"an object of the class {type(x).__name__}; what is read from it is gone for the training",
            hint="a list of batches, or a torch.utils.data.DataLoader",
        )


def require_pair(pair: Any) -> Any:
    """Return the pair (x, y). Raise DataError for something else."""
    if isinstance(pair, list | tuple) and len(pair) >= 2:
        return pair
    if not isinstance(pair, torch.Tensor | np.ndarray | str | dict) and hasattr(pair, "__iter__"):
        return pair  # validation data that are a stream
    raise DataError(
        "the data are no pairs (x, y)",
        found=f"an object of the class {type(pair).__name__}",
        hint="let the DataLoader's data set return (x, y)",
    )


def require_classes(outputs: Any, labels: Any) -> None:
    """Raise DataError for class numbers that the outputs have no unit for."""
    if not (isinstance(outputs, torch.Tensor) and isinstance(labels, torch.Tensor)) or outputs.ndim < 2:
        return
    if labels.is_floating_point() or labels.ndim != outputs.ndim - 1:
        return
    units = int(outputs.shape[1])
    wrong = labels[((labels < 0) | (labels >= units)) & (labels != -100)]
    if len(wrong):
        raise DataError(
            f"{len(wrong)} labels are out of range for outputs of {units} units",
            found=f"the label {int(wrong.reshape(-1)[0])}, for a loss that takes class numbers",
            numbers={"labels allowed": f"0 to {units - 1}", "labels in the batch": labels.numel()},
            hint=f"an output layer of {int(labels.max()) + 1} units, or labels that start at 0",
        )


def computed(loss_of: Callable[[Any, Any], Any], outputs: Any, labels: Any) -> torch.Tensor:
    """Return the loss. Raise DataError where there is none, UsageError where it is no scalar with a gradient."""
    try:
        loss = loss_of(outputs, labels)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        require_classes(outputs, labels)
        raise DataError(
            "the loss cannot be computed from the outputs and the labels",
            found=f"{type(error).__name__}: {str(error).splitlines()[0]}",
            numbers={"outputs": _shown(outputs), "labels": _shown(labels)},
            hint="labels of the shape and type that the loss takes, for example y.float().unsqueeze(1)",
        ) from error
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        raise UsageError(
            "the loss is not a single number",
            found=f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__,
            hint="reduction='mean', or lambda outputs, targets: loss(outputs, targets).mean()",
        )
    if not loss.requires_grad:
        raise UsageError(
            "the loss has no gradient",
            found="no path leads from it to a trainable parameter (a comparison, argmax, detach or no_grad?)",
            numbers={"outputs": _shown(outputs), "outputs have a gradient": _differentiable(outputs)},
            hint="compute it from the outputs by differentiable operations",
        )
    return loss


def _differentiable(outputs: Any) -> str:
    return "yes" if any(isinstance(t, torch.Tensor) and t.requires_grad for t in leaves(outputs)) else "no"


def _shown(value: Any) -> str:
    found = [f"{tuple(leaf.shape)} {str(leaf.dtype).removeprefix('torch.')}" for leaf in leaves(value)]
    return ", ".join(found) or type(value).__name__


def _len(leaf: Any) -> int:
    return len(leaf) if leaf.ndim else 0
