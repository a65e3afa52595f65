"""Statistics of inputs and labels: closed forms of known distributions, hand-made columns."""

import math

import numpy as np
import pytest

from unvanish.core.data_stats import chance_loss, data_info, label_kind


def test_input_moments_of_the_uniform_distribution():
    x = np.random.default_rng(0).random((4000, 50))
    info = data_info(x, np.zeros((4000, 1)), samples=4000, held_out=0, batch_size=32, loss_kind="binary_crossentropy")
    assert info.input_second_moment == pytest.approx(1 / 3, rel=0.01, abs=0)
    assert info.input_cross_moment == pytest.approx(1 / 4, rel=0.01, abs=0)
    assert (info.label_kind, info.input_nonfinite, info.label_nonfinite) == ("binary", 0, 0)


def test_values_that_are_not_numbers_are_counted():
    x, y = np.ones((10, 2)), np.zeros((10, 1))
    x[3, 0], y[4, 0] = np.nan, np.inf
    info = data_info(x, y, samples=10, held_out=0, batch_size=2, loss_kind="mean_squared_error")
    assert (info.input_nonfinite, info.label_nonfinite) == (1, 1)
    assert (info.input_min, info.input_max) == (1.0, 1.0)


def test_structured_inputs_stay_unknown():
    info = data_info({"a": np.ones(3)}, None, samples=3, held_out=0, batch_size=1, loss_kind="other")
    assert info.input_second_moment is None
    assert info.label_kind == "unknown"
    labelled = data_info({"a": np.ones(3)}, np.eye(3), samples=3, held_out=0, batch_size=1, loss_kind="other")
    assert (labelled.label_kind, labelled.label_min, labelled.label_max) == ("multilabel", 0.0, 1.0)


def test_spreads_are_per_feature_and_leave_constant_ones_out():
    """A uniform variable has sd 1/sqrt(12), a fair coin 1/2; a shift by a million changes neither."""
    rng = np.random.default_rng(3)
    x = np.stack([rng.random(1000), 1e6 + rng.permutation([0.0, 1.0] * 500), np.full(1000, 7.0)], axis=1)
    info = data_info(x, None, samples=1000, held_out=0, batch_size=8, loss_kind="other")
    assert info.feature_sd_min == pytest.approx(1 / math.sqrt(12), rel=0.05, abs=0)
    assert info.feature_sd_max == pytest.approx(0.5, rel=1e-6, abs=0)


def test_features_of_sequences_and_images_are_the_last_axis():
    """Positions differ by hundreds, the two channels only by what they hold at every position."""
    x = np.zeros((4, 2, 2))
    x[..., 0] = np.array([0.0, 600.0])[None, :]
    x[..., 1] = np.array([1.0, -1.0])[None, :]
    info = data_info(x, None, samples=4, held_out=0, batch_size=2, loss_kind="other")
    assert (info.feature_sd_min, info.feature_sd_max) == (1.0, 300.0)


def test_inputs_that_never_vary_have_no_spread():
    info = data_info(np.ones((5, 3)), None, samples=5, held_out=0, batch_size=2, loss_kind="other")
    assert info.feature_sd_min is None
    assert info.feature_sd_max is None


def test_the_labels_of_a_regression_have_a_range_and_a_spread():
    y = np.array([[0.0, 100.0], [2.0, 300.0]])
    info = data_info(np.ones((2, 2)), y, samples=2, held_out=0, batch_size=2, loss_kind="mean_squared_error")
    assert (info.label_kind, info.label_min, info.label_max, info.label_sd) == ("regression", 0.0, 300.0, 100.0)


def test_classes_have_a_range_but_no_spread():
    y = np.array([3, 1, 2])
    info = data_info(
        np.ones((3, 2)), y, samples=3, held_out=0, batch_size=2, loss_kind="sparse_categorical_crossentropy"
    )
    assert (info.label_kind, info.label_min, info.label_max, info.label_sd) == ("classes", 1.0, 3.0, None)


@pytest.mark.parametrize(
    ("kind", "labels", "chance"),
    [
        ("binary_crossentropy", [[0], [1], [1], [1]], -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))),
        ("categorical_crossentropy", np.eye(4)[[0, 1, 2, 3]], math.log(4)),
        ("sparse_categorical_crossentropy", [0, 0, 1, 1], math.log(2)),
        ("mean_squared_error", [[1.0], [3.0]], 1.0),
        ("mean_absolute_error", [[0.0], [0.0], [3.0]], 1.0),
        ("other", [[1.0]], None),
        ("binary_crossentropy", [[1], [1]], 0.0),
        ("binary_crossentropy", [[0, 1], [0, 0]], math.log(2) / 2),
        ("binary_crossentropy", [[3], [4]], None),  # no guess has the smallest loss: it falls without end
        ("binary_crossentropy", [[-1], [1]], None),
        ("categorical_crossentropy", [[0, 2], [1, 1]], None),
        ("mean_squared_error", [[0.1]] * 7, 0.0),
        ("mean_squared_error", [[1e8], [1e8 + 8]], 16.0),
    ],
)
def test_chance_is_the_best_constant_prediction(kind, labels, chance):
    found = chance_loss(kind, np.asarray(labels, dtype="float32"))
    assert found == (None if chance is None else pytest.approx(chance, rel=1e-6, abs=0))


@pytest.mark.parametrize(
    ("loss_kind", "labels", "kind"),
    [
        ("sparse_categorical_crossentropy", None, "classes"),
        ("other", None, "unknown"),
        ("other", [0, 1, 1], "binary"),
        ("other", [[0, 1], [1, 1]], "multilabel"),
        ("binary_crossentropy", [[0.2], [0.7]], "binary"),
        ("mean_squared_error", [0.5, 2.0], "regression"),
        ("other", [0.5, 2.0], "unknown"),
    ],
)
def test_kinds_of_labels(loss_kind, labels, kind):
    assert label_kind(loss_kind, None if labels is None else np.asarray(labels)) == kind


def test_no_labels_no_chance():
    assert chance_loss("mean_squared_error", None) is None
    assert chance_loss("mean_squared_error", np.zeros((0, 1))) is None
    assert chance_loss("mean_squared_error", [[1.0], [3.0]]) is None
