"""What a user calls. Each function composes the rooms in a few lines; the command line calls the same ones."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from unvanish.core.comparison import Comparison, Side, side_of_cured, side_of_diagnosis
from unvanish.core.cured import Cured
from unvanish.core.diagnosis import Cost, Diagnosis, Site
from unvanish.core.forecast import Forecast
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.core.renderers import RENDERERS
from unvanish.errors import UnsupportedError, UsageError
from unvanish.watching.session import Plan, Progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from unvanish.core.edit import Prescription
    from unvanish.jobs.pool import Pool
    from unvanish.script.run import ScriptRun
    from unvanish.trial.cure import Cure
    from unvanish.trial.job import Runner
    from unvanish.trial.plan import Plan as TrialPlan
    from unvanish.trial.trainer import Trainer

__version__ = "0.1.0"


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
    batch_size: int = 32,
    seeds: int = 3,
    steps: int | None = None,
    budget: float | None = None,
    progress: Progress | None = None,
) -> Cure:
    """Try changes on copies of the model, and prescribe the smallest one that is sufficient, with its evidence.

    model: a compiled Sequential or Functional Keras model. x, y, validation, batch_size: as for `check`. seeds: of the
    trainings that are compared, at least 3. steps: optimizer steps of each of them; without it 250. budget: seconds for
    everything. progress: as for `check`. Ctrl-C ends the trials; what was measured is returned.

    The model, its optimizer and every random number generator are left as they were, to the bit.
    Raise UnvanishError (UsageError, DataError, UnsupportedError) when there is nothing that could be tried.
    """
    from unvanish.adapters import adapter_of
    from unvanish.trial.plan import Plan as TrialPlan

    plan = TrialPlan(seeds=seeds, steps=steps, seconds=budget)
    make = adapter_of(model).trainer_of
    with _shown(progress) as shown:
        return try_cures(make(model, x, y, validation=validation, batch_size=batch_size), plan, shown)


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
) -> Comparison:
    """Put two networks side by side: verdict, gradient by depth, loss, findings that came and went.

    before, after: each a Diagnosis, a Cure (then its cured network), or a model, which is checked first. The other
    arguments are for models, as for `check`, and the same for both; a torch.nn.Module is stepped by Adam.

    Models are left as they were, to the bit. Raise as `check` does.
    """

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


def forecast(model: Any, *, input: Any = None) -> Forecast:
    """Predict the gradient of every layer from the architecture and the weights alone: no training.

    model: a core Network, a built Keras model, or a torch.nn.Module. input: an example of what the model takes, for one
    that has no graph before it is called: a torch.nn.Module, a subclassed Keras model. Its shape matters, its values do
    not.
    Nothing is changed. Raise UnvanishError (UsageError, DataError, UnsupportedError) when there is nothing to predict.
    """
    from unvanish.theory.forecast import forecast_network

    if isinstance(model, Network):
        return forecast_network(model)
    from unvanish.adapters import adapter_of

    return forecast_network(adapter_of(model).describe(model, input=input))


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


def diagnose(
    seen: Observation,
    *,
    ignore: Sequence[str] = (),
    title: str = "",
    sites: dict[str, Site] | None = None,
    cost: Cost | None = None,
) -> Diagnosis:
    """Add the forecast to an observation and let every rule judge it."""
    from unvanish.rules.judge import judge

    return judge(
        with_forecast(seen),
        ignore=ignore,
        title=title,
        version=__version__,
        sites=sites or {},
        cost=cost,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
    )


def with_forecast(seen: Observation) -> Observation:
    """Return the observation with what theory expects of its network on its data."""
    from unvanish.theory.forecast import forecast_network

    if seen.forecast is not None:
        return seen
    data, moments = seen.data, {}
    if data.input_second_moment is not None and data.input_cross_moment is not None:
        moments = {"second_moment": data.input_second_moment, "cross_moment": data.input_cross_moment}
    return replace(seen, forecast=forecast_network(seen.network, batch_size=seen.profiles[0].batch_size, **moments))


def try_cures(
    trainer: Trainer,
    plan: TrialPlan,
    progress: Progress,
    *,
    title: str = "",
    without: Sequence[str] = (),
    runner: Runner | None = None,
) -> Cure:
    """Look at the untreated network, search for the smallest change that helps, and decide.

    without: names of cures that are not to be tried. runner: trains what does not depend on each other; None: the
    trainer does, one after another.
    """
    from unvanish.cures.table import CURES, answered, proposals
    from unvanish.trial.cure import Cure
    from unvanish.trial.decide import answerable, decide
    from unvanish.trial.search import SEARCH_SEED, search

    started = time.perf_counter()
    untreated = diagnose(trainer.look(None, SEARCH_SEED), title=title)
    if not answerable(untreated, answered()):  # some diseases show in the first steps only
        progress("watching the first steps", 0, 0)
        untreated = diagnose(trainer.watch(SEARCH_SEED), title=title)
    candidates = proposals(untreated, tuple(cure for cure in CURES if cure.NAME not in without))
    searched = search(trainer, candidates, diagnose, plan, progress, runner)
    decision = decide(searched.evidence, untreated, answered(), searched.cut)
    source, unwritten = _source_of(trainer, decision.prescription)
    record = Cured(
        verdict=decision.verdict,
        sentence=decision.sentence,
        prescription=decision.prescription,
        evidence=searched.evidence,
        diagnosis=untreated,
        notes=(*decision.notes, *unwritten),
        cut=searched.cut,
        source=source,
        title=title or untreated.network.name,
        version=__version__,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        seconds=time.perf_counter() - started,
    )
    return Cure(record, trainer)


def _source_of(trainer: Trainer, prescription: Prescription | None) -> tuple[str, tuple[str, ...]]:
    """Return the source of the cured model, and why there is none; nothing of both without a prescription."""
    if prescription is None:
        return "", ()
    try:
        return trainer.source(prescription), ()
    except UnsupportedError as error:
        return "", (f"no source of the cured model: {error.what} ({error.found})",)


def cure_script(
    path: str | Path,
    argv: Sequence[str] = (),
    *,
    plan: TrialPlan,
    fit: int = 1,
    fix: int | None = None,
    jobs: int = 1,
    progress: Progress,
) -> tuple[ScriptRun, Cure | None]:
    """Run a training script up to its fit, and try cures on copies of its model; return how it ran, and the cure.

    fit: which of its calls of fit. fix: row of the table of compared changes, 1 the best, to be written as a patch in
    the place of the one that is prescribed. jobs: processes that train, each of which runs the script up to its fit;
    what comes out does not depend on it. No file of the script is changed.
    Raise UnsupportedError where copies of what the script trains cannot be made.
    """
    from unvanish.script.captures import FOR_TRIALS
    from unvanish.script.check import look
    from unvanish.script.patches.source_file import read_sources

    environment = dict(os.environ)
    run = look(Path(path), list(argv), Plan(fit=fit), progress, FOR_TRIALS)
    if run.exit_code is not None:
        return run, None
    if run.trainer is None:
        raise UnsupportedError(
            f"this version cannot try cures on what {Path(path).name} trains",
            found="a training that is no call of model.fit of a Keras model",
            numbers={"cured": "Keras 3, Sequential and Functional models, trained by fit"},
            hint=f"unvanish check {path} names what is worth changing",
        )
    sources = read_sources(run.all_sites)  # now: the trials take minutes, and files change
    with _workers(jobs, run.trainer, Path(path), argv, fit, environment, progress) as pool:
        found = try_cures(run.trainer, plan, progress, title=Path(path).name, runner=pool)
    if pool is not None:
        run = replace(run, notes=(*run.notes, *pool.notes))
    return run, _patched(_chosen(found, run.trainer, fix), run, sources, fix)


def _workers(
    jobs: int,
    trainer: Trainer,
    script: Path,
    argv: Sequence[str],
    fit: int,
    environment: dict[str, str],
    progress: Progress,
) -> AbstractContextManager[Pool | None]:
    """Return the processes that train; None for one, which is this one."""
    if jobs == 1:
        return nullcontext()
    from unvanish.jobs.pool import Pool
    from unvanish.trial.search import SEARCH_SEED

    return Pool(
        trainer, script, argv, fit=fit, count=jobs, seed=SEARCH_SEED, environment=environment, progress=progress
    )


def _chosen(found: Cure, trainer: Trainer, fix: int | None) -> Cure:
    """Return the cure with the arm of that row for its prescription; as it is where there is no such row."""
    from unvanish.trial.cure import Cure

    arms = () if found.evidence is None else found.evidence.arms
    if fix is None or fix > len(arms):
        return found
    chosen = arms[fix - 1].prescription
    smallest = "none was sufficient" if found.prescription is None else f"prescribed is {found.prescription.label}"
    source, unwritten = _source_of(trainer, chosen)
    notes = (
        *found.record.notes,
        f"by --fix {fix} patch and source are of {arms[fix - 1].label}; {smallest}",
        *unwritten,
    )
    return Cure(replace(found.record, prescription=chosen, source=source, notes=notes), trainer)


def _patched(found: Cure, run: ScriptRun, sources: dict[str, bytes], fix: int | None) -> Cure:
    """Return the cure with the patch of the script, or with a note that says why there is none."""
    from unvanish.script.patches.patch import patch_of
    from unvanish.trial.cure import Cure

    rows = 0 if found.evidence is None else len(found.evidence.arms)
    if fix is not None and fix > rows:
        note = f"no patch: the table has {rows} rows of changes, and --fix asked for row {fix}"
    elif found.prescription is None:
        return found
    else:
        try:
            patch = patch_of(
                found.prescription.edits,
                run.trainer.network,
                run.sites,
                sources,
                optimizer_site=run.optimizer_site,
                rate=run.trainer.constant_rate(),
                mirrors=run.trainer.mirrors(found.prescription),
            )
        except UnsupportedError as error:
            instead = "; the source of the cured model is given instead" if found.source else ""
            note = f"no patch: {error.what}{f' ({error.found})' if error.found else ''}{instead}"
        else:
            return Cure(replace(found.record, patch=patch.text), run.trainer, patch)
    return Cure(replace(found.record, notes=(*found.record.notes, note)), run.trainer)


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


def _text(record: Any) -> str:
    from unvanish.report.text import render_text

    return render_text(record)


def _cure_text(record: Any) -> str:
    from unvanish.report.cure_text import render_cure

    return render_cure(record)


def _comparison_text(record: Any) -> str:
    from unvanish.report.comparison_text import render_comparison

    return render_comparison(record)


def _html(record: Any) -> str:
    from unvanish.report.html import render_fragment

    return render_fragment(record)


def _cure_html(record: Any) -> str:
    from unvanish.report.cure_html import render_cure_fragment

    return render_cure_fragment(record)


def _comparison_html(record: Any) -> str:
    from unvanish.report.comparison_html import render_comparison_fragment

    return render_comparison_fragment(record)


def _page(record: Any) -> str:
    from unvanish.report.html import render_html

    return render_html(record)


def _cure_page(record: Any) -> str:
    from unvanish.report.cure_html import render_cure_html

    return render_cure_html(record)


def _comparison_page(record: Any) -> str:
    from unvanish.report.comparison_html import render_comparison_html

    return render_comparison_html(record)


RENDERERS.update(
    {
        "comparison html": _comparison_html,
        "comparison page": _comparison_page,
        "comparison text": _comparison_text,
        "cure html": _cure_html,
        "cure page": _cure_page,
        "cure text": _cure_text,
        "html": _html,
        "page": _page,
        "text": _text,
    }
)
