"""Look for the smallest change that helps: forecast, look at the first step, short trainings, trainings over seeds."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence

import msgspec

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.edit import INVASIVENESS, AddResidual, Invasiveness, Prescription, other_rate
from unvanish.core.evidence import Arm, Dropped, Evidence, Run
from unvanish.errors import UnsupportedError
from unvanish.trial.better import (
    ERRORS,
    beats_chance,
    binomial_error,
    fits_training,
    is_better,
    is_sufficient,
    test_words,
    told_from_chance,
)
from unvanish.trial.better import SHARE as SHARE_OF_GAIN
from unvanish.trial.changes import clips, is_rate, keeps_lengths, label_of, name_of, sick_forecast, signless, size_of
from unvanish.trial.job import Runner
from unvanish.trial.plan import PART, SHARE, Plan
from unvanish.trial.rates import best_of
from unvanish.trial.short import SEARCH_SEED, Short
from unvanish.trial.trainer import Trainer
from unvanish.trial.trials import Failed, Judge, Progress, Spent, Trained, Trials, arm_of, transmission

ALIKE = 3
"""Of one invasiveness, so many are trained at most, the next one where those before it did not do well; one alone, once
a change is proven."""
MORE = 2
"""Seeds added for a change that is better with every one of the plan's, and not yet beyond their noise."""
OF_THE_STEP = "untrainable-step"
"""What a network is called whose gradients are well, and whose step is not."""
LONGER = 1000
"""Steps from which on labels without signal are told from learnable ones with 200 held-out samples (see GF901)."""


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
    run: Runner | None = None,
) -> Searched:
    """Try the candidates, and return what was measured.

    run: trains what does not depend on each other; None: the trainer does, one after another. Results are the same.

    A candidate that lets the network begin as an isometry comes first: it mostly shows what can be reached. Then the
    least invasive ones: of each invasiveness candidates are taken in their order until one is healthy and better after
    a short training (half of the steps); a candidate whose forecast or first step is sick is not trained. The best of
    each gets every learning rate of the plan (short trainings again), and is compared with the untreated network over
    the plan's seeds; once a change is proven, only smaller ones that come near it, and larger ones that seem better.
    Clipping is compared in any case. An empty list trains the untreated network alone.

    A change whose training raises is dropped, and says what was raised. Ctrl-C, a spent budget and the network as it is
    raising end the search; what was measured is returned, and `cut` says why.
    """
    return _Search(Trials(trainer, judge, progress, plan.seconds, run), candidates, plan).run()


class _Search:
    def __init__(self, trials: Trials, candidates: Sequence[Prescription], plan: Plan) -> None:
        self._trials, self._plan = trials, plan
        self._steps = plan.steps_of(trials.trainer.planned_steps)
        self._clips = [one for one in candidates if clips(one)][:1]
        self._candidates = [one for one in candidates if one not in self._clips]
        self._dropped: dict[str, Dropped] = {}
        self._short = Short(trials, plan)
        self._compared: dict[str, list[Trained]] = {}
        self._proven: list[Prescription] = []
        self._proven_seconds: float | None = None
        """After which the first was."""
        self._longer: tuple[str, Run] | None = None

    def run(self) -> Searched:
        cut = ""
        try:
            self._all()
        except KeyboardInterrupt:
            cut = "interrupted"
        except Spent:
            cut = "the budget was spent"
        except Failed as failed:  # of the network as it is: those of a change drop it
            cut = f"the training of the network as it is failed: {failed}"
        return Searched(evidence=self._evidence(cut), cut=cut)

    def _all(self) -> None:
        if not self._candidates and not self._clips:
            self._compare([None], self._plan.seeds)
            self._if_it_does_not_train()
            return
        started = time.monotonic()
        self._short.train(None, self._short_steps, 1.0)
        self._fit_into_budget(time.monotonic() - started)
        self._at_every_rate(None)
        first = next((one for one in self._candidates if keeps_lengths(one)), None)
        if first is not None and self._tried(first) and self._promises(first):
            self._prove(first)
        self._by_size()
        if not self._proven and self._slowed_down():
            self._by_size()
        for one in self._candidates:  # tried before anything was proven, and not as good
            if one in self._short and one.label not in self._compared and one.label not in self._dropped:
                self._drop_for(one, self._ceiling)
        for one in self._clips:
            self._at_every_rate(one)
        self._compare([None, *self._clips, *self._other_rate()], self._plan.seeds)
        self._if_at_chance()

    def _if_it_does_not_train(self) -> None:
        """Give the network as it is other learning rates where its gradients are well and it stays at chance."""
        known = self._evidence("")
        if known is not None and math.isfinite(known.baseline.score) and not beats_chance(known, known.baseline):
            self._at_every_rate(None)
            for one in self._other_rate():
                self._prove(one)

    def _by_size(self) -> None:
        """Take the best of each invasiveness, and compare them where none of them was proven at once."""
        best = [one for size in INVASIVENESS if (one := self._best_of(size)) is not None]
        if not self._proven:
            self._compare_up_to_the_best(best)

    def _slowed_down(self) -> bool:
        """Give the changes not compared a learning rate that the network as it is stands; say whether there is one.

        Where the step is too large, no other change shows what it can do at the user's own rate.
        """
        tried = {one.rate: self._short.first(one) for one in self._candidates if is_rate(one) and one in self._short}
        known = tried | self._short.at_rates(None)
        rate = best_of(known)
        if self._short.first(None).verdict != OF_THE_STEP or known[rate].verdict != "healthy" or rate >= 1.0:
            return False
        for number, one in enumerate(self._candidates):
            if not is_rate(one) and one.label not in self._compared:
                self._short.forget(one)
                self._dropped.pop(one.label, None)
                self._candidates[number] = one.at_rate(rate)
        return True

    def _best_of(self, size: Invasiveness) -> Prescription | None:
        """Return the best of one invasiveness; compared already where it is better than what is known."""
        tried: list[Prescription] = []
        unbeaten = self._unbeatable(size)
        for one in (one for one in self._candidates if one.invasiveness == size):
            if one in self._short:
                tried.append(one)
            elif one.label in self._dropped:
                continue
            elif unbeaten is not None:
                self._drop(one, f"cannot be much better than {unbeaten}")
            elif tried and (len(tried) == ALIKE or self._proven or self._promises(tried[-1])):
                better = tried[-1] in self._proven or self._promises(tried[-1])
                self._drop(one, f"{tried[-1].label} did well" if better else f"{tried[-1].label} did no better")
            elif self._tried(one):
                tried.append(one)
        best = max(tried, key=self._short.rank, default=None)
        for one in tried:
            if one is not best and one.label not in self._compared:
                self._drop_for(one, best)
        if best is not None and best.label not in self._compared:
            if self._promises(best):
                self._prove(best)
            elif self._proven:
                self._drop_for(best, self._ceiling)
        return best

    def _tried(self, one: Prescription) -> bool:
        """Train a change shortly, unless its forecast or its first step is sick; say whether it was trained."""
        sick = sick_forecast(one, len(self._trials.trainer.network.kernels))
        if sick:
            self._drop(one, sick)
            return False
        if not self._looks_well(one):
            return False
        self._trials.tell(f"{one.invasiveness}: {one.label}", len(self._compared), len(INVASIVENESS) + 1)
        self._short.train(one, self._short_steps, 1.0)
        failure = self._short.first(one).failure
        if failure:
            self._short.forget(one)
            self._drop(one, f"its training failed: {failure}")
        return not failure

    def _compare_up_to_the_best(self, best: Sequence[Prescription]) -> None:
        """Compare the best of each invasiveness, up to that of the best of all, where none was proven before."""
        if not best:
            return
        top = max(best, key=self._short.rank)
        for number, one in enumerate(best):
            if number <= best.index(top):
                self._prove(one)
            elif one.label not in self._compared:
                self._drop_for(one, top)

    @property
    def _ceiling(self) -> Prescription | None:
        """Return the best change that is proven."""
        scores = {label: statistics.median(one.run.score for one in runs) for label, runs in self._compared.items()}
        return max(self._proven, key=lambda one: scores[one.label], default=None)

    def _promises(self, one: Prescription) -> bool:
        """Say whether a comparison over seeds may change what is prescribed, as far as short trainings can tell.

        A change that is larger than the best one proven has to score higher, beyond noise; a smaller one has to come
        near it; the first has to beat the untreated network.
        """
        mine, plain, best = self._short.first(one), self._short.first(None), self._ceiling
        if mine.verdict != "healthy" or mine.run.stuck:
            return False
        known = plain if best is None else self._short.first(best)
        exact = self._trials.exact or not math.isfinite(known.run.score)
        noise = 0.0 if exact else ERRORS * binomial_error(known.run.score, self._trials.held_out)
        if best is None or size_of(one) >= size_of(best):
            return mine.run.score > known.run.score + noise
        gain = known.run.score - plain.run.score
        return mine.run.score - plain.run.score > (SHARE_OF_GAIN * gain if math.isfinite(gain) else 0.0) - noise

    def _unbeatable(self, size: Invasiveness) -> str | None:
        """Return the label of a change of at most this size that is proven, with nearly all that any could gain."""
        known = self._evidence("")
        if known is None or known.metric != "accuracy":
            return None
        most = SHARE_OF_GAIN * (1.0 - known.baseline.score)
        labels = {one.label for one in self._proven if size_of(one) <= INVASIVENESS.index(size)}
        return next((arm.label for arm in known.arms if arm.label in labels and known.gain(arm) >= most), None)

    def _looks_well(self, one: Prescription) -> bool:
        """Say whether the first step is that of a healthy network; drop it when it is not."""
        self._trials.tell(f"looking at the first step of {one.label}", len(self._compared), len(INVASIVENESS) + 1)
        try:
            found: Diagnosis = self._trials.look(one, SEARCH_SEED)
        except (UnsupportedError, Failed) as error:
            how = f"failed at the first step: {error}" if isinstance(error, Failed) else f"does not fit: {error.what}"
            self._drop(one, how)
            return False
        silent = any(isinstance(edit, AddResidual) for edit in one.edits)  # its gain is zero: judged after training
        if found.verdict in ("healthy", "undecided") or silent:
            return True
        self._drop(one, f"{found.verdict} at the first step", transmission(found))
        return False

    def _at_every_rate(self, one: Prescription | None) -> None:
        self._trials.tell(f"learning rates of {name_of(one)}", len(self._compared), len(INVASIVENESS) + 1)
        self._short.train_at_every_rate(one, self._short_steps)

    @property
    def _short_steps(self) -> int:
        return max(1, self._steps // PART)

    def _other_rate(self) -> list[Prescription]:
        """Return the untreated network at the learning rate that serves it best, where that is not the user's own."""
        tried = self._short.at_rates(None)
        best = best_of(tried)
        gain = tried[best].run.score - tried[1.0].run.score
        noise = ERRORS * binomial_error(tried[1.0].run.score, self._trials.held_out)
        if best == 1.0 or not gain > noise:
            return []
        one = other_rate(best)
        self._candidates = [*(known for known in self._candidates if known.label != one.label), one]
        self._dropped.pop(one.label, None)
        return [one]

    def _compare(self, arms: Sequence[Prescription | None], seeds: int) -> None:
        """Train the arms over so many seeds, seed by seed, so that what is cut short can still be compared."""
        wanted = [(seed, one) for seed in range(SEARCH_SEED + 1, SEARCH_SEED + 1 + seeds) for one in arms]
        new = [(seed, one) for seed, one in wanted if seed > len(self._compared.get(label_of(one), []))]
        trainings = self._trials.train_all([(one, seed, self._short.rate_of(one)) for seed, one in new], self._steps)
        for done, (_, one) in enumerate(new):
            self._trials.tell(f"{name_of(one)} over seeds", done, len(new))
            self._compared[label_of(one)] = [*self._compared.get(label_of(one), []), next(trainings)]

    def _prove(self, one: Prescription) -> None:
        """Compare a change with the untreated network, and note the first that is sufficient.

        One that is healthy and better with every seed, and not yet beyond their noise, gets MORE of them.
        """
        self._at_every_rate(one)
        for seeds in (self._plan.seeds, self._plan.seeds + MORE):
            self._compare([None, one], seeds)
            known = self._evidence("")
            assert known is not None, "the untreated network was trained"
            arm = next((arm for arm in known.arms if arm.label == one.label), None)
            if arm is None:  # a training of it failed
                return
            if is_sufficient(known, arm):
                self._proven.append(one)
                self._proven_seconds = self._proven_seconds or time.monotonic() - self._trials.started
                return
            always = all(mine > plain for mine, plain in zip(arm.scores, known.baseline.scores, strict=False))
            if is_better(known, arm) or arm.verdict != "healthy" or not always:
                return

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
            run = self._trials.train(self._known[arm.label], SEARCH_SEED, rate, steps).run  # without its own rate
            if run.train_score > (-math.inf if self._longer is None else self._longer[1].train_score):
                self._longer = arm.label, run
            if told_from_chance(known, run) or fits_training(known, (run,)):
                self._longer = arm.label, run
                return

    def _rates_of(self, arm: Arm) -> list[float]:
        """Return the plan's learning rates, the one that the arm was compared at first."""
        first = self._short.rate_of(self._known[arm.label])
        return [first, *(rate for rate in self._plan.rates if rate != first)]

    def _fit_into_budget(self, seconds: float) -> None:
        """Shorten the trainings where a first one says that what is usual does not fit into the time left."""
        arms = min(len(self._candidates), len(INVASIVENESS)) + len(self._clips) + 1
        self._steps = self._plan.steps_within(self._trials.left, self._steps, arms, seconds)

    @property
    def _known(self) -> dict[str, Prescription]:
        return {one.label: one for one in (*self._candidates, *self._clips)}

    def _drop(self, one: Prescription, reason: str, factor: float | None = None) -> None:
        self._dropped[one.label] = Dropped(prescription=one, reason=reason, transmission=factor)

    def _drop_for(self, one: Prescription, other: Prescription | None) -> None:
        short = self._short.best(one)
        words = f"{signless(short.run.score)} after {short.run.steps} steps"
        if other is not None and other is not one:
            words += f", {other.label} {signless(self._short.best(other).run.score)}"
        self._drop(one, words, short.transmission)

    def _at_its_rate(self, one: Prescription) -> Prescription:
        """Return the change with the learning rate that it was compared at: part of what is prescribed."""
        return one.at_rate(self._short.rate_of(one))

    def _evidence(self, cut: str) -> Evidence | None:
        trainer, compared = self._trials.trainer, self._compared
        plain = compared.get("") or list(self._short.at_rates(None).values())[:1]
        if not plain:
            return None
        known = self._known
        failed = {label: one.failure for label, trained in compared.items() for one in trained if one.failure}
        arms = [
            arm_of(self._at_its_rate(known[label]), trained, plain)
            for label, trained in compared.items()
            if label and label not in failed
        ]
        for label, failure in failed.items():
            self._drop(known[label], f"its training failed: {failure}")
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
            usual_steps=self._plan.steps_of(trainer.planned_steps),
            usual_seeds=self._plan.seeds,
            seeds=tuple(run.run.seed for run in plain),
            test=test_words(),
            seconds=time.monotonic() - self._trials.started,
            proven_seconds=self._proven_seconds,
            held_out=self._trials.held_out,
            longer=self._longer,
        )
