"""How far back recurrent cells carry a gradient as the frameworks draw them: what GF701 takes as usual.

For every cell, width and number of inputs: the factor per step back and the horizon (steps until 3 % are left), the
smallest of four initialisations, on 100 steps of standard normal inputs. Run: python bench/recurrences.py (needs torch)
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from unvanish.core.measures.time_horizon import time_horizon, time_slope

STEPS, SAMPLES, SEEDS = 100, 16, 4
DECADES = 1.5


def as_torch(cell, inputs, units, _):
    return cell(inputs, units, batch_first=True)


def as_keras(cell, inputs, units, forget_bias):
    """Return the cell with Keras' weights: Glorot, orthogonal blocks, zero biases but for the forget gate's."""
    made = cell(inputs, units, batch_first=True)
    with torch.no_grad():
        for name, weights in made.named_parameters():
            if "bias" in name:
                weights.zero_()
            elif "hh" in name:
                for block in weights.split(units):
                    torch.nn.init.orthogonal_(block)
            else:
                torch.nn.init.xavier_uniform_(weights)
        if cell is torch.nn.LSTM:
            made.bias_ih_l0[units : 2 * units] = forget_bias
    return made


def through_time(made):
    """Return log10 |d (v . h_T) / d x_t| for t = 1 .. T, root mean square over the samples."""
    x = torch.randn(SAMPLES, STEPS, made.input_size, requires_grad=True)
    states, _ = made(x)
    v = torch.nn.functional.normalize(torch.randn(states.shape[-1]), dim=0)
    (gradient,) = torch.autograd.grad((states[:, -1] @ v).sum(), x)
    norms = gradient.double().pow(2).sum(2).mean(0).sqrt().numpy()
    with np.errstate(divide="ignore"):
        return np.log10(norms).tolist()


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    makers = (("torch", as_torch, 0.0), ("keras", as_keras, 1.0), ("keras, forget bias 0", as_keras, 0.0))
    print(f"{'cell':5s} {'units':>5s} {'inputs':>6s}  {'as drawn by':22s} {'per step':>8s} {'horizon':>8s}")
    for cell in (torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU):
        for units in (16, 64, 256):
            for inputs in (8, 64):
                for name, make, bias in makers if cell is torch.nn.LSTM else makers[:2]:
                    found = []
                    for seed in range(SEEDS):
                        torch.manual_seed(seed)
                        profile = through_time(make(cell, inputs, units, bias))
                        found.append((10 ** time_slope(profile).per_step, time_horizon(profile, DECADES)))
                    factor, horizon = np.min(found, axis=0)
                    print(f"{cell.__name__:5s} {units:5d} {inputs:6d}  {name:22s} {factor:8.2f} {horizon:8.1f}")


if __name__ == "__main__":
    main()
