"""Everything that was seen of one training: the only thing a rule is given."""

from __future__ import annotations

import msgspec

from unvanish.core.forecast import Forecast
from unvanish.core.network import Network
from unvanish.core.profile import Profile
from unvanish.core.recording import Recording


class OptimizerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Describe the optimizer by its family (found by what it is, never by its class name)."""

    name: str
    """As the user wrote it, for display."""
    family: str
    """`sgd`, `adam` (its relatives too), `rmsprop`, `adagrad`, `adadelta`, `other`."""
    learning_rate: float
    epsilon: float | None = None
    """The constant added to the denominator; None where there is none."""
    momentum: float = 0.0
    beta_1: float | None = None
    beta_2: float | None = None
    dynamic_loss_scale: bool = False
    """Whether a step whose gradients overflow is skipped and the loss scale lowered (half precision)."""
    clipping: str | None = None
    """For example `norm 1.0`; None when nothing is clipped."""


class LossInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Describe the loss and what guessing would give."""

    kind: str
    """`binary_crossentropy`, `categorical_crossentropy`, `mean_squared_error`, `other`, ..."""
    chance: float | None = None
    """Loss of the best constant prediction on the training labels; None when it is not known."""
    head: str = "linear"
    """Activation of the output layer."""
    from_logits: bool | None = None
    """Whether the loss applies the sigmoid or softmax itself; None when it is not known or makes no difference."""
    units: int | None = None
    """Width of the last axis of the output: outputs per sample, and per position where there are several."""


class DataInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Describe the training inputs and labels."""

    samples: int | None
    """None when the data are a stream."""
    held_out: int = 0
    batch_size: int = 32
    input_second_moment: float | None = None
    """q0: mean of x^2 over features and samples."""
    input_cross_moment: float | None = None
    """k0: mean over pairs of different samples of the inner product / features."""
    input_min: float | None = None
    input_max: float | None = None
    feature_sd_min: float | None = None
    """Standard deviation over samples of the input feature that varies least, constant ones left out."""
    feature_sd_max: float | None = None
    """The same of the one that varies most."""
    label_min: float | None = None
    label_max: float | None = None
    label_sd: float | None = None
    """Standard deviation of the labels over samples, of the target that varies most; None where they are classes."""
    input_nonfinite: int = 0
    label_nonfinite: int = 0
    label_kind: str = "unknown"
    """`binary`, `multilabel`, `classes`, `regression`, `unknown`."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how well outputs order the labels: area under the ROC curve (binary; mean one-against-rest for classes).

    Regression: (1 + rank correlation) / 2, so that 0.5 is chance everywhere.
    """

    step: int
    train: float | None
    """On as many training samples as there are held-out ones, with batch statistics."""
    train_samples: int
    held_out: float | None
    """As `evaluate` computes it: moving averages in batch normalisations."""
    held_out_batch_statistics: float | None
    """The same samples, batch normalisations using the statistics of the batch."""
    held_out_samples: int
    held_out_sd: float | None
    """Standard deviation of such a score under chance (Mann-Whitney)."""
    held_out_loss: float | None = None
    held_out_loss_batch_statistics: float | None = None
    train_accuracy: float | None = None
    held_out_accuracy: float | None = None
    held_out_accuracy_batch_statistics: float | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """Hold all records of one training. Profiles are in order of their step; the first is at step 0."""

    network: Network
    forecast: Forecast | None = None
    """Filled in by api: an adapter sees no theory."""
    profiles: tuple[Profile, ...]
    recording: Recording
    optimizer: OptimizerInfo
    loss: LossInfo
    data: DataInfo
    evaluation: Evaluation | None = None
    planned_steps: int | None = None
    """Steps that the user's own fit would take; None when unknown."""
    not_checked: tuple[str, ...] = ()
    """What could not be looked at, in words."""
    left_out: tuple[str, ...] = ()
    """Of these, what the same optimizer trains beside the network: no verdict on the network is one on them."""
