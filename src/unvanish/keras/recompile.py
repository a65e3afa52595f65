"""Compile a copy of a model as the model itself was compiled, its optimizer unused, perhaps with edits."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from unvanish.core.edit import Clip, Edit, OfOptimizer, ScaleLoss, ScaleRate, SetEpsilon
from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.counterparts import variables
from unvanish.keras.scaled_schedule import ScaledSchedule

_CLIPS = {"norm": "clipnorm", "global_norm": "global_clipnorm", "value": "clipvalue"}


def recompiled(
    copy: Any, model: Any, edits: Sequence[Edit] = (), *, made: Mapping[int, Any] | None = None, metrics: bool = True
) -> Any:
    """Compile the copy with the model's own settings and return it.

    Losses are the same objects; the optimizer is a new one of the same configuration; so are metrics, as far as they
    can be made anew. edits: those of the optimizer are carried out on it. made: id of a layer of the
    model -> the copy's own, for what the optimizer was told of single weights. metrics: whether to have any. The model
    is not changed. Raise UnsupportedError for an optimizer that cannot be copied, or that has nothing to edit.
    """
    given = dict(compat.compile_settings(model))
    given["optimizer"] = new_optimizer(model.optimizer, edits)
    compat.decays_alike(_inner(given["optimizer"]), _inner(model.optimizer), variables(model, made or {}))
    if not metrics:
        given |= {"metrics": None, "weighted_metrics": None, "steps_per_execution": 1}
    for name in ("metrics", "weighted_metrics"):
        given[name] = keras.tree.map_structure(_new_metric, given.get(name))
    copy.compile(**given)
    return copy


def new_optimizer(optimizer: Any, edits: Sequence[Edit] = ()) -> Any:
    """Return an unused optimizer of the same class and configuration, edited as told, through a loss scale if need be.

    Clipping is put in the place of what clipping there was; edits that are none of an optimizer are passed over. Raise
    UnsupportedError as `recompiled` does.
    """
    told = [edit for edit in edits if isinstance(edit, OfOptimizer)]
    inner = getattr(optimizer, "inner_optimizer", None)
    scaled = inner is not None
    changes: dict[str, Any] = {}
    for edit in told:
        changes |= _changes(inner if scaled else optimizer, edit)
    if not scaled:
        new = _scaled(_copied(optimizer, changes), told)
        return keras.optimizers.LossScaleOptimizer(new) if any(isinstance(edit, ScaleLoss) for edit in told) else new
    rest = {name: value for name, value in optimizer.get_config().items() if name != "inner_optimizer"}
    return type(optimizer)(_scaled(_copied(inner, changes), told), **rest)


def _scaled(optimizer: Any, edits: Sequence[Edit]) -> Any:
    """Multiply the learning rate of an unused optimizer, or its schedule, as the edits tell; return it."""
    factor = math.prod(edit.factor for edit in edits if isinstance(edit, ScaleRate))
    if factor != 1.0:
        schedule = schedule_of(optimizer)
        rate = None if schedule is not None else float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        # to seven digits: a float32 variable shall not show in the user's source what it cannot hold
        optimizer.learning_rate = ScaledSchedule(schedule, factor) if rate is None else float(f"{rate * factor:.7g}")
    return optimizer


def schedule_of(optimizer: Any) -> Any:
    """Return the learning rate schedule of an optimizer, None where its rate is a number.

    Raise UnsupportedError for a learning rate that is a function.
    """
    inner = _inner(optimizer)
    given = compat.given_learning_rate(inner)
    if isinstance(given, keras.optimizers.schedules.LearningRateSchedule):
        return given
    if callable(given) and not hasattr(given, "assign"):
        raise UnsupportedError(
            "the learning rate is a function, which cannot be scaled",
            found=f"a {type(given).__name__} as the learning rate of {type(inner).__name__}",
            hint="a keras.optimizers.schedules.LearningRateSchedule, or a number",
        )
    return None


def _inner(optimizer: Any) -> Any:
    """Return what a loss scale is put around."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _changes(optimizer: Any, edit: OfOptimizer) -> dict[str, Any]:
    """Return the entries of the optimizer's configuration that the edit makes others."""
    if isinstance(edit, Clip):
        return dict.fromkeys(_CLIPS.values()) | {_CLIPS[edit.kind]: edit.bound}
    if isinstance(edit, SetEpsilon):
        if "epsilon" not in optimizer.get_config():
            raise UnsupportedError(
                f"the optimizer {type(optimizer).__name__} has no epsilon",
                found=f"its configuration: {', '.join(optimizer.get_config())}",
                hint="Adam, its relatives and RMSprop have one",
            )
        return {"epsilon": edit.epsilon}
    return {}


def _copied(optimizer: Any, changes: dict[str, Any]) -> Any:
    kind = type(optimizer)
    try:
        plain = kind.from_config(optimizer.get_config())
        new = kind.from_config({**optimizer.get_config(), **changes}) if changes else plain
    except Exception as error:  # an optimizer of the user's own need not be made for copying
        raise _uncopied(optimizer, f"{type(error).__name__}: {error}".splitlines()[0]) from error
    for name in inspect.signature(kind.__init__).parameters if compat.is_users_class(optimizer) else ():
        given, copied = (vars(one).get(name) for one in (optimizer, plain))
        if isinstance(given, bool | int | float | str) and given != copied:
            raise _uncopied(optimizer, f"{name}={given!r}, of its copy {copied!r}")
    return new


def _uncopied(optimizer: Any, found: str) -> UnsupportedError:
    return UnsupportedError(
        f"the optimizer {type(optimizer).__name__} cannot be copied",
        found=found,
        hint="give it get_config and from_config",
    )


def _new_metric(metric: Any) -> Any:
    """Return a metric that has counted nothing: a new one, or, where it cannot be made anew, the same object."""
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    try:
        return type(metric).from_config(metric.get_config())
    except Exception:  # one of the user's own that was not made for copying
        return metric
