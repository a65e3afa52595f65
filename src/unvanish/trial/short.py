"""The short trainings of a search: which change is worth comparing over seeds, and at which learning rate."""

from __future__ import annotations

from unvanish.core.edit import Prescription
from unvanish.trial.changes import is_rate, label_of
from unvanish.trial.plan import Plan
from unvanish.trial.rates import chosen, following
from unvanish.trial.trials import Trained, Trials

SEARCH_SEED = 0
"""Of the short trainings; the compared ones use others, so that no arm was chosen by what it is then judged by."""


class Short:
    """Take and keep short trainings: by change, and by learning rate as a multiple of the change's own."""

    def __init__(self, trials: Trials, plan: Plan) -> None:
        """Train nothing yet."""
        self._trials, self._plan = trials, plan
        self._known: dict[str, dict[float, Trained]] = {}

    def __contains__(self, one: Prescription | None) -> bool:
        """Say whether the change was trained."""
        return label_of(one) in self._known

    def at_rates(self, one: Prescription | None) -> dict[float, Trained]:
        """Return what came of the change, by learning rate; empty where it was not trained."""
        return self._known.get(label_of(one), {})

    def first(self, one: Prescription | None) -> Trained:
        """Return what came of the change at its own learning rate; raise KeyError where it was not trained."""
        return self._known[label_of(one)][1.0]

    def best(self, one: Prescription | None) -> Trained:
        """Return the best that came of the change; raise KeyError where it was not trained."""
        return max(self._known[label_of(one)].values(), key=lambda trained: trained.rank)

    def rank(self, one: Prescription) -> tuple[bool, float, float]:
        """Return what orders changes (see Trained.rank)."""
        return self.best(one).rank

    def forget(self, one: Prescription) -> None:
        """Take the change for one that was not trained."""
        self._known.pop(one.label, None)

    def train(self, one: Prescription | None, steps: int, *rates: float) -> None:
        """Train the change at those of the learning rates that it was not trained at. Raise as Trials.train_all."""
        known = self._known.setdefault(label_of(one), {})
        new = [rate for rate in dict.fromkeys(rates) if rate not in known]
        trainings = self._trials.train_all([(one, SEARCH_SEED, rate) for rate in new], steps)
        for rate, trained in zip(new, trainings, strict=True):
            known[rate] = trained

    def train_at_every_rate(self, one: Prescription | None, steps: int) -> None:
        """Give a change the learning rates that every one gets, and smaller ones while they are better still.

        One that is itself a learning rate has its own.
        """
        self.train(one, steps, 1.0, *(() if is_rate(one) else self._plan.rates))
        while not is_rate(one) and (rate := following(self.at_rates(one), self._plan.rates)) is not None:
            self.train(one, steps, rate)

    def rate_of(self, one: Prescription | None) -> float:
        """Return the learning rate to compare at, as a multiple of its own: of the untreated network that itself."""
        tried = self.at_rates(one)
        return 1.0 if one is None or 1.0 not in tried else chosen(tried, self._trials.exact, self._trials.held_out)
