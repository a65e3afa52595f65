"""Turn the calls of one forward pass into a Network. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from unvanish.core.network import Edge, Layer, Network, Parameter
from unvanish.torch.call import Call, Key
from unvanish.torch.moments import distinct_units, stats
from unvanish.torch.names import names_of
from unvanish.torch.trace import Trace


class Described(NamedTuple):
    """Hold a network, and which call each of its layers is."""

    network: Network
    names: dict[Key, str]
    dtype: str
    """That the layers compute in."""


def describe(model: torch.nn.Module, trace: Trace, output: Any) -> Described:
    """Return the network that a finished forward pass showed. output: what the model returned."""
    last = [c for source in trace.origins.sources(output) for c in source.resolved()]
    calls = _without_unread_inputs(trace.calls, last)
    names = names_of(calls, model)
    modules = dict(model.named_modules())
    first: dict[Any, str] = {}
    layers = []
    for call in calls:
        name = names[call.key]
        owner = first.setdefault(call.identity, name) if call.parameters else name
        layers.append(_layer(call, name, None if owner == name else owner, modules))
    edges = [Edge(names[source.key], names[call.key]) for call in calls for source in call.described_sources()]
    network = Network(
        name=type(model).__name__,
        framework=f"PyTorch {torch.__version__.split('+')[0]}",
        library="torch",
        layers=tuple(layers),
        edges=tuple(edges),
        outputs=tuple(dict.fromkeys(names[call.key] for call in last)),
        parameters=parameters_of(model, calls, names),
        traced=True,
    )
    return Described(network, names, _dtype(calls))


def _without_unread_inputs(calls: Sequence[Call], last: Sequence[Call]) -> list[Call]:
    """Return the calls without inputs that no layer reads: labels, for a model that computes its own loss."""
    read = set(last) | {source for call in calls for source in call.described_sources()}
    return [call for call in calls if call.kind != "input" or call in read]


def parameters_of(model: torch.nn.Module, calls: Sequence[Call], names: dict[Key, str]) -> tuple[Parameter, ...]:
    """Return every parameter of the model, also one that is not used and one that goes by two names."""
    layers: dict[int, str] = {}
    for call in calls:
        for weight in call.parameters:
            layers.setdefault(id(weight), names[call.key])
    first: dict[Any, str] = {}
    found = []
    for name, parameter in model.named_parameters(remove_duplicate=False):
        memory = _memory(parameter)
        found.append(
            Parameter(
                name=name,
                layer=layers.get(id(parameter), ""),
                shape=() if torch.nn.parameter.is_lazy(parameter) else tuple(parameter.shape),
                dtype=str(parameter.dtype).removeprefix("torch."),
                trainable=parameter.requires_grad,
                tied_to=first.get(memory),
            )
        )
        first.setdefault(memory, name)
    return tuple(found)


def _memory(parameter: torch.Tensor) -> Any:
    """Return what two parameters have in common that share their memory."""
    if torch.nn.parameter.is_lazy(parameter) or not parameter.numel() or parameter.layout != torch.strided:
        return id(parameter)
    return parameter.device, parameter.data_ptr()


def _layer(call: Call, name: str, shares: str | None, modules: dict[str, torch.nn.Module]) -> Layer:
    path = name.split(":")[0]
    module = modules.get(path) if path and call.kind != "input" else None
    kernel = call.kernel
    matrix = None if kernel is None else _out_in(call, kernel)
    receptive = 1 if kernel is None or call.kind != "conv" else _product(kernel.shape[2:])
    inputs = 0 if matrix is None else matrix.shape[1]
    return Layer(
        name=name,
        kind=call.kind,
        type=call.function if module is None else type(module).__name__,
        activation=call.activation,
        activation_parameter=call.parameter,
        units=_units(call, matrix),
        fan_in=None if matrix is None else inputs,
        fan_out=None if matrix is None else receptive * matrix.shape[0],
        kernel=None if matrix is None else stats(matrix, orthogonal=True),
        recurrent_kernel=stats(call.recurrent_kernel, orthogonal=True),
        state=call.state,
        table=stats(call.table),
        groups=call.groups,
        distinct_units=None if matrix is None else _distinct(call, matrix),
        bias=stats(call.bias),
        scale=stats(call.scale),
        shift=stats(call.shift),
        keep=call.keep,
        epsilon=call.epsilon,
        momentum=call.momentum,
        parameters=sum(w.numel() for w in call.parameters),
        trainable=any(w.requires_grad for w in call.parameters) if call.parameters else True,
        shape=call.shape[1:],
        shares=shares,
        reduction=call.reduction,
    )


def _out_in(call: Call, kernel: torch.Tensor) -> torch.Tensor:
    """Return the kernel as a matrix (units, inputs of one unit)."""
    weights = kernel.detach()
    return weights.t() if call.units_last else weights.reshape(weights.shape[0], -1)


def _distinct(call: Call, matrix: torch.Tensor) -> int:
    """Return the number of different units; one of a recurrent layer has a row for each of its gates."""
    if call.recurrent_kernel is None:
        return distinct_units(matrix, call.bias)
    units = call.recurrent_kernel.shape[1]
    parts = [matrix, call.recurrent_kernel.detach()]
    if call.bias is not None:
        parts.append(call.bias.detach()[:, None])
    gates = torch.cat(parts, dim=1).reshape(-1, units, sum(p.shape[1] for p in parts))
    return distinct_units(gates.swapaxes(0, 1).reshape(units, -1), None)


def _units(call: Call, matrix: torch.Tensor | None) -> int | None:
    if matrix is not None and call.recurrent_kernel is None:
        return int(matrix.shape[0])
    return call.shape[-1] if len(call.shape) > 1 else None


def _dtype(calls: Sequence[Call]) -> str:
    """Return the dtype that most kernels compute in; of all layers where there is no kernel."""
    kernels = [call.dtype for call in calls if call.kernel is not None]
    found = kernels or [call.dtype for call in calls if call.dtype.startswith(("float", "bfloat"))]
    return Counter(found).most_common(1)[0][0] if found else "float32"


def _product(numbers: Sequence[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result
