"""Look for the smallest change that helps: forecast, look at the first step, short trainings, trainings over seeds."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.edit import INVASIVENESS, AddResidual, Clip, Prescription
from unvanish.core.evidence import Arm, Dropped, Evidence, Run
from unvanish.errors import UnsupportedError
from unvanish.trial.better import beats_chance, fits_training, test_words, told_from_chance
from unvanish.trial.plan import FEWEST_STEPS, SHARE, Plan
from unvanish.trial.trainer import Trainer
from unvanish.trial.trials import Failed, Judge, Progress, Spent, Trained, Trials, arm_of, transmission

DECADES = 1.5
"""Decades over all kernels beyond which a forecast is that of a sick network (THEORY 4: the band of rule GF101)."""
ALIKE = 3
"""Of one cure, at one invasiveness, so many are trained."""
FIRST_PART, SECOND_PART = 4, 2
"""The short trainings take one part in so many of the steps of the compared ones."""
KEPT = 3
"""Arms that get the second short training, beside the best of every invasiveness."""
LONGER = 1000
"""Steps from which on labels without signal are told from learnable ones with 200 held-out samples (see GF901)."""
SEARCH_SEED = 0
"""Of the short trainings; the compared ones use others, so that no arm was chosen by what it is then judged by."""


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a search measured. evidence: None where not even the network as it is was trained."""

    evidence: Evidence | None
    cut: str = ""
    """Why it ended before its time."""


def search(
    trainer: Trainer,
    candidates: Sequence[Prescription],
    judge: Judge,
    plan: Plan,
    progress: Progress = lambda *_: None,
) -> Searched:
    """Try the candidates, and return what was measured.

    A candidate is dropped by its forecast, by the look at its first step, or by one of two rounds of short trainings
    (a quarter of the steps at the user's learning rate, then half of them at every rate of the plan). Of each
    invasiveness the best one stays in, up to that of the best of all; these, the untreated network and clipping are
    trained over the plan's seeds, each at its best rate. An empty list trains the untreated network alone.

    A change whose training raises is dropped, and says what was raised. Ctrl-C, a spent budget and the network as it is
    raising end the search; what was measured is returned, and `cut` says why.
    """
    return _Search(trainer, candidates, judge, plan, progress).run()


class _Search:
    def __init__(
        self, trainer: Trainer, candidates: Sequence[Prescription], judge: Judge, plan: Plan, progress: Progress
    ) -> None:
        self._plan = plan
        self._trials = Trials(trainer, judge, progress, plan.seconds)
        self._steps = plan.steps_of(trainer.planned_steps)
        self._candidates = [one for one in candidates if not _clips(one)]
        self._clips = [one for one in candidates if _clips(one)][:1]
        self._dropped: dict[str, Dropped] = {}
        self._short: dict[str, Trained] = {}
        """Label -> its last short training, at its best rate so far."""
        self._rates: dict[str, float] = {}
        self._compared: dict[str, list[Trained]] = {}
        self._longer: tuple[str, Run] | None = None

    def run(self) -> Searched:
        cut = ""
        try:
            self._all()
        except KeyboardInterrupt:
            cut = "interrupted"
        except Spent:
            cut = "the budget was spent"
        except (Failed, UnsupportedError) as failed:  # of the network as it is: those of a change drop it
            cut = f"the training of the network as it is failed: {failed}"
        return Searched(evidence=self._evidence(cut), cut=cut)

    def _all(self) -> None:
        arms: list[Prescription | None] = [None]
        if self._candidates or self._clips:
            arms += self._first_round(self._looked_at(self._forecast_well()))
            arms = self._second_round([*arms, *self._clips])
        self._over_seeds(arms)
        self._if_at_chance()

    def _forecast_well(self) -> list[Prescription]:
        """Return the candidates whose forecast is not that of a sick network."""
        depth = max(len(self._trials.trainer.network.kernels) - 1, 1)
        well = []
        for one in self._candidates:
            if one.transmission is not None and abs(math.log10(one.transmission)) * depth > DECADES:
                self._drop(one, f"forecast: {one.transmission:.2f}x per layer")
            else:
                well.append(one)
        return well

    def _looked_at(self, candidates: Sequence[Prescription]) -> list[Prescription]:
        """Return those that fit and look healthy before the first step, at most ALIKE of a kind."""
        seen: Counter[tuple[str, str]] = Counter()
        well = []
        for number, one in enumerate(candidates):
            self._trials.tell("looking at first steps", number, len(candidates))
            if seen[one.name, one.invasiveness] >= ALIKE:
                self._drop(one, f"{ALIKE} others of its kind were tried")
                continue
            if not self._look(one):
                continue
            seen[one.name, one.invasiveness] += 1
            well.append(one)
        return well

    def _look(self, one: Prescription) -> bool:
        """Say whether the candidate is worth training; drop it when it is not."""
        try:
            found: Diagnosis = self._trials.look(one, SEARCH_SEED)
        except UnsupportedError as error:
            self._drop(one, f"does not fit: {error.what}")
            return False
        except Failed as failed:
            self._drop(one, f"failed at the first step: {failed}")
            return False
        silent = any(isinstance(edit, AddResidual) for edit in one.edits)  # its gain is zero: judged after training
        if found.verdict in ("healthy", "undecided") or silent:
            return True
        self._drop(one, f"{found.verdict} at the first step", transmission(found))
        return False

    def _first_round(self, candidates: Sequence[Prescription]) -> list[Prescription]:
        """Return those that are best after a quarter of the steps, of every invasiveness one at least."""
        started = time.monotonic()
        self._short[""] = self._trials.train(None, SEARCH_SEED, 1.0, self._part(FIRST_PART))
        self._fit_into_budget(time.monotonic() - started, len(candidates))
        for number, one in enumerate(candidates):
            self._trials.tell("short trainings", number, len(candidates))
            trained = self._train(one, SEARCH_SEED, 1.0, self._part(FIRST_PART))
            if trained is not None:
                self._short[one.label] = trained
        candidates = self._still_in(candidates)
        ordered = sorted(candidates, key=lambda one: self._short[one.label].rank, reverse=True)
        best = _best_of_each(ordered)
        kept = [one for one in candidates if one in best or one in ordered[:KEPT]]
        self._drop_others(candidates, kept, ordered)
        return kept

    def _second_round(self, arms: Sequence[Prescription | None]) -> list[Prescription | None]:
        """Return the arms to compare, after each was trained at every learning rate."""
        done, total = 0, len(arms) * len(self._plan.rates)
        for one in arms:
            tried = {}
            for rate in self._plan.rates:
                self._trials.tell("learning rates", done, total)
                done += 1
                trained = self._train(one, SEARCH_SEED, rate, self._part(SECOND_PART))
                if trained is None:
                    break
                tried[rate] = trained
            if one is not None and one.label in self._dropped:
                continue
            self._rates[_label(one)] = max(tried, key=lambda rate: tried[rate].rank)
            self._short[_label(one)] = tried[self._rates[_label(one)]]
        candidates = self._still_in([one for one in arms if one is not None and not _clips(one)])
        ordered = sorted(candidates, key=lambda one: self._short[one.label].rank, reverse=True)
        kept = _up_to_the_best(ordered)
        self._drop_others(candidates, kept, ordered)
        return [None, *kept, *self._still_in(self._clips)]

    def _over_seeds(self, arms: Sequence[Prescription | None]) -> None:
        """Train the arms over all seeds, seed by seed, so that what is cut short can still be compared."""
        seeds = range(SEARCH_SEED + 1, SEARCH_SEED + 1 + self._plan.seeds)
        for done, (seed, one) in enumerate((seed, one) for seed in seeds for one in arms):
            self._trials.tell("trainings over seeds", done, len(arms) * len(seeds))
            if _label(one) in self._dropped:
                continue
            trained = self._train(one, seed, self._rates.get(_label(one), 1.0), self._steps)
            if trained is None:
                self._compared.pop(_label(one), None)
            else:
                self._compared.setdefault(_label(one), []).append(trained)

    def _if_at_chance(self) -> None:
        """Train healthy arms for longer where none told the labels from chance: is it the labels, or the budget?

        At every learning rate, since the one that seemed best was chosen among scores at chance; until one learns the
        labels, at least those that it was given. The one that learnt most of them is kept.
        """
        known = self._evidence("")
        if known is None or not known.arms or any(beats_chance(known, arm) for arm in (known.baseline, *known.arms)):
            return
        healthy = [arm for arm in known.arms if arm.verdict == "healthy"]
        if known.chance is None:
            return
        ordered = sorted(healthy, key=lambda arm: arm.runs[0].train_score, reverse=True)
        tries = [(arm, rate) for arm in ordered for rate in self._rates_of(arm)]
        steps = max(LONGER, SHARE * self._steps)
        for done, (arm, rate) in enumerate(tries):
            self._trials.tell("longer trainings", done, len(tries))
            try:
                run = self._trials.train(arm.prescription, SEARCH_SEED, rate, steps).run
            except Failed:  # its trainings over seeds did not: they stand
                continue
            if self._longer is None or run.train_score > self._longer[1].train_score:
                self._longer = arm.label, run
            if told_from_chance(known, run) or fits_training(known, (run,)):
                self._longer = arm.label, run
                return

    def _train(self, one: Prescription | None, seed: int, rate: float, steps: int) -> Trained | None:
        """Return what came of a training; None, the change dropped, where it raised. Raise Failed for no change."""
        try:
            return self._trials.train(one, seed, rate, steps)
        except (Failed, UnsupportedError) as failed:
            if one is None:
                raise
            self._drop(one, f"its training failed: {failed}")
            return None

    def _still_in(self, candidates: Sequence[Prescription]) -> list[Prescription]:
        return [one for one in candidates if one.label not in self._dropped]

    def _rates_of(self, arm: Arm) -> list[float]:
        """Return the plan's learning rates, the one that the arm was compared at first."""
        chosen = self._rates.get(arm.label, 1.0)
        return [chosen, *(rate for rate in self._plan.rates if rate != chosen)]

    def _fit_into_budget(self, seconds: float, candidates: int) -> None:
        """Shorten the trainings where a first one says that not all of them fit into the time left."""
        left = self._trials.left
        if left is None:
            return
        arms = min(candidates, KEPT) + 2
        short = candidates + arms * len(self._plan.rates) * FIRST_PART / SECOND_PART
        needed = seconds * (short + min(arms, len(INVASIVENESS) + 2) * self._plan.seeds * FIRST_PART)
        if needed > left:
            self._steps = max(FEWEST_STEPS, int(self._steps * max(left, 0.0) / needed))

    def _part(self, part: int) -> int:
        return max(1, self._steps // part)

    def _drop(self, one: Prescription, reason: str, factor: float | None = None) -> None:
        self._dropped[one.label] = Dropped(prescription=one, reason=reason, transmission=factor)

    def _drop_others(
        self, candidates: Sequence[Prescription], kept: Sequence[Prescription], ordered: Sequence[Prescription]
    ) -> None:
        for one in candidates:
            if one not in kept:
                short, best = self._short[one.label], self._short[ordered[0].label].run
                words = f"{_signless(short.run.score)} after {short.run.steps} steps, the best {_signless(best.score)}"
                self._drop(one, words, short.transmission)

    def _evidence(self, cut: str) -> Evidence | None:
        trainer, compared = self._trials.trainer, self._compared
        plain = compared.get("") or ([self._short[""]] if "" in self._short else [])
        if not plain:
            return None
        known = {one.label: one for one in (*self._candidates, *self._clips)}
        arms = [arm_of(known[label], trained, plain) for label, trained in compared.items() if label]
        for label, one in known.items():
            if cut and label not in compared and label not in self._dropped:
                self._drop(one, f"not compared: {cut}")
        return Evidence(
            metric=trainer.metric,
            chance=trainer.chance,
            baseline=arm_of(None, plain, plain),
            arms=tuple(sorted(arms, key=lambda arm: arm.score, reverse=True)),
            dropped=tuple(self._dropped.values()),
            steps=max(run.run.steps for run in plain) if cut else self._steps,
            planned_steps=trainer.planned_steps,
            seeds=tuple(run.run.seed for run in plain),
            test=test_words(len(plain), len(arms)),
            seconds=time.monotonic() - self._trials.started,
            held_out=self._trials.held_out,
            longer=self._longer,
        )


def _signless(score: float) -> str:
    """Return an accuracy, or a loss (its score is minus the loss)."""
    return f"{abs(score):.3f}" if math.isfinite(score) else "no number"


def _label(one: Prescription | None) -> str:
    return "" if one is None else one.label


def _clips(one: Prescription) -> bool:
    return all(isinstance(edit, Clip) for edit in one.edits)


def _best_of_each(ordered: Sequence[Prescription]) -> list[Prescription]:
    """Return the first of each invasiveness, the least invasive first."""
    found = (next((one for one in ordered if one.invasiveness == size), None) for size in INVASIVENESS)
    return [one for one in found if one is not None]


def _up_to_the_best(ordered: Sequence[Prescription]) -> list[Prescription]:
    """Return the best of each invasiveness that is not larger than that of the best of all."""
    largest = INVASIVENESS.index(ordered[0].invasiveness) if ordered else 0
    return [one for one in _best_of_each(ordered) if INVASIVENESS.index(one.invasiveness) <= largest]
