"""Train copies of a Keras model, with a prescription or without, over seeds, on batches that are drawn by ourselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from unvanish.core.data_stats import nonfinite
from unvanish.core.digest import digest
from unvanish.core.edit import Edit, OfWeights, Prescription, Redraw, ScaleRate
from unvanish.core.evidence import Run
from unvanish.core.measures.stuck import stuck
from unvanish.core.observation import DataInfo, Observation
from unvanish.core.patch import Mirrored
from unvanish.core.recording import Recording
from unvanish.errors import UnsupportedError
from unvanish.keras.alike import require_alike
from unvanish.keras.aside import aside
from unvanish.keras.batches import Batches
from unvanish.keras.describe import describe
from unvanish.keras.draw import Values, carry_untrained, drawn
from unvanish.keras.given_weights import given_weights
from unvanish.keras.graph import leaves
from unvanish.keras.info import optimizer_info
from unvanish.keras.mirrors import layouts
from unvanish.keras.observe import first_look, observe, probe_whole
from unvanish.keras.reading import read
from unvanish.keras.recompile import recompiled, schedule_of
from unvanish.keras.requirements import require_model, require_repeatable
from unvanish.keras.scoring import Scorer
from unvanish.keras.source import source_of
from unvanish.keras.standardise import measured
from unvanish.keras.surgery import operated
from unvanish.keras.training import train
from unvanish.keras.trial_copy import TrialCopy
from unvanish.keras.weights import array_of
from unvanish.watching.session import Plan

PROBED, SAMPLES = 3, 64
"""Batches of a look, the first ones of the training that it belongs to: as many as hold so many samples, at most 3."""

SAMPLE = 256
"""Training samples of which an initialisation that measures is shown the inputs, the same ones for all seeds."""

_KEPT = 2**25
"""Weights of untrained copies that are kept in memory at most, in entries."""


class _Start(NamedTuple):
    """Hold a copy before its first step."""

    values: Values
    seen: Observation
    loss: float
    """Held out."""


class KerasTrainer:
    """Hold a model that is only read, its data, and one compiled copy for each architecture that is tried.

    Initialisations, seeds and learning rates share a copy: weights are assigned, optimizer and metrics put back to
    their start. The user's model, optimizer and random states stay what they are, to the bit.
    """

    def __init__(
        self, model: Any, batches: Batches, planned_steps: int | None = None, *, believed: bool = False
    ) -> None:
        """model: built and compiled. planned_steps: of the user's own training. believed: copies were compared already.

        Raise UsageError for a model that could not be trained, UnsupportedError for one whose training cannot be
        repeated or compared, and for data that cannot be kept.
        """
        require_model(model)
        require_repeatable(model)
        self._model, self._batches = model, batches.for_trials()
        with aside(model, 0):
            read(model, self._batches.take(1)[0][0])
            self.network = describe(model)
        self.planned_steps = planned_steps
        self._copies: dict[tuple[tuple[Edit, ...], float], TrialCopy] = {}
        self._starts: dict[tuple[tuple[Edit, ...], int], _Start] = {}
        self._measured: dict[Prescription, tuple[Edit, ...]] = {}
        self._sample = self._batches.train_sample(SAMPLE)[0]
        self._scorer = Scorer(model, self._batches)
        with aside(model, 0):
            plain = self._copy(None, self.learning_rate())
            self.notes = _told(given_weights(model, plain.made))
            if not believed:
                require_alike(model, plain.model, plain.made, self._batches.take(1)[0])

    @property
    def metric(self) -> str:
        """Return what a score is: `accuracy`, or `loss` (then it is minus the loss)."""
        return self._scorer.metric

    @property
    def chance(self) -> float | None:
        """Return the score of the best constant answer; None where it is not known."""
        return self._scorer.chance

    def learning_rate(self) -> float:
        """Return that of the user's optimizer; of a schedule the highest of the planned steps."""
        optimizer = self._model.optimizer
        schedule = schedule_of(optimizer)
        if schedule is None:
            return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        last = self.planned_steps or 1000
        with aside(self._model, 0):
            rates = [float(keras.ops.convert_to_numpy(schedule(last * part // 100))) for part in range(100)]
        return max(rates)

    def look(self, prescription: Prescription | None, seed: int) -> Observation:
        """Return what is seen of a fresh copy before its first step, on the first batches that it would be trained on.

        Raise UnsupportedError where the prescription cannot be carried out on this model.
        """
        with aside(self._model, seed):
            return self._start(prescription, seed).seen

    def watch(self, seed: int) -> Observation:
        """Return what `check` sees of the first steps of a copy of the model as it is."""
        with aside(self._model, seed):
            start, copy = self._start(None, seed), self._copy(None, self.learning_rate())
            copy.reset(start.values, self.learning_rate())
            plan = Plan()
            steps = plan.limit(self.planned_steps)
            return observe(
                copy.model,
                self._batches,
                plan,
                lambda *_: None,
                lambda: train(copy.model, self._batches, steps, seed),
                planned=self.planned_steps,
            )[0]

    def train(
        self, prescription: Prescription | None, seed: int, learning_rate: float, steps: int
    ) -> tuple[Run, Observation]:
        """Train a fresh copy; return the run, and what was seen of it before and after.

        Weights and the order of the batches are drawn from the seed alone. A loss that stops being a number ends the
        training; its score is -inf. Raise as `look` does.
        """
        with aside(self._model, seed):
            values, seen, before = self._start(prescription, seed)
            copy = self._copy(prescription, learning_rate)
            copy.compile()
        with aside(self._model, seed):  # anew: what is only done once, and draws, must not count
            copy.reset(values, learning_rate)
            trained = copy.train(seed, steps, lambda model: self._scorer.training(model).loss)
            whole = math.isfinite(trained.losses[-1])
            after, training = self._scorer.held_out(copy.model), self._scorer.training(copy.model)
            last = probe_whole(copy.model, self._first_batches(seed), trained.steps)
            used = optimizer_info(copy.model.optimizer)
        run = Run(
            seed=seed,
            learning_rate=learning_rate,
            steps=trained.steps,
            loss_before=before,
            loss=after.loss if whole else math.nan,
            loss_parts=after.parts if whole else (),
            score=after.score if whole else -math.inf,
            train_score=training.score if whole else -math.inf,
            stuck=stuck(trained.losses, None if self._model.losses else seen.loss.chance),
            seconds=trained.seconds,
        )
        recording = Recording(layers=(), sizes=(), steps=(), losses=(), rows={}, total_steps=trained.steps)
        profiles = (*seen.profiles, last)
        return run, replace(seen, profiles=profiles, recording=recording, optimizer=used)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return, by name, the values of the model's variables and all data. Not to be written to."""
        values = {
            f"variable {number}": np.array(keras.ops.convert_to_numpy(variable))
            for number, variable in enumerate(self._model.variables)
        }
        return values | self._batches.leaves()

    def fingerprint(self) -> str:
        """Return a digest of all data, and of the weights that no training draws anew."""
        fixed = {f"weight {n}": np.asarray(array_of(w)) for n, w in enumerate(self._model.non_trainable_weights)}
        return digest(self._batches.leaves() | fixed)

    def with_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> KerasTrainer:
        """Return a trainer with these in the place of its own, the model's variables overwritten by them.

        Raise UnsupportedError where one is not there, or of another shape.
        """
        own = self.arrays()
        for name, array in arrays.items():
            if name not in own or own[name].shape != array.shape or own[name].dtype != array.dtype:
                mine = f"{own[name].dtype} {own[name].shape}" if name in own else "none"
                raise UnsupportedError(
                    "another run of the script gave another model, or other data",
                    found=f"{name}: {mine} instead of {array.dtype} {array.shape}",
                    hint="seed what draws their sizes",
                )
        for number, variable in enumerate(self._model.variables):
            if f"variable {number}" in arrays:
                variable.assign(arrays[f"variable {number}"])
        return KerasTrainer(self._model, self._batches.with_leaves(arrays), self.planned_steps, believed=True)

    def fresh(self, prescription: Prescription | None, seed: int) -> Any:
        """Return a new model with the prescription, weights drawn from the seed, compiled as the user's own is."""
        edits, values = self._edits(prescription), self._drawn(prescription, seed)
        with aside(self._model, seed):
            copy = operated(self._model, edits)
            carry_untrained(self._model, copy)
            new = copy.model
            for variable, value in zip(new.variables, values, strict=True):
                variable.assign(value)
            return recompiled(new, self._model, edits, made=copy.made)

    def source(self, prescription: Prescription | None) -> str:
        """Return the Python source of the model with the prescription; raise UnsupportedError where it has none."""
        return source_of(self._model, self._edits(prescription))

    def constant_rate(self) -> float | None:
        """Return the user's learning rate; None where it is a schedule."""
        return self.learning_rate() if schedule_of(self._model.optimizer) is None else None

    def mirrors(self, prescription: Prescription) -> dict[str, Mirrored]:
        """Return the layout of each looks-linear kernel of the prescription; raise UnsupportedError where none fits."""
        edits = [e for e in self._edits(prescription) if isinstance(e, Redraw) and e.scheme == "looks_linear"]
        told: dict[str, Mirrored] = {}
        if edits:
            with aside(self._model, 0):
                found, outputs = leaves(operated(self._model, self._edits(prescription)).model)
            for edit in edits:
                told |= layouts(found, outputs, edit)
        return told

    def _drawn(self, prescription: Prescription | None, seed: int) -> Values:
        return drawn(self._model, self._edits(prescription), seed, self._sample)

    def _copy(self, prescription: Prescription | None, learning_rate: float) -> TrialCopy:
        """Return the copy whose compiled train function this training may use."""
        kept = tuple(edit for edit in self._edits(prescription) if not isinstance(edit, OfWeights | ScaleRate))
        scaled = schedule_of(self._model.optimizer) is not None
        factor = float(f"{learning_rate / self.learning_rate():.5g}") if scaled else 1.0
        if (kept, factor) not in self._copies:
            self._copies[kept, factor] = TrialCopy(self._model, kept, self._batches, factor)
        return self._copies[kept, factor]

    def _start(self, prescription: Prescription | None, seed: int) -> _Start:
        """Return what a training begins with; kept, since other learning rates and lengths begin with the same."""
        key = self._edits(prescription), seed
        if key not in self._starts:
            values = self._drawn(prescription, seed)
            copy = self._copy(prescription, self.learning_rate())
            with aside(self._model, seed):  # anew: making the copy drew, if it was made now
                copy.reset(values, self.learning_rate() * (1.0 if prescription is None else prescription.rate))
                drawn = self._first_batches(seed)
                seen = first_look(copy.model, self._batches, drawn, self.planned_steps, lambda *_: None)
                seen = replace(seen, data=self._with_held_out(seen.data))
                loss = self._scorer.held_out(copy.model).loss
            most = max(1, _KEPT // max(1, self._model.count_params()))
            while len(self._starts) >= most:
                self._starts.pop(next(iter(self._starts)))
            self._starts[key] = _Start(values, seen, loss)
        return self._starts[key]

    def _with_held_out(self, data: DataInfo) -> DataInfo:
        """Return the data with the held-out values that are not finite counted in: no score can be taken on them."""
        x, y = (nonfinite(part) for part in self._scorer.samples)
        return replace(data, input_nonfinite=data.input_nonfinite + x, label_nonfinite=data.label_nonfinite + y)

    def _first_batches(self, seed: int) -> list[Any]:
        batches = min(PROBED, -(-SAMPLES // self._batches.batch_size))
        return list(self._batches.epochs_order(batches, seed))

    def _edits(self, prescription: Prescription | None) -> tuple[Edit, ...]:
        """Return what the prescription edits, with the numbers that are measured on the training inputs."""
        if prescription is None:
            return ()
        if prescription not in self._measured:
            self._measured[prescription] = measured(prescription.edits, self._batches.training_arrays()[0])
        return self._measured[prescription]


def _told(layers: Sequence[str]) -> tuple[str, ...]:
    """Return what is to be known where weights were given: no trial begins with them."""
    if not layers:
        return ()
    few = ", ".join(layers[:3]) + (f" ... ({len(layers)})" if len(layers) > 3 else "")
    return (
        f"the weights of {few} were loaded, trained before or set by hand; all trainings here draw them anew from "
        "their initializers, that of the network as it is too; a frozen layer would keep them",
    )
