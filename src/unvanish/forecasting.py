"""From a description or a script to an outlook: the network, its forecast, and what that comes to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from unvanish.core.forecast import Forecast
from unvanish.core.network import Layer, Network
from unvanish.core.observation import DataInfo, Observation
from unvanish.core.outlook import Outlook
from unvanish.diagnosing import __version__
from unvanish.errors import DataError, UsageError
from unvanish.watching.session import Plan, Progress

if TYPE_CHECKING:
    from unvanish.script.run import ScriptRun

INPUTS = {"uniform": (1 / 3, 1 / 4), "normal": (1.0, 0.0)}
"""What inputs are drawn from -> mean of x^2, and of x(s) x(t) over pairs of samples."""

Reach = tuple[int, int] | Literal["usual"]
"""The fewest and the most kernels over which a recipe is followed; `usual`: USUAL, where something is repeated."""

USUAL = (5, 200)

SHOWN = 3
"""Names of layers that a note lists."""


def of_spec(
    spec: str, *, initialiser: str, inputs: str, features: int | None, batch_size: int, reach: Reach | None = None
) -> Outlook:
    """Return the outlook of a described network; reach: the depths over which its recipe is followed.

    Other arguments and errors as of `api.forecast_spec`.
    """
    from unvanish.spec.build import build

    network = build(spec, initialiser=initialiser, features=features)
    return outlook_of(
        network,
        title=spec,
        initialiser=initialiser,
        inputs=inputs,
        moments=INPUTS[inputs],
        features=_features(network.layers[0]),
        batch_size=batch_size,
        reach=reach,
    )


def of_script(
    path: Path, argv: Sequence[str], *, fit: int, progress: Progress, reach: Reach | None = None
) -> tuple[ScriptRun, Outlook | None]:
    """Run the script up to its first training step; return how it ran, and the outlook if it came to train."""
    from unvanish.script.captures import FOR_FORECASTS
    from unvanish.script.check import look

    run = look(path, list(argv), Plan(fit=fit), progress, FOR_FORECASTS, "forecast")
    return run, None if run.observation is None else _of_observation(run.observation, path.name, reach)


def of_model(network: Network, batch_size: int, example: Any) -> Forecast:
    """Return the forecast of a model's network, on inputs like the example where it is an array of several samples."""
    from unvanish.core.data_stats import data_info
    from unvanish.theory.forecast import forecast_network

    seen = data_info(example, None, samples=None, held_out=0, batch_size=batch_size, loss_kind="other")
    second, cross = _moments(seen) or INPUTS["uniform"]
    return forecast_network(network, batch_size=batch_size, second_moment=second, cross_moment=cross)


def outlook_of(
    network: Network,
    *,
    title: str,
    inputs: str,
    moments: tuple[float, float],
    features: int,
    batch_size: int,
    initialiser: str = "",
    notes: Sequence[str] = (),
    reach: Reach | None = None,
) -> Outlook:
    """Return what theory expects of the network, and what that comes to. moments: (q0, k0) of the inputs.

    Raise UsageError for a reach where nothing is repeated.
    """
    from unvanish.theory.bands import DECADES
    from unvanish.theory.depths import depths, first_rms
    from unvanish.theory.forecast import forecast_network
    from unvanish.theory.learns import learns
    from unvanish.theory.outlook import apart, assumed_loss, beside_a_shortcut, on_the_line, typical, verdict

    given: dict[str, Any] = {"batch_size": batch_size, "second_moment": moments[0], "cross_moment": moments[1]}
    expected = forecast_network(network, **given)
    rms, below = first_rms(network, expected)
    curve = None if reach is None else depths(network, *(USUAL if reach == "usual" else reach), **given)
    if isinstance(reach, tuple) and curve is None:
        raise _no_other_depth(network)
    word, reason = verdict(network, expected)
    first, last = apart(network, expected)
    return Outlook(
        title=title,
        initialiser=initialiser,
        inputs=inputs,
        input_second_moment=moments[0],
        input_cross_moment=moments[1],
        features=features,
        batch_size=batch_size,
        loss=assumed_loss(network),
        notes=(*notes, *_of_time(network)),
        verdict=word,
        reason=reason,
        decades=DECADES,
        on_the_line=on_the_line(word, expected),
        kernels=len(network.kernels),
        typical=(middle := typical(network)),
        beside_a_shortcut=middle is not None and beside_a_shortcut(network, middle),
        apart_first=first,
        apart_last=last,
        learning=learns(network, expected, batch_size=batch_size),
        log10_first_rms=rms,
        below=below,
        depths=curve,
        network=network,
        forecast=expected,
        version=__version__,
    )


def _of_observation(seen: Observation, title: str, reach: Reach | None) -> Outlook:
    from unvanish.theory.loss_read import as_read

    network, data = as_read(seen.network, seen.loss), seen.data
    if data.input_second_moment == 0:
        raise _no_forecast("all of them are zero, so that the first kernel has no gradient")
    moments = _moments(data)
    first = next((layer for layer in network.layers if layer.kind == "input"), network.layers[0])
    found = outlook_of(
        network,
        title=title,
        inputs="uniform" if moments is None else "measured",
        moments=moments or INPUTS["uniform"],
        features=_features(first),
        batch_size=data.batch_size,
        reach=reach,
        notes=(*_limits(seen, network, measured=moments is not None), *seen.left_out),
    )
    return replace(found, loss_seen=_fits(seen, network))


def _features(first: Layer) -> int:
    """Return the entries of an input, one for each axis of unknown length."""
    return math.prod(size or 1 for size in first.shape) if first.shape else first.units or 0


def _moments(data: DataInfo) -> tuple[float, float] | None:
    """Return (q0, k0) of the inputs; None where they are not known, all zero, or of a single sample.

    Raise DataError for inputs that are not finite.
    """
    if data.input_nonfinite:
        raise _no_forecast(f"{data.input_nonfinite} of their entries are not finite")
    second, cross = data.input_second_moment, data.input_cross_moment
    return None if second is None or cross is None or second == 0 else (second, cross)


def _no_forecast(found: str) -> DataError:
    return DataError(
        "there is no forecast for these inputs", found=found, hint="look at what loads and scales the data"
    )


def _no_other_depth(network: Network) -> UsageError:
    return UsageError(
        "this network has no other depth",
        found=f"{len(network.kernels)} layers with weights, and no block of layers that is repeated",
        hint='a block that is repeated is what makes a recipe: "dense(64, tanh)*10", "(dense(64), relu)*10"',
    )


def _of_time(network: Network) -> list[str]:
    """Return what the forecast leaves out of a recurrent network."""
    if not any(layer.kind == "recurrent" and layer.modelled for layer in network.layers):
        return []
    return [
        "how far a recurrent layer carries the gradient back through time is not told: `unvanish check` measures it"
    ]


def _fits(seen: Observation, network: Network) -> bool:
    """Say whether the script's loss is the one that the forecast is of."""
    from unvanish.theory.outlook import assumed_loss

    if "cross-entropy" in assumed_loss(network):
        return "crossentropy" in seen.loss.kind
    return seen.loss.kind == "mean_squared_error"


def _limits(seen: Observation, network: Network, *, measured: bool) -> list[str]:
    """Return, in words, what the forecast of a script's network takes for granted."""
    from unvanish.spec.as_drawn import not_as_drawn
    from unvanish.theory.outlook import assumed_loss

    found = [] if measured else ["the inputs are not known before the first step: taken as uniform on (0, 1)"]
    found += [note for note in seen.not_checked if "batches" in note]
    assumed, own = assumed_loss(network), seen.loss.kind
    if not _fits(seen, network) and own != "other":
        found.append(f"the script's loss is {own.replace('_', ' ')}, where the forecast assumes {assumed}")
    other, known = not_as_drawn(seen.network)
    if other:
        names = ", ".join(other[:SHOWN]) + (", ..." if len(other) > SHOWN else "")
        found.append(
            f"{len(other)} of {known} kernels are not as their initialiser draws them ({names}): trained or loaded? "
            "Their mean and variance count, as if their entries were independent"
        )
    return found
