"""From a trainer, or a script, to a cure: candidates, trials, the decision, the patch."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from unvanish.core.cured import Cured
from unvanish.core.diagnosis import Diagnosis
from unvanish.diagnosing import __version__, diagnose
from unvanish.errors import UnsupportedError
from unvanish.watching.session import Plan, Progress

if TYPE_CHECKING:
    from unvanish.core.edit import Prescription
    from unvanish.jobs.line import Place
    from unvanish.script.run import ScriptRun
    from unvanish.trial.cure import Cure
    from unvanish.trial.job import Runner
    from unvanish.trial.plan import Plan as TrialPlan
    from unvanish.trial.trainer import Trainer

Tell = Callable[[str], None]
UNCHANGED = "script, arguments, data and plan are as they were; without --fix, --diff and --apply they are made anew"


def try_cures(
    trainer: Trainer,
    plan: TrialPlan,
    progress: Progress,
    *,
    title: str = "",
    without: Sequence[str] = (),
    runner: Runner | None = None,
    tell: Tell = lambda _: None,
) -> Cure:
    """Look at the untreated network, search for the smallest change that helps, and decide.

    without: names of cures that are not to be tried. runner: trains what does not depend on each other; None: the
    trainer does, one after another. tell: shows at once what should be known before the trials.
    """
    from unvanish.cures.table import CURES, answered, proposals
    from unvanish.trial.better import enough_held_out
    from unvanish.trial.cure import Cure
    from unvanish.trial.decide import answerable, decide, of_the_budget, of_the_data, of_the_loss, too_few_held_out
    from unvanish.trial.search import search
    from unvanish.trial.short import SEARCH_SEED

    started = time.perf_counter()
    untreated = diagnose(trainer.look(None, SEARCH_SEED), title=title)
    held_out, chance = untreated.observation.data.held_out, trainer.chance
    if trainer.metric == "accuracy" and not enough_held_out(chance, held_out, plan.seeds):
        tell(f"{too_few_held_out(held_out, chance)}; the trials go on: more validation data would tell")
    unwatched: tuple[str, ...] = ()
    if not answerable(untreated, answered()) and of_the_data(untreated) is None:
        progress("watching the first steps", 0, 0)  # some diseases show in them only
        untreated, unwatched = _watched(trainer, untreated, SEARCH_SEED, title)
    tried = tuple(cure for cure in CURES if cure.NAME not in without)
    candidates = proposals(untreated, tried) if of_the_data(untreated) is None else ()
    searched = search(trainer, candidates, diagnose, plan, progress, runner)
    evidence, cut = searched.evidence, searched.cut
    decision = decide(evidence, untreated, answered(), cut)
    source, unwritten = _source_of(trainer, decision.prescription)
    record = Cured(
        verdict=decision.verdict,
        sentence=decision.sentence,
        prescription=decision.prescription,
        evidence=evidence,
        diagnosis=untreated,
        notes=(
            *decision.notes,
            *trainer.notes,
            *of_the_loss(evidence),
            *of_the_budget(evidence, cut),
            *unwatched,
            *unwritten,
        ),
        cut=cut,
        source=source,
        title=title or untreated.network.name,
        version=__version__,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        seconds=time.perf_counter() - started,
    )
    return Cure(record, trainer)


def _watched(trainer: Trainer, looked: Diagnosis, seed: int, title: str) -> tuple[Diagnosis, tuple[str, ...]]:
    """Return the diagnosis of the first steps; that of the look, and why, where they raised."""
    try:
        return diagnose(trainer.watch(seed), title=title), ()
    except Exception as error:  # of the user's own code, or of the framework; the trials go on until they meet it
        return looked, (f"the first steps could not be watched: {type(error).__name__}: {error}",)


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
    jobs: int | None = None,
    on: str | None = None,
    reuse: bool = False,
    progress: Progress,
    tell: Tell = lambda _: None,
) -> tuple[ScriptRun, Cure | None]:
    """Run a training script up to its fit, and try cures on copies of its model; return how it ran, and the cure.

    fit: which of its calls of fit. fix: row of the table of compared changes, 1 the best, to be written as a patch in
    the place of the one that is prescribed. jobs: processes that train, each of which runs the script up to its fit.
    on: where they run: None for this machine, `ray` or `ray:ADDRESS` for a Ray cluster, on which they are by default as
    many as it has free CPUs. What comes out depends on neither. reuse: let the trials of the last cure stand for new
    ones, where nothing has changed that they depend on. tell: as of `try_cures`. No file of the script is changed.
    Raise UnsupportedError where copies of what the script trains cannot be made, UsageError where Ray is missing.
    """
    from unvanish.jobs.place import place_of, require_place
    from unvanish.script.captures import FOR_TRIALS
    from unvanish.script.check import look
    from unvanish.script.kept import digest_of, keep, kept
    from unvanish.script.patches.source_file import read_sources
    from unvanish.trial.cure import Cure

    require_place(on)
    environment = dict(os.environ)  # as it is before the script changes it
    one = Plan(fit=fit, steps=1)  # of a loop, which cannot be repeated on a copy, the first step says enough
    run = look(Path(path), list(argv), one, progress, FOR_TRIALS, "cure")
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
    digest = digest_of(run, [str(fit), *argv], plan, __version__)
    known = kept(run.folder, digest) if reuse else None
    if known is not None:
        told = known.created[:16].replace("T", " ")
        found = Cure(replace(known, notes=(*known.notes, f"from the trials of {told}: {UNCHANGED}")), run.trainer)
    else:
        run, found = _tried(run, path, argv, plan, fit, place_of(on, jobs, environment), progress, tell)
        if not found.record.cut:
            with contextlib.suppress(OSError):  # of a full disk: then they are made anew
                keep(run.folder, digest, found.record)
    return run, _patched(_chosen(found, run.trainer, fix), run, sources, fix)


def _tried(
    run: ScriptRun,
    path: str | Path,
    argv: Sequence[str],
    plan: TrialPlan,
    fit: int,
    place: Place | None,
    progress: Progress,
    tell: Tell,
) -> tuple[ScriptRun, Cure]:
    """Return the run, with what the processes noted, and the cure."""
    title = Path(path).name
    if place is None:
        return run, try_cures(run.trainer, plan, progress, title=title, tell=tell)
    from unvanish.jobs.pool import Pool

    with place, Pool(run.trainer, Path(path), argv, fit, place, progress) as pool:
        found = try_cures(run.trainer, plan, progress, title=title, runner=pool, tell=tell)
    return replace(run, notes=(*run.notes, *place.notes, *pool.notes)), found


def _chosen(found: Cure, trainer: Trainer, fix: int | None) -> Cure:
    """Return the cure with the arm of that row for its prescription; as it is where there is no such row."""
    from unvanish.trial.cure import Cure
    from unvanish.trial.decide import chosen_words

    arms = () if found.evidence is None else found.evidence.arms
    if fix is None or fix > len(arms) or found.evidence is None:
        return found
    chosen = arms[fix - 1].prescription
    source, unwritten = _source_of(trainer, chosen)
    record = replace(
        found.record,
        prescription=chosen,
        sentence=chosen_words(found.evidence, fix, found.prescription),
        source=source,
        fix=fix,
        notes=(*found.record.notes, *unwritten),
    )
    return Cure(record, trainer)


def _patched(found: Cure, run: ScriptRun, sources: dict[str, bytes], fix: int | None) -> Cure:
    """Return the cure with the patch of the script, or with what it says of why there is none."""
    from unvanish.script.patches.patch import patch_of
    from unvanish.script.patches.unused import unused
    from unvanish.trial.cure import Cure

    rows = 0 if found.evidence is None else len(found.evidence.arms)
    if fix is not None and fix > rows:
        told = f"the table has {rows} rows of changes, and --fix asked for row {fix}"
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
            told = f"{error.what}{f' ({error.found})' if error.found else ''}{instead}"
        else:
            notes = (*found.record.notes, *unused(patch))
            return Cure(replace(found.record, patch=patch.text, notes=notes), run.trainer, patch)
    return Cure(replace(found.record, no_patch=told), run.trainer)
