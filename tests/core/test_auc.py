"""The ordering score against slow counting over all pairs, and its spread against random permutations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unvanish.core.measures.auc import auc, auc_sd, mean_auc, mean_auc_sd, midranks, rank_score, rank_score_sd

SMALL = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30)


def counted(scores, positive):
    wins, pairs = 0.0, 0
    for a, is_positive in zip(scores, positive, strict=True):
        for b, is_other in zip(scores, positive, strict=True):
            if is_positive and not is_other:
                pairs += 1
                wins += 1.0 if a > b else 0.5 if a == b else 0.0
    return wins / pairs if pairs else math.nan


def counted_rank(values, index):
    below = sum(v < values[index] for v in values)
    return below + (sum(v == values[index] for v in values) + 1) / 2


@given(SMALL)
def test_area_equals_the_count_over_all_pairs_with_ties(samples):
    scores, positive = zip(*samples, strict=True)
    assert auc(np.array(scores), np.array(positive)) == pytest.approx(
        counted(scores, positive), rel=1e-12, abs=0, nan_ok=True
    )


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20))
def test_midranks_equal_counting(values):
    expected = [counted_rank(values, i) for i in range(len(values))]
    assert midranks(np.array(values)).tolist() == expected


def test_order_and_only_order_matters():
    positive = np.array([0, 0, 1, 1])
    assert auc(np.array([1e-30, 2e-30, 3e-30, 4e-30]), positive) == 1.0
    assert auc(np.array([4.0, 3.0, 2.0, 1.0]), positive) == 0.0
    assert auc(np.zeros(4), positive) == 0.5


@pytest.mark.parametrize("scores", [[0.1, math.nan, 0.3], [0.1, math.inf, 0.3]])
def test_scores_that_are_not_numbers_have_no_area(scores):
    assert math.isnan(auc(np.array(scores), np.array([0, 1, 1])))


def test_one_class_alone_has_no_area():
    assert math.isnan(auc(np.arange(3.0), np.ones(3)))
    assert math.isnan(auc_sd(3, 0))


def test_mean_area_leaves_out_classes_that_are_not_there():
    rng = np.random.default_rng(0)
    labels = np.eye(4)[rng.integers(0, 3, 30)]  # class 3 never occurs
    scores = rng.normal(size=(30, 4))
    expected = np.mean([counted(scores[:, k], labels[:, k]) for k in range(3)])
    assert mean_auc(scores, labels) == pytest.approx(expected, rel=1e-12, abs=0)


def permuted_sd(scores, labels, times=1200):
    rng = np.random.default_rng(1)
    return np.std([mean_auc(scores, labels[rng.permutation(len(labels))]) for _ in range(times)])


@pytest.mark.parametrize("kind", ["independent", "softmax", "tied", "unbalanced", "two"])
def test_spread_of_the_mean_area_equals_that_of_permutations(kind):
    rng = np.random.default_rng(2)
    scores, classes = rng.normal(size=(40, 4)), rng.integers(0, 4, 40)
    if kind == "softmax":
        scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    elif kind == "tied":
        scores = np.round(scores)
    elif kind == "unbalanced":
        classes = np.where(rng.random(40) < 0.7, 0, classes)
    elif kind == "two":
        scores, classes = np.stack([scores[:, 0], -scores[:, 0]], axis=1), classes % 2
    labels = np.eye(scores.shape[1])[classes]
    assert mean_auc_sd(scores, labels) == pytest.approx(permuted_sd(scores, labels), rel=0.08, abs=0)


def test_spread_of_one_column_is_the_formula_of_mann_whitney():
    labels = np.arange(30) < 11
    spread = mean_auc_sd(np.arange(30.0)[:, None], labels[:, None])
    assert spread == pytest.approx(auc_sd(11, 19), rel=1e-12, abs=0)
    assert auc_sd(100, 100) == pytest.approx(math.sqrt(201 / 120000), rel=1e-12, abs=0)


def test_collapsed_outputs_have_a_spread_that_is_not_zero():
    labels = np.eye(4)[np.arange(40) % 4]
    assert mean_auc_sd(np.zeros((40, 4)), labels) == pytest.approx(auc_sd(10, 30) / 2, rel=1e-12, abs=0)


def test_rank_score_equals_the_correlation_of_counted_ranks():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 6, 25), rng.integers(0, 6, 25)
    ranks = [[counted_rank(list(v), i) for i in range(25)] for v in (a, b)]
    assert rank_score(a, b) == pytest.approx((1 + np.corrcoef(*ranks)[0, 1]) / 2, rel=1e-12, abs=0)
    columns = rank_score(np.stack([a, b], 1), np.stack([b, b], 1))
    assert columns == pytest.approx((rank_score(a, b) + 1.0) / 2, rel=1e-12, abs=0)


def test_rank_score_of_a_constant_is_chance_and_of_constant_labels_unknown():
    assert rank_score(np.zeros(5), np.arange(5.0)) == 0.5
    assert math.isnan(rank_score(np.arange(5.0), np.zeros(5)))
    assert math.isnan(rank_score(np.array([0, math.nan]), np.arange(2.0)))


def test_spread_of_the_rank_score_equals_that_of_permutations():
    rng = np.random.default_rng(4)
    values = np.arange(40.0)
    scores = [rank_score(rng.permutation(values), values) for _ in range(1500)]
    assert rank_score_sd(40) == pytest.approx(np.std(scores), rel=0.08, abs=0)
    assert math.isnan(rank_score_sd(1))
