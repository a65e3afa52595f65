"""Every kind of loop that a script may have on the backend that runs, and a capture of such a script."""

import importlib
from pathlib import Path

import keras
import loops
from loops import STEPS

from unvanish.keras.capture import Capture
from unvanish.watching.session import Enough, Plan

own = importlib.import_module(f"loops_on_{keras.backend.backend()}")
LOOPS = {**loops.LOOPS, **own.LOOPS}
UNPROBED, BY_SGD, UNTOLD = own.UNPROBED, own.BY_SGD, getattr(own, "UNTOLD", set())
PATCHED = (
    (keras.Model, "fit"),
    (keras.Model, "train_on_batch"),
    (keras.Model, "__call__"),
    (keras.layers.Layer, "__init__"),
    (keras.losses.Loss, "__call__"),
    (keras.optimizers.Optimizer, "apply"),
    (keras.optimizers.LossScaleOptimizer, "apply"),
    *own.PATCHED,
)
by_a_loop = next(LOOPS[name] for name in ("tape", "backward", "jitted") if name in LOOPS)


def looked(train, steps=STEPS, **plan):
    """Return what a capture saw of a script that is this function. Raise what it refuses."""
    seen = Capture(Plan(steps=steps, **plan), lambda *_: None, Path(loops.__file__))
    try:
        with seen:
            train()
    except Enough:
        pass
    if seen.error is not None:
        raise seen.error
    return seen


def kernels(profile, field):
    return [getattr(layer, field) for layer in profile.layers if layer.gradient_norm is not None]


def state(model):
    """Return the bytes of all variables of the model and of what trained it."""
    optimizer = getattr(model, "own_optimizer", None) or model.optimizer
    if hasattr(optimizer, "param_groups"):
        held = [value for state in optimizer.state.values() for value in state.values()]
        return [v.numpy().tobytes() for v in model.variables] + [value.numpy().tobytes() for value in held]
    return [v.numpy().tobytes() for v in [*model.variables, *optimizer.variables]]
