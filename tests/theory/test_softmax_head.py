"""A softmax's prediction over Gaussian logits, against quadrature for two classes and Monte Carlo for more."""

from __future__ import annotations

import numpy as np
import pytest

from unvanish.theory.softmax_head import softmax_head


@pytest.mark.parametrize("variance", [0.01, 1.0, 30.0])
def test_two_classes_are_a_sigmoid_of_the_difference(variance):
    x, w = np.polynomial.hermite_e.hermegauss(200)
    d, w = x * np.sqrt(2 * variance), w / w.sum()
    p = 1 / (1 + np.exp(-d))
    assert softmax_head(variance, 2).predicted == pytest.approx(float(w @ (4 * (p - 0.5) ** 2)), rel=0.08, abs=0)


@pytest.mark.parametrize("classes", [3, 10, 100])
@pytest.mark.parametrize("variance", [0.1, 3.0, 100.0])
def test_many_classes_agree_with_monte_carlo(classes, variance):
    z = np.random.default_rng(1).normal(scale=np.sqrt(variance), size=(40_000, classes))
    z -= z.mean(axis=1, keepdims=True)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    square = ((p - 1 / classes) ** 2).sum(axis=1).mean()
    found = softmax_head(variance, classes)
    assert found.predicted == pytest.approx(square / (1 - 1 / classes), rel=0.12, abs=0)
    assert found.leaning == pytest.approx(((p * z).sum(axis=1) ** 2).mean() / (square * variance), rel=0.1, abs=0)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="predicts nothing"):
        softmax_head(1.0, 1)
