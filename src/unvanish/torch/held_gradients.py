"""The gradients that a model holds, after a backward pass of the user's own: all that a model alone can show."""

from __future__ import annotations

import math

import torch

from unvanish.core.network import Layer, Network
from unvanish.core.profile import LayerProfile, Profile
from unvanish.torch.moments import stats
from unvanish.torch.requirements import require_gradients
from unvanish.torch.tally import gradient_of, norm_of


def held_gradients(model: torch.nn.Module) -> tuple[Network, Profile]:
    """Return every matrix or kernel of the model with the gradient that it holds, in the order of the modules.

    No pass is made and nothing is changed. Raise UsageError when there is no gradient.
    """
    require_gradients(model)
    kernels = {name: p for name, p in model.named_parameters() if p.ndim > 1 and p.requires_grad}
    layers, profiles = [], []
    for name, kernel in kernels.items():
        shown = name.removesuffix(".weight")
        size, gradient, weight = kernel.numel(), gradient_of(kernel), float(norm_of(kernel))
        layers.append(Layer(name=shown, kind="other", type="Parameter", kernel=stats(kernel)))
        norm = None if kernel.grad is None else float(gradient.norm)
        profiles.append(
            LayerProfile(
                name=shown,
                gradient_norm=norm,
                gradient_rms=None if norm is None else norm / math.sqrt(size),
                gradient_nonfinite=int(gradient.nonfinite),
                weight_norm=weight,
                weight_rms=weight / math.sqrt(size),
            )
        )
    kind = next((str(p.dtype).removeprefix("torch.") for p in kernels.values()), "float32")
    profile = Profile(step=0, batches=1, batch_size=0, loss=math.nan, dtype=kind, layers=tuple(profiles))
    framework = f"PyTorch {torch.__version__}"
    return Network(name=type(model).__name__, framework=framework, library="torch", layers=tuple(layers)), profile
