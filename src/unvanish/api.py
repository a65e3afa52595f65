"""What a user calls. Each function composes the rooms in a few lines; the command line calls the same ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import unvanish.rendering  # noqa: F401  # fills the table of renderers
from unvanish.core.comparison import Comparison, Side, side_of_cured, side_of_diagnosis
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.forecast import Forecast
from unvanish.core.network import Network
from unvanish.core.outlook import Outlook
from unvanish.core.recording import Recording
from unvanish.core.run_comparison import RunComparison
from unvanish.diagnosing import __version__, diagnose, errors_of_a_sample
from unvanish.errors import UsageError
from unvanish.watching.judges import JUDGES
from unvanish.watching.session import Plan, Progress
from unvanish.watching.views import VIEWS, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from unvanish.core.nonfinite import Replayed
    from unvanish.forecasting import Reach
    from unvanish.script.run import ScriptRun
    from unvanish.trial.cure import Cure
    from unvanish.watching.run import Run
    from unvanish.watching.wanted import Wanted


def live_view(title: str, beside: bool) -> View:
    """Return what shows a training, on standard error or in a notebook. beside: something else draws there too."""
    from unvanish.report.notebook_progress import in_notebook

    if in_notebook():
        from unvanish.report.notebook_watch import NotebookView

        return NotebookView(title)
    from unvanish.report.watch_view import WatchView

    return WatchView(title, sys.stderr, drawn=False if beside else None)


JUDGES.append(errors_of_a_sample)  # for watching, which sees no rule
VIEWS.append(live_view)  # and no reporter


def check(
    model: Any,
    x: Any = None,
    y: Any = None,
    *,
    loss: Any = None,
    optimizer: Any = None,
    validation: tuple[Any, Any] | None = None,
    batch_size: int = 32,
    steps: int = 60,
    ignore: str | Sequence[str] = (),
    progress: Progress | None = None,
) -> Diagnosis:
    """Say whether the model's gradient lets it learn, where not, and why.

    model: a compiled Keras model, on any backend, or a torch.nn.Module. x, y: arrays or tensors, or x a stream of
    batches: a tf.data.Dataset, a PyDataset, a torch DataLoader. loss, optimizer: of a torch.nn.Module alone. loss: a
    module, a function of (outputs, targets), or `bce`, `bce_with_logits`, `cross_entropy`, `mse`. optimizer: one of
    torch.optim; Adam with a learning rate of 0.001 where none is given.
    validation: held-out (x, y); without it a fifth of the data is held out. steps: optimizer steps of the short watched
    training. ignore: rule codes to leave out, one or several. progress: called with (what, done, total); without it a
    line is shown in a notebook and on a terminal.

    The model, its optimizer and every random number generator are put back to the bit, also when this raises.
    Raise UnvanishError (UsageError, DataError, UnsupportedError) when there is nothing that could be looked at.
    """
    from unvanish.adapters import adapter_of
    from unvanish.arguments import codes_of, count_of, require_progress

    look, codes = adapter_of(model).check, codes_of(ignore)
    plan, size = Plan(steps=count_of("steps", steps)), count_of("batch_size", batch_size)
    require_progress(progress)
    with _shown(progress) as shown:
        seen, cost = look(
            model,
            x,
            y,
            loss=loss,
            optimizer=optimizer,
            validation=validation,
            batch_size=size,
            plan=plan,
            progress=shown,
        )
    return diagnose(seen, ignore=codes, title=seen.network.name, cost=cost)


def cure(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    validation: tuple[Any, Any] | None = None,
    loss: Any = None,
    optimizer: Any = None,
    batch_size: int = 32,
    seeds: int = 3,
    steps: int | None = None,
    budget: float | None = None,
    progress: Progress | None = None,
) -> Cure:
    """Try changes on copies of the model, and prescribe the smallest one that is sufficient, with its evidence.

    model: a compiled Sequential or Functional Keras model. x, y, validation, batch_size: as for `check`. seeds: of the
    trainings that are compared, at least 3. steps: optimizer steps of each of them; without it 250. budget: seconds for
    everything. progress: as for `check`. Ctrl-C ends the trials; what was measured is returned. loss, optimizer:
    refused; a Keras model carries its own, and modules of PyTorch are not cured yet.

    The model, its optimizer and every random number generator are left as they were, to the bit.
    Raise UnvanishError (UsageError, DataError, UnsupportedError) when there is nothing that could be tried.
    """
    from unvanish.adapters import adapter_of
    from unvanish.arguments import count_of, require_progress, seconds_of
    from unvanish.curing import try_cures
    from unvanish.trial.plan import UNKNOWN
    from unvanish.trial.plan import Plan as TrialPlan

    make, size = adapter_of(model).trainer_of, count_of("batch_size", batch_size)
    plan = TrialPlan(
        seeds=count_of("seeds", seeds),
        steps=None if steps is None else count_of("steps", steps, UNKNOWN),
        seconds=seconds_of("budget", budget),
    )
    require_progress(progress)
    with _shown(progress) as shown:
        return try_cures(
            make(model, x, y, loss=loss, optimizer=optimizer, validation=validation, batch_size=size), plan, shown
        )


def compare(
    before: Any,
    after: Any,
    x: Any = None,
    y: Any = None,
    *,
    loss: Any = None,
    validation: tuple[Any, Any] | None = None,
    batch_size: int = 32,
    steps: int = 60,
    progress: Progress | None = None,
) -> Comparison | RunComparison:
    """Put two networks side by side: verdict, gradient by depth, loss, findings that came and went.

    before, after: each a Diagnosis, a Cure (then its cured network), or a model, which is checked first. The other
    arguments are for models, as for `check`, and the same for both; a torch.nn.Module is stepped by Adam. Or both a
    Recording: then what is compared is what was told of them, each layer's gradient over the samples, and the loss at
    the same steps.

    Models are left as they were, to the bit. Raise as `check` does, and UsageError for one recording alone.
    """
    recordings = [one for one in (before, after) if isinstance(one, Recording)]
    if len(recordings) == 2:
        return RunComparison(before=recordings[0], after=recordings[1], version=__version__)
    if recordings:
        other = type(after if before is recordings[0] else before).__name__
        raise UsageError(
            "a recording can be compared with another recording alone",
            found=f"a Recording and a {other}",
            hint="unvanish.compare(unvanish.load(run_1), unvanish.load(run_2))",
        )

    look = partial(
        check, x=x, y=y, loss=loss, validation=validation, batch_size=batch_size, steps=steps, progress=progress
    )

    def side(one: Any) -> Side:
        from unvanish.trial.cure import Cure

        if isinstance(one, Diagnosis):
            return side_of_diagnosis(one)
        if isinstance(one, Cure):
            return side_of_cured(one.record)
        return side_of_diagnosis(look(one))

    return Comparison(before=side(before), after=side(after), version=__version__)


def forecast(network_or_model: Any, *, batch_size: int = 32, input: Any = None) -> Forecast:
    """Predict the gradient of every layer from the architecture and the weights alone: no training.

    network_or_model: a core Network, a description (`"dense(64, sigmoid)*11, dense(1)"`, weights glorot_uniform), a
    built Keras model, or a torch.nn.Module. batch_size: samples over which the loss is the mean. input: an example of
    what a model takes, an array of shape (samples, ...): its moments count in place of those of U(0, 1). A model that
    has no graph before it is called (a torch.nn.Module, a subclassed Keras model) needs one.
    Nothing is changed. Raise UnvanishError (UsageError, DataError, UnsupportedError) when there is nothing to predict.
    """
    from unvanish.arguments import count_of
    from unvanish.forecasting import of_model

    size = count_of("batch_size", batch_size)
    if isinstance(network_or_model, str) and not network_or_model.endswith(".py"):
        return forecast_spec(network_or_model, batch_size=size).forecast
    if isinstance(network_or_model, Network):
        return of_model(network_or_model, size, input)
    from unvanish.adapters import adapter_of

    adapter = adapter_of(network_or_model)
    network = adapter.describe(network_or_model, input=input)
    return of_model(network, size, None if input is None else adapter.example(input))


def forecast_spec(
    spec: str,
    *,
    initialiser: str = "glorot_uniform",
    inputs: str = "uniform",
    features: int | None = None,
    batch_size: int = 32,
    depth: Reach | None = None,
) -> Outlook:
    """Predict the gradients of a network that is only described: `dense(64, sigmoid)*11, dense(1)`.

    initialiser: one of spec.initialisers. inputs: `uniform`, U(0, 1), or `normal`, N(0, 1). features: of an input;
    without it as many as the first dense layer has units. batch_size: over which the loss is the mean.
    depth: the fewest and the most layers with weights over which the recipe is followed: its last repeated block,
    repeated less or more often; `usual` for 5 to 200 where one is repeated.
    Raise UsageError, with the place, where the description cannot be read.
    """
    from unvanish.forecasting import of_spec

    return of_spec(spec, initialiser=initialiser, inputs=inputs, features=features, batch_size=batch_size, reach=depth)


def forecast_script(
    path: str | Path,
    argv: Sequence[str] = (),
    *,
    fit: int = 1,
    depth: Reach | None = None,
    progress: Progress,
) -> tuple[ScriptRun, Outlook | None]:
    """Run an unmodified training script up to its first step; return how it ran, and what is expected of its model.

    fit: which of its trainings, counted from 1. depth: as for `forecast_spec`. No step is taken, and what follows is
    not run.
    """
    from unvanish.forecasting import of_script

    return of_script(Path(path), argv, fit=fit, progress=progress, reach=depth)


def watch(
    model: Any,
    *,
    every: int | Literal["auto"] = "auto",
    budget: float = 0.01,
    title: str = "",
    folder: str | Path | None = None,
    live: bool = False,
    stop_on: Literal["error"] | None = None,
) -> Any:
    """Record every layer's gradient, weight and update norms while the model is trained in the context that this opens.

    model: a compiled Keras model, trained by `fit` or `train_on_batch`, or a torch.nn.Module in any loop. every: sample
    so many-th steps; `auto` keeps to the budget, a share of the training's time. title: names the run. folder: where
    the run's own folder is made; `.unvanish` without it. live: show every layer on standard error meanwhile. stop_on:
    "error" leaves the context, before a step is taken, once an error was found.

    Some of the samples are looked into, for what the layers give: with `auto` as many as half of the budget pays for,
    else at least a hundred steps apart. Transmissions are recorded in PyTorch alone.

    Weights, optimizer state and random numbers are those of an unwatched training, to the bit; afterwards nothing is
    left on the model. Return a context manager with `.recording`, `.frame()`, `.cost`, `.run` and `.close()`.
    Raise UnvanishError where there is nothing to watch.
    """
    from unvanish.adapters import adapter_of

    watch = adapter_of(model).watch
    return watch(model=model, every=every, budget=budget, title=title, folder=folder, live=live, stop_on=stop_on)


def watch_script(
    path: str | Path, argv: Sequence[str] = (), *, wanted: Wanted, keep_output: bool
) -> tuple[ScriptRun, list[Run]]:
    """Run an unmodified training script to its end, and record each of its trainings; return how it ran, and the runs.

    wanted: how they are watched, and who is told of each that begins. keep_output: what the script writes is kept in a
    file, out of the way of what is shown.
    """
    from unvanish.script.accompany import accompany

    return accompany(Path(path), argv, wanted, keep_output=keep_output)


def replay_run(folder: str | Path) -> tuple[ScriptRun, Replayed | None]:
    """Run the batch of a run again that gave its first value that is no finite number, on the script's own model.

    folder: of the run. Return how the script ran up to its model's first training pass, and what was found when the run
    was watched and is found now; None where the script did not come that far. No step is taken.
    Raise UsageError where nothing is kept of the run, DataError for files that cannot be read.
    """
    from unvanish.core.nonfinite import Replayed
    from unvanish.core.spoilt_file import read
    from unvanish.script.replay import replay

    spoilt, values = read(Path(folder))
    if spoilt.left_out or not spoilt.script:
        raise UsageError(
            f"the step cannot be run again: {spoilt.left_out or 'it was no script that trained'}",
            found=f"{spoilt}",
            hint=f"what was found is in the recording too: unvanish report {folder}",
        )
    run, located = replay(spoilt, values)
    return run, None if located is None else Replayed(then=spoilt, again=located)


def load(path: str | Path) -> Recording:
    """Return the recording of a run: of its folder, or of the file in it; also while the training goes on.

    Raise UsageError where there is none, DataError for a file that cannot be read.
    """
    from unvanish.core.recording_file import read

    return read(Path(path))


def plot_grad_flow(model: Any, x: Any = None, y: Any = None, *, loss: Any = None, batch_size: int = 32) -> Figure:
    """Draw the gradient of every kernel against its depth, on a logarithmic axis, with the band of healthy ones.

    model, x, y, loss, batch_size: as for `check`; of a torch.nn.Module after `loss.backward()` the model alone is
    enough: the gradients that it holds are drawn. Return a matplotlib Figure (RMS of the raw gradient of the batch-mean
    loss, in training mode), which a notebook shows and `savefig` writes. No training step is taken and nothing is
    changed.
    Raise UnvanishError when there is nothing to draw.
    """
    from unvanish.adapters import adapter_of
    from unvanish.arguments import count_of
    from unvanish.report.pictures import of_gradients

    look, size = adapter_of(model).look_once, count_of("batch_size", batch_size)
    network, profile = look(model, x, y, loss=loss, batch_size=size)
    figure = of_gradients(network, profile)
    if figure is None:
        raise UsageError(
            f"the model {network.name!r} has no kernel whose gradient could be drawn",
            found=f"{len(network.layers)} layers, {len(network.kernels)} of them with a kernel",
            hint="what is drawn is the gradient of weight matrices: of dense, convolutional and recurrent layers",
        )
    return figure


def check_script(
    path: str | Path, argv: Sequence[str] = (), *, plan: Plan, progress: Progress, ignore: Sequence[str] = ()
) -> tuple[ScriptRun, Diagnosis | None]:
    """Run an unmodified training script until enough is seen; return how it ran, and the diagnosis if it trained."""
    from unvanish.script.check import look

    run = look(Path(path), list(argv), plan, progress)
    if run.observation is None:
        return run, None
    return run, diagnose(run.observation, ignore=ignore, title=Path(path).name, sites=run.sites, cost=run.cost)


def _shown(progress: Progress | None) -> AbstractContextManager[Progress]:
    """Return the caller's progress, or what shows it where this process runs."""
    if progress is not None:
        return nullcontext(progress)
    import random

    state = random.getstate()  # rich draws a number when it is imported
    from unvanish.report.progress import shown_here

    random.setstate(state)
    return shown_here()
