"""Layers of drawn networks whose signal lies at places, or at steps of time: (draws, batch, places ..., channels)."""

from __future__ import annotations

import math

import torch

F = torch.nn.functional


def convolved(h, layer, kernel):
    """Return the convolution: patches (channels, then window) times the kernel (draws, fan_in, units)."""
    size = math.isqrt(layer.fan_out // layer.units)
    before, after = h.shape[2:4], layer.shape[:2]
    stride = -(-before[0] // after[0])
    h = h.movedim(-1, 2)
    for at in (0, 1):
        missing = max((after[at] - 1) * stride + size - before[at], 0)
        pad = (missing // 2, missing - missing // 2)
        h = F.pad(h, (0, 0, *pad) if at == 0 else pad)
    patches = h.unfold(3, size, stride).unfold(4, size, stride).movedim(2, 4)
    flat = patches.reshape(h.shape[0], -1, layer.fan_in)
    return (flat @ kernel).reshape(*h.shape[:2], *after, layer.units)


def pooled(h, layer):
    """Return the average or the largest of each window, or of all places."""
    if len(layer.shape) == 1:
        return h.mean((2, 3)) if layer.reduction == "average" else h.amax((2, 3))
    size, (rows, columns, channels) = h.shape[2] // layer.shape[0], layer.shape
    windows = h.reshape(*h.shape[:2], rows, size, columns, size, channels)
    return windows.mean((3, 5)) if layer.reduction == "average" else windows.amax((3, 5))


def through_time(h, layer, kernel, again, bias):
    """Return the last state of a simple recurrent layer, or all states; h: (draws, batch, steps, features)."""
    f = {"tanh": torch.tanh, "relu": F.relu, "linear": lambda u: u}[layer.state]
    state, states = torch.zeros(*h.shape[:2], layer.units, dtype=h.dtype), []
    for step in h.unbind(2):
        state = f(step @ kernel + state @ again + bias)
        states.append(state)
    return torch.stack(states, 2) if len(layer.shape) > 1 else state
