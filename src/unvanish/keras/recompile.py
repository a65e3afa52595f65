"""Compile a copy of a model as the model itself was compiled, its optimizer unused, perhaps with clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from unvanish.core.edit import Clip
from unvanish.errors import UnsupportedError
from unvanish.keras import compat

_CLIPS = {"norm": "clipnorm", "global_norm": "global_clipnorm", "value": "clipvalue"}


def recompiled(copy: Any, model: Any, *, clip: Clip | None = None, metrics: bool = True) -> Any:
    """Compile the copy with the model's own settings and return it.

    Losses are the same objects; the optimizer is a new one of the same configuration; so are metrics, as far as they
    can be made anew. clip: put in the place of what clipping there was. metrics: whether to have any. The model is not
    changed. Raise UnsupportedError for an optimizer that cannot be copied.
    """
    given = dict(compat.compile_settings(model))
    given["optimizer"] = new_optimizer(model.optimizer, clip)
    if not metrics:
        given |= {"metrics": None, "weighted_metrics": None, "steps_per_execution": 1}
    for name in ("metrics", "weighted_metrics"):
        given[name] = keras.tree.map_structure(_new_metric, given.get(name))
    copy.compile(**given)
    return copy


def new_optimizer(optimizer: Any, clip: Clip | None = None) -> Any:
    """Return an unused optimizer of the same class and configuration, clipping as told; through a loss scale."""
    if clip is None:
        return _copied(optimizer, lambda config: config)
    bounds = dict.fromkeys(_CLIPS.values()) | {_CLIPS[clip.kind]: clip.bound}

    def clipped(config: dict[str, Any]) -> dict[str, Any]:
        return {**config, **bounds}

    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is None:
        return _copied(optimizer, clipped)
    rest = {name: value for name, value in optimizer.get_config().items() if name != "inner_optimizer"}
    return type(optimizer)(_copied(inner, clipped), **rest)


def _copied(optimizer: Any, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    try:
        return type(optimizer).from_config(changed(optimizer.get_config()))
    except Exception as error:  # an optimizer of the user's own need not be made for copying
        raise UnsupportedError(
            f"the optimizer {type(optimizer).__name__} cannot be copied",
            found=f"{type(error).__name__}: {error}".splitlines()[0],
            hint="give it get_config and from_config",
        ) from error


def _new_metric(metric: Any) -> Any:
    """Return a metric that has counted nothing: a new one, or, where it cannot be made anew, the same object."""
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    try:
        return type(metric).from_config(metric.get_config())
    except Exception:  # one of the user's own that was not made for copying
        return metric
