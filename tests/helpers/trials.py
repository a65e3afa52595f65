"""A trainer whose outcomes are data: what each arm scores, in which verdict word its gradients end, what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from unvanish.core.diagnosis import Clear, Diagnosis, Finding
from unvanish.core.edit import AddNorm, AddResidual, Clip, Edit, Invasiveness, Prescription, SwapActivation
from unvanish.core.evidence import Arm, Evidence, Run
from unvanish.core.observation import Observation
from unvanish.errors import UnsupportedError
from unvanish.testing import diagnoses
from unvanish.testing.observations import Recipe, observation
from unvanish.trial.decide import Decision, decide
from unvanish.trial.plan import Plan
from unvanish.trial.search import Searched, search

ANSWERED = frozenset({"GF101", "GF601"})
CHANCE, HELD_OUT = 0.5, 200

EDITS: dict[str, Edit] = {
    "swap": SwapActivation(layers=("dense",), activation="tanh"),
    "norm": AddNorm(layers=("dense",), kind="batch_norm", before=True),
    "residual": AddResidual(layers=("dense",)),
    "clip": Clip(kind="global_norm", bound=1.0),
}


def change(name: str, size: Invasiveness = "one word", edit: str = "swap", **fields: object) -> Prescription:
    """Return a prescription that is told from others by its name alone."""
    known = {"name": name, "change": f"do {name}", "invasiveness": size, "edits": (EDITS[edit],), "answers": ("GF101",)}
    return Prescription(**(known | fields))  # type: ignore[arg-type]


CLIP = change("clip-gradient", "one line", "clip")


class Outcome:
    """Say how trainings with one change end. Seed s scores `score` + `spread` x (-1, 0, 1, ...)[s]."""

    def __init__(
        self,
        score: float,
        *,
        word: str = "healthy",
        first: str = "",
        spread: float = 0.01,
        train: float | None = None,
        rates: tuple[float, ...] = (1.0,),
        stuck: bool = False,
        fits: bool = True,
        fails_at: int | None = None,
        otherwise: str = "",
    ) -> None:
        """word, first: verdict after training and at the first step. rates: learning rates that it learns at.

        otherwise: verdict at all others, where it is another one.
        fails_at: which of its trainings raises, the first is 0; -1: its look does.
        """
        self.score, self.word, self.first, self.spread = score, word, first or word, spread
        self.train = score if train is None else train
        self.rates, self.stuck, self.fits, self.fails_at = rates, stuck, fits, fails_at
        self.otherwise = otherwise

    def learns_at(self, rate: float) -> bool:
        return any(math.isclose(rate, known, rel_tol=1e-6) for known in self.rates)

    def word_at(self, rate: float, word: str) -> str:
        return word if self.learns_at(rate) or not self.otherwise else self.otherwise


def plain(score: float = 0.5, **fields: object) -> Outcome:
    """Return the outcome of a network that vanishes and stays where it is."""
    return Outcome(score, **({"word": "vanishing", "spread": 0.0, "stuck": True} | fields))  # type: ignore[arg-type]


class FakeTrainer:
    """Train nothing; say what the table of outcomes says. Key "": the network as it is."""

    planned_steps: int | None = 800
    notes: tuple[str, ...] = ()
    metric = "accuracy"
    chance: float | None = CHANCE

    def __init__(self, outcomes: dict[str, Outcome], before: Callable[[int], None] = lambda number: None) -> None:
        """before: called with the number of the training that begins, to press Ctrl-C or to let time pass."""
        self.outcomes, self._before = outcomes, before
        self._seen = observation(Recipe())
        self.network = self._seen.network
        self.looks: list[str] = []
        self.trained: list[tuple[str, int, float, int]] = []

    def look(self, prescription: Prescription | None, seed: int) -> Observation:
        self.looks.append(_key(prescription))
        if not self.outcomes[_key(prescription)].fits:
            raise UnsupportedError("widths are odd", found="65 units")
        if self.outcomes[_key(prescription)].fails_at == -1:
            raise RuntimeError("the layer raised\n  second line")
        out, rate = self.outcomes[_key(prescription)], 1.0 if prescription is None else prescription.rate
        return self._observation(out.word_at(rate, out.first))

    def train(
        self, prescription: Prescription | None, seed: int, learning_rate: float, steps: int
    ) -> tuple[Run, Observation]:
        key = _key(prescription)
        self._before(len(self.trained))
        if self.outcomes[key].fails_at == sum(known == key for known, *_ in self.trained):
            raise RuntimeError("the loss raised\n  second line")
        self.trained.append((key, seed, learning_rate, steps))
        out = self.outcomes[key]
        score = out.score + out.spread * (seed % 3 - 1) if out.learns_at(learning_rate) else CHANCE
        run = Run(
            seed=seed,
            learning_rate=learning_rate,
            steps=steps,
            loss_before=0.7,
            loss=1 - score if math.isfinite(score) else math.nan,
            score=score,
            train_score=out.train,
            stuck=out.stuck,
            seconds=steps * 0.001,
        )
        return run, self._observation(out.word_at(learning_rate, out.word))

    def learning_rate(self) -> float:
        return 1.0

    def fingerprint(self) -> str:
        return ""

    def fresh(self, prescription: Prescription | None, seed: int) -> object:
        return prescription, seed

    def source(self, prescription: Prescription | None) -> str:
        return f"# {_key(prescription)}"

    def _observation(self, word: str) -> Observation:
        data = replace(self._seen.data, held_out=HELD_OUT)
        return replace(self._seen, data=data, not_checked=(word,))


def judge(seen: Observation) -> Diagnosis:
    """Return the verdict word that the fake trainer wrote into its observation."""
    word = seen.not_checked[0]
    factor = {"transmission_per_layer": 0.24 if word == "vanishing" else 1.0}
    if word == "vanishing":
        found = diagnoses.sick()
        return replace(found, findings=tuple(replace(f, evidence=factor) for f in found.findings), observation=seen)
    clear = (Clear(code="GF101", name="gradient-vanishes-with-depth", evidence=factor),)
    other = Finding(code="GF302", name="update-too-large", severity="error", message="the step is too large")
    told = () if word in ("healthy", "undecided") else (other,)
    return replace(
        diagnoses.healthy(), verdict=word, sentence=f"it is {word}", clear=clear, findings=told, observation=seen
    )


def evidence(baseline: Sequence[float], arms: dict[Prescription, Sequence[float]], **fields: object) -> Evidence:
    """Return evidence with these scores for seeds 1, 2, ...; all arms healthy, the baseline vanishing."""
    made = [_arm(one, scores) for one, scores in arms.items()]
    known = {
        "metric": "accuracy",
        "chance": CHANCE,
        "baseline": replace(_arm(None, baseline), verdict="vanishing", transmission=0.24),
        "arms": tuple(sorted(made, key=lambda arm: arm.score, reverse=True)),
        "dropped": (),
        "steps": 100,
        "planned_steps": 800,
        "seeds": tuple(range(1, len(baseline) + 1)),
        "test": "a test",
        "seconds": 1.0,
        "held_out": HELD_OUT,
    }
    return Evidence(**(known | fields))  # type: ignore[arg-type]


def _arm(one: Prescription | None, scores: Sequence[float]) -> Arm:
    runs = [
        Run(
            seed=seed,
            learning_rate=0.001,
            steps=100,
            loss_before=0.7,
            loss=1 - score,
            score=score,
            train_score=score,
            stuck=0 <= score <= CHANCE,
            seconds=0.1,
        )
        for seed, score in enumerate(scores, start=1)
    ]
    return Arm(prescription=one, runs=tuple(runs), verdict="healthy", transmission=1.0)


def _key(prescription: Prescription | None) -> str:
    return "" if prescription is None else prescription.label


def run(outcomes: dict[str, Outcome], *candidates: Prescription, **plan: object) -> tuple[FakeTrainer, Searched]:
    """Search among the candidates with a trainer of these outcomes; return both."""
    trainer = FakeTrainer({"": plain(), CLIP.label: plain(), **outcomes})
    return trainer, search(trainer, candidates, judge, Plan(**plan))  # type: ignore[arg-type]


def decided(searched: Searched) -> Decision:
    """Return what the search of a vanishing network comes to."""
    return decide(searched.evidence, diagnoses.sick(), ANSWERED, searched.cut)
