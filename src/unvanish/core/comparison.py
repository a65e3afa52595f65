"""Two networks side by side: two diagnoses, or what a cure made of one."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import msgspec

from unvanish.core import document
from unvanish.core.cured import Cured
from unvanish.core.diagnosis import Diagnosis, Severity
from unvanish.core.evidence import Arm
from unvanish.core.gradient_by_depth import GradientByDepth, gradient_by_depth
from unvanish.core.renderers import render
from unvanish.core.saving import save


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Name what a rule found."""

    code: str
    severity: Severity
    message: str


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is compared of one network. None: it is not known."""

    title: str
    change: str = ""
    """What a cure did to it; empty for a network as it is."""
    verdict: str
    sentence: str = ""
    transmission: float | None
    """Factor by which the gradient changes per layer, towards the input."""
    expected: float | None = None
    """The same, as theory expects it."""
    gradients: GradientByDepth | None
    loss_of: str
    """What the losses are of: `the probed batches`, `held-out samples`."""
    losses: tuple[tuple[float, float], ...] = ()
    """Before the first step and after the last one: a pair for each training."""
    steps: int = 0
    """Optimizer steps of each of them."""
    chance: float | None = None
    """Loss of the best constant guess."""
    metric: str = "loss"
    """What the scores are: `accuracy`, or `loss` (then they are minus the loss)."""
    scores: tuple[float, ...] = ()
    """Held-out, after the last step: one for each seed."""
    stuck: int | None = None
    """Seeds whose loss did not fall."""
    findings: tuple[Found, ...] | None
    """None: they were not kept."""

    @property
    def name(self) -> str:
        """Return the title, and what was changed."""
        return f"{self.title}, {self.change}" if self.change and self.title else self.change or self.title

    @property
    def first_over_last(self) -> float | None:
        """Return the first kernel's gradient norm over the output kernel's, at the initialisation."""
        return None if self.gradients is None else self.gradients.first_over_last

    @property
    def loss(self) -> float | None:
        """Return the median loss after the last step; one that is no number is above all that are."""
        last = [math.inf if math.isnan(after) else after for _, after in self.losses]
        return statistics.median(last) if last else None

    @property
    def score(self) -> float | None:
        """Return the median held-out score."""
        return statistics.median(self.scores) if self.scores else None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Hold two networks side by side."""

    before: Side
    after: Side
    version: str = ""

    @property
    def went(self) -> tuple[Found, ...] | None:
        """Return the findings of the first that the second does not have; None where those of one are not known."""
        return _without(self.before.findings, self.after.findings)

    @property
    def came(self) -> tuple[Found, ...] | None:
        """Return the findings of the second that the first does not have; None where those of one are not known."""
        return _without(self.after.findings, self.before.findings)

    @property
    def stayed(self) -> tuple[Found, ...] | None:
        """Return the findings of the second that the first has too; None where those of one are not known."""
        if self.before.findings is None or self.after.findings is None:
            return None
        known = {found.code for found in self.before.findings}
        return tuple(found for found in self.after.findings if found.code in known)

    @property
    def lower_losses(self) -> int:
        """Return in how many seeds the second's loss is lower: of pairs of the same seed, in their order.

        A number is lower than what is none.
        """
        pairs = [(one[1], other[1]) for one, other in zip(self.before.losses, self.after.losses, strict=False)]
        return sum(after < before or (math.isnan(before) and not math.isnan(after)) for before, after in pairs)

    @property
    def first_over_last_change(self) -> float | None:
        """Return what the first is multiplied by to give the second; None where there is no finite number."""
        before, after = self.before.first_over_last, self.after.first_over_last
        if not before or not after or not math.isfinite(after / before):
            return None
        return after / before

    @property
    def higher_scores(self) -> int:
        """Return in how many seeds the second's score is higher."""
        return sum(a > b for b, a in zip(self.before.scores, self.after.scores, strict=False))

    def __str__(self) -> str:
        """Return the terminal report as plain text, 80 columns."""
        return str(render("comparison text", self))

    def _repr_html_(self) -> str:
        return str(render("comparison html", self))

    def to_json(self) -> str:
        """Return the record as JSON, with its schema version."""
        return document.encode(self).decode()

    def save(self, path: str | Path) -> Path:
        """Write the report to a file; its ending chooses the form: .html, .json or .txt. Return the path.

        Raise UsageError for another ending.
        """
        return save(path, page=lambda: render("comparison page", self), json=self.to_json, text=lambda: str(self))


def side_of_diagnosis(diagnosis: Diagnosis) -> Side:
    """Return what is compared of a diagnosis."""
    seen = diagnosis.observation
    first, last = seen.profiles[0], seen.profiles[-1]
    return Side(
        title=diagnosis.title,
        verdict=diagnosis.verdict,
        sentence=diagnosis.sentence,
        transmission=diagnosis.transmission_per_layer,
        expected=diagnosis.forecast_transmission_per_layer,
        gradients=gradient_by_depth(seen.network, seen.profiles, seen.forecast),
        loss_of="the probed batches",
        losses=((first.loss, last.loss),) if last.step != first.step else (),
        steps=last.step,
        chance=seen.loss.chance,
        findings=tuple(Found(code=f.code, severity=f.severity, message=f.message) for f in diagnosis.findings),
    )


def side_of_arm(cured: Cured, arm: Arm) -> Side:
    """Return what is compared of one arm of a cure's trials."""
    assert cured.evidence is not None
    untreated = arm.prescription is None
    return Side(
        title=cured.title,
        change=arm.label,
        verdict=arm.verdict,
        sentence=cured.diagnosis.sentence if untreated else "",
        transmission=arm.transmission,
        expected=cured.expected(arm),
        gradients=arm.gradients,
        loss_of="held-out samples",
        losses=tuple((run.loss_before, run.loss) for run in arm.runs),
        steps=cured.evidence.steps,
        chance=cured.diagnosis.observation.loss.chance,
        metric=cured.evidence.metric,
        scores=arm.scores,
        stuck=arm.stuck,
        findings=None,
    )


def side_of_cured(cured: Cured) -> Side:
    """Return what is compared of a cure: the network with its prescription; without one the network as it is."""
    arm = cured.treated if cured.prescription is not None else None
    return side_of_diagnosis(cured.diagnosis) if arm is None else side_of_arm(cured, arm)


def before_and_after(cured: Cured) -> Comparison | None:
    """Return the untreated network beside the treated one; None where nothing was treated."""
    arm = cured.treated
    if cured.evidence is None or arm is None:
        return None
    return Comparison(
        before=side_of_arm(cured, cured.evidence.baseline), after=side_of_arm(cured, arm), version=cured.version
    )


def _without(some: tuple[Found, ...] | None, others: tuple[Found, ...] | None) -> tuple[Found, ...] | None:
    if some is None or others is None:
        return None
    known = {found.code for found in others}
    return tuple(found for found in some if found.code not in known)
