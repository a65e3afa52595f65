"""What labels ask of outputs, and how well that is met: by hand, and against numpy."""

import numpy as np
import pytest

from unvanish.core.task import task_of


@pytest.mark.parametrize(
    ("labels", "outputs", "kind"),
    [
        ([0, 1, 1], 1, "binary"),
        ([[-1], [1], [1]], 1, "binary"),
        ([1, 1, 1], 1, "binary"),
        ([0, 0, 0], 1, "binary"),
        ([0, 2, 1], 3, "classes"),
        ([[1, 0], [0, 1], [1, 0]], 2, "classes"),
        ([[0.9, 0.1], [0.2, 0.8], [1, 0]], 2, "classes"),
        ([[1, 1], [0, 1], [0, 0]], 2, "classes"),
        ([0.5, 1.5, 3.0], 1, "regression"),
        ([[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]], 2, "regression"),
    ],
)
def test_kinds_of_labels(labels, outputs, kind):
    assert task_of(np.array(labels), outputs).kind == kind


def test_binary_labels_of_one_kind_are_told_apart_from_each_other():
    assert task_of(np.zeros(3), 1).labels.tolist() == [[False]] * 3
    assert task_of(np.ones(3), 1).labels.tolist() == [[True]] * 3
    assert task_of(np.array([-1, 1]), 1).labels.tolist() == [[False], [True]]


@pytest.mark.parametrize(("labels", "outputs"), [([0, 5], 3), ([[1, 2]], 3), (["a", "b"], 2)])
def test_labels_that_do_not_fit_the_outputs_have_no_task(labels, outputs):
    assert task_of(np.array(labels), outputs) is None


@pytest.mark.parametrize("y", [None, [0, 1], (0, 1), {"a": np.zeros(2)}])
def test_what_is_no_array_of_labels_has_no_task(y):
    assert task_of(y, 1) is None


def test_scores_are_half_for_chance_and_one_for_the_right_order():
    binary = task_of(np.array([0, 1, 0, 1]), 1)
    assert binary.score(np.array([[0.1], [0.9], [0.2], [0.8]])) == 1.0
    assert binary.score(np.zeros((4, 1))) == 0.5
    classes = task_of(np.array([0, 1, 2]), 3)
    assert classes.score(np.eye(3)) == 1.0
    numbers = task_of(np.array([1.0, 2.5, 7.0]), 1)
    assert numbers.score(np.array([[30.0], [20.0], [10.0]])) == 0.0
    assert numbers.score(np.array([[np.nan], [20.0], [10.0]])) is None


def test_the_spread_under_chance_is_that_of_permuted_labels():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(40, 1))
    for labels in (rng.permutation([0, 1] * 20), rng.normal(size=40)):
        scores = [task_of(rng.permutation(labels), 1).score(outputs) for _ in range(3000)]
        expected = float(np.std(scores))
        assert task_of(labels, 1).score_sd(outputs) == pytest.approx(expected, rel=0.05, abs=0)
    several = np.arange(40) % 4
    outputs = rng.normal(size=(40, 4))
    scores = [task_of(rng.permutation(several), 4).score(outputs) for _ in range(3000)]
    assert task_of(several, 4).score_sd(outputs) == pytest.approx(float(np.std(scores)), rel=0.05, abs=0)


def test_accuracy_counts_samples_in_their_class():
    binary = task_of(np.array([0, 1, 1, 1]), 1)
    assert binary.accuracy(np.array([[0.4], [0.6], [0.4], [0.6]]), 0.5) == 0.75
    classes = task_of(np.array([2, 1]), 3)
    assert classes.accuracy(np.array([[0.1, 0.2, 0.7], [0.5, 0.2, 0.3]]), 0.5) == 0.5
    assert task_of(np.array([[1, 1], [0, 1]]), 2).accuracy(np.eye(2), 0.5) is None
    assert task_of(np.array([0.5, 1.5, 3.0]), 1).accuracy(np.zeros((3, 1)), 0.5) is None
    assert binary.accuracy(np.full((4, 1), np.inf), 0.5) is None


def test_a_part_keeps_the_kind():
    part = task_of(np.array([[1, 1], [0, 1], [0, 0]]), 2).part(slice(0, 2))
    assert (part.kind, part.exclusive, part.labels.tolist()) == ("classes", False, [[True, True], [False, True]])
