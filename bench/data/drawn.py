"""Real backpropagation through a described network, with its weights drawn many times at once, in float64.

A second source for the forecast: it shares the description's record and nothing else. Weights are drawn by the textbook
formulas of each initialiser, gradients come from torch's autograd. Dense layers, convolutions over two axes, pools,
simple recurrences, normalisations in training mode, dropout and shortcuts; every array has the draws as its first axis.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from data.drawn_places import convolved, pooled, through_time
from data.stacked import FUNCTIONS
from unvanish.core.network import Layer, Network, WeightStats

F = torch.nn.functional
ACTIVATIONS = FUNCTIONS | {
    "hard_silu": F.hardswish,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "linear": lambda x: x,
    "relu6": F.relu6,
}


def gradient_norms(network: Network, draws: int, batch_size: int, inputs: str, seed: int) -> np.ndarray:
    """Return log10 of each kernel's gradient norm of the batch-mean loss; shape (draws, kernels).

    inputs: `uniform` for U(0, 1), `normal` for N(0, 1), independent from feature to feature. A head's activation of
    sigmoid or softmax is read by its cross-entropy with balanced classes, any other by a squared error with N(0, 1).
    """
    torch.manual_seed(seed)
    kernels = {layer.name: kernel(layer, draws).requires_grad_() for layer in network.kernels}
    first, head = network.layers[0], network.layers[-1]
    x = torch.empty(draws, batch_size, *first.shape, dtype=torch.float64)
    x = x.uniform_() if inputs == "uniform" else x.normal_()
    loss = loss_of(forward(network, kernels, x, draws), head, draws, batch_size)
    gradients = torch.autograd.grad(loss, list(kernels.values()))
    norms = [torch.linalg.vector_norm(gradient, dim=(1, 2)) for gradient in gradients]
    return torch.stack(norms, dim=1).log10().numpy()


def kernel(layer: Layer, draws: int) -> torch.Tensor:
    """Draw the kernels of a layer; shape (draws, fan_in, units)."""
    shape = (draws, layer.fan_in, layer.units)
    fan_in, fan_out = shape[1:]
    glorot, name = 2 / (fan_in + layer.fan_out), layer.initializer
    if layer.kind == "recurrent":
        return of_recurrence(layer.kernel, shape)
    if name == "orthogonal":
        tall = torch.randn(draws, max(shape[1:]), min(shape[1:]), dtype=torch.float64)
        q, r = torch.linalg.qr(tall)
        q = q * torch.sign(torch.diagonal(r, dim1=1, dim2=2))[:, None]
        return (q if fan_in >= fan_out else q.transpose(1, 2)).contiguous()
    w = torch.empty(shape, dtype=torch.float64)
    if name in ("glorot_uniform", "keras"):
        return w.uniform_(-1, 1) * math.sqrt(3 * glorot)
    if name == "torch":
        return w.uniform_(-1, 1) / math.sqrt(fan_in)
    variance = {"glorot_normal": glorot, "he_normal": 2 / fan_in, "lecun_normal": 1 / fan_in}[name]
    return w.normal_() * math.sqrt(variance)


def of_recurrence(told: WeightStats, shape: tuple[int, ...]) -> torch.Tensor:
    """Draw a weight of a recurrent layer, whose record has the moments and no initialiser's name."""
    normal = torch.randn(shape, dtype=torch.float64)
    if told.orthogonal and shape[1] == shape[2]:
        q, r = torch.linalg.qr(normal)
        return q * torch.sign(torch.diagonal(r, dim1=1, dim2=2))[:, None] * math.sqrt(shape[1] * told.variance)
    return normal * math.sqrt(told.variance)


def forward(network: Network, kernels: dict[str, torch.Tensor], x: torch.Tensor, draws: int) -> torch.Tensor:
    """Return the network's output; a head that a cross-entropy reads stays without its activation."""
    known, sources = {}, {layer.name: network.sources(layer.name) for layer in network.layers}
    for layer in network.layers:
        ins = [known[name] for name in sources[layer.name]]
        known[layer.name] = through(layer, ins[0] if ins else x, ins, kernels, draws, layer is network.layers[-1])
    return known[network.layers[-1].name]


def through(layer, h, ins, kernels, draws, is_head):
    """Return the output of one layer."""
    match layer.kind:
        case "input":
            return h
        case "dense":
            u = h @ kernels[layer.name]
            if layer.initializer == "torch":
                u = u + torch.empty(draws, 1, layer.units, dtype=u.dtype).uniform_(-1, 1) / math.sqrt(layer.fan_in)
            return u if is_head and layer.activation in ("sigmoid", "softmax") else activated(layer, u)
        case "conv":
            return activated(layer, convolved(h, layer, kernels[layer.name]))
        case "pool":
            return pooled(h, layer)
        case "recurrent":
            again = of_recurrence(layer.recurrent_kernel, (draws, layer.units, layer.units))
            bias = of_recurrence(layer.bias, (draws, 1, layer.units))
            return through_time(h, layer, kernels[layer.name], again, bias)
        case "activation":
            return activated(layer, h)
        case "batch_norm" | "layer_norm":
            axis = tuple(range(1, h.ndim - 1)) if layer.kind == "batch_norm" else -1
            h = h - h.mean(axis, keepdim=True)
            return h / (h.square().mean(axis, keepdim=True) + layer.epsilon).sqrt()
        case "rms_norm":
            return h / (h.square().mean(2, keepdim=True) + layer.epsilon).sqrt()
        case "dropout":
            return h * (torch.rand_like(h) < layer.keep) / layer.keep
        case "add":
            return ins[0] + ins[1]
    raise ValueError(layer.kind)


def activated(layer, u):
    """Return f(u)."""
    if layer.activation == "leaky_relu" and layer.activation_parameter is not None:
        return F.leaky_relu(u, layer.activation_parameter)
    return ACTIVATIONS[layer.activation](u)


def loss_of(out, head, draws, batch_size):
    """Return the sum over draws of each one's batch-mean loss."""
    if head.activation == "sigmoid":
        labels = torch.randint(0, 2, out.shape).to(out.dtype)
        return F.binary_cross_entropy_with_logits(out, labels, reduction="sum") / (batch_size * out.shape[2])
    if head.activation == "softmax":
        labels = torch.randint(0, out.shape[2], (draws * batch_size,))
        return F.cross_entropy(out.reshape(draws * batch_size, -1), labels, reduction="sum") / batch_size
    return (out - torch.randn_like(out)).square().sum() / (batch_size * out.shape[2])
