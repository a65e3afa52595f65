"""The tasks: data made or read offline, what guessing scores on them, and what a plain model does."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

CLASSES, BINARY, NUMBERS = "classes", "binary", "numbers"


@dataclass(frozen=True)
class Task:
    """Hold float32 inputs (integers for symbols) and labels: class numbers (n,), or numbers (n, d)."""

    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    kind: str
    enough: float
    """The skill that counts as training well."""
    plain: Callable[[Task], float]
    """What measures the score of a plain model on the held-out samples."""

    @functools.cached_property
    def reference(self) -> float:
        """Return the held-out score of a plain model."""
        return self.plain(self)

    @property
    def classes(self) -> int:
        """Return the number of classes, or of target columns."""
        return int(self.y.max()) + 1 if self.kind != NUMBERS else self.y.shape[1]

    @property
    def chance(self) -> float:
        """Return the held-out score of the best constant answer."""
        if self.kind == NUMBERS:
            return 0.0
        return float(np.mean(self.y_val == np.bincount(self.y).argmax()))

    @property
    def threshold(self) -> float:
        """Return the held-out score from which on a run trains well."""
        return self.chance + self.enough * (self.reference - self.chance)

    def score(self, outputs: np.ndarray) -> float:
        """Return the score of the outputs (n, units) on the held-out samples; one that is not finite scores chance."""
        if not np.isfinite(outputs).all():
            return self.chance
        outputs = outputs.reshape(len(outputs), -1)
        if self.kind == NUMBERS:
            spread = ((self.y_val - self.y.mean(axis=0)) ** 2).sum()
            return float(1 - ((outputs - self.y_val) ** 2).sum() / spread)
        if outputs.shape[1] == 1:
            raise ValueError("one output per sample: pass class scores, see `signed`")
        return float(np.mean(outputs.argmax(axis=1) == self.y_val))


def signed(scores: np.ndarray) -> np.ndarray:
    """Return class scores (n, 2) of a column that is positive for the second class."""
    return np.stack([-scores.ravel(), scores.ravel()], axis=1)


def _task(x, y, kind, *, enough=None, plain=None) -> Task:
    x = np.asarray(x, dtype="int32" if np.asarray(x).dtype.kind == "i" else "float32")
    y = np.asarray(y, dtype="float32").reshape(len(y), -1) if kind == NUMBERS else np.asarray(y, dtype="int64")
    stratify = None if kind == NUMBERS else y
    a, b, ya, yb = train_test_split(x, y, test_size=0.25, random_state=0, stratify=stratify)
    return Task(a, ya, b, yb, kind, enough or (0.8 if kind == NUMBERS else 0.9), plain or _plain_model)


def _perfect(_: Task) -> float:
    return 1.0


def _plain_model(task: Task) -> float:
    """Return the better held-out score of a linear model and a forest."""
    a, b = task.x.reshape(len(task.x), -1), task.x_val.reshape(len(task.x_val), -1)
    if task.kind == NUMBERS:
        y = task.y.ravel() if task.y.shape[1] == 1 else task.y
        models: list[Any] = [Ridge(), RandomForestRegressor(100, random_state=0)]
        return max(task.score(model.fit(a, y).predict(b)) for model in models)
    scale = StandardScaler().fit(a)
    a, b = scale.transform(a), scale.transform(b)
    models = [LogisticRegression(max_iter=2000), RandomForestClassifier(100, random_state=0)]
    return max(task.score(np.eye(task.classes)[model.fit(a, task.y).predict(b)]) for model in models)


def _digits(shape=(64,), scale=1 / 16) -> Task:
    x, y = datasets.load_digits(return_X_y=True)
    return _task((x * scale).reshape(-1, *shape), y, CLASSES)


def _relabelled(share: float) -> Task:
    """Return the digits with a share of the training labels drawn at random; held-out labels stay.

    Where all are drawn, the held-out ones are too: ten clusters of digits whose drawn labels happen to lean one way
    would else agree with the true labels, or disagree, far more than chance over samples allows.
    """
    task = _digits()
    r = np.random.default_rng(5)
    wrong = r.random(len(task.y)) < share
    y = np.where(wrong, r.integers(0, 10, len(task.y)), task.y)
    if share < 1:
        return replace(task, y=y, plain=_plain_model)
    return replace(task, y=y, y_val=r.integers(0, 10, len(task.y_val)), plain=lambda _: task.reference)


def _table(load: Callable[..., Any], kind: str, scale=True) -> Task:
    x, y = load(return_X_y=True)
    x = StandardScaler().fit_transform(x) if scale else x
    return _task(x, (y - y.mean()) / y.std() if kind == NUMBERS else y, kind)


def _spoiled(value: float) -> Task:
    """Return the scaled breast cancer data with one training entry of two hundred replaced by the value."""
    task = _table(datasets.load_breast_cancer, BINARY)
    x = task.x.copy()
    x[np.random.default_rng(0).random(x.shape) < 1 / 200] = value
    return replace(task, x=x, plain=lambda _: task.reference)


def _moons() -> Task:
    x, y = datasets.make_moons(1200, noise=0.15, random_state=0)
    return _task(x, y, BINARY)


def _friedman() -> Task:
    x, y = datasets.make_friedman1(1200, 8, noise=0.5, random_state=0)
    return _task(x * 2 - 1, (y - y.mean()) / y.std(), NUMBERS)


def _spread_out() -> Task:
    """Return the same regression with features on scales from 1 to 10,000."""
    task = _friedman()
    scale = np.logspace(0, 4, 8, dtype="float32")
    return replace(task, x=task.x * scale, x_val=task.x_val * scale, plain=lambda _: task.reference)


def _bars() -> Task:
    """Return noisy 12 x 12 images of a horizontal, an upright or a diagonal bar."""
    r = np.random.default_rng(1)
    y = r.integers(0, 3, 1200)
    x = r.normal(0, 0.3, (1200, 12, 12, 1))
    i, j = np.indices((12, 12))
    for n, kind in enumerate(y):
        at = r.integers(2, 10)
        x[n, ..., 0] += [i == at, j == at, (i + j) % 12 == at][kind]
    return _task(x, y, CLASSES)


def _parity(length: int) -> Task:
    x = np.random.default_rng(2).integers(0, 2, (1600, length)) * 2.0 - 1
    return _task(x[..., None], (x.prod(axis=1) > 0).astype(int), BINARY, enough=0.8, plain=_perfect)


def _first_symbol(length: int) -> Task:
    """Return sequences of four symbols (one-hot); the class is the first one: copy, with a delay."""
    symbols = np.random.default_rng(3).integers(0, 4, (1600, length))
    return _task(np.eye(4)[symbols], symbols[:, 0], CLASSES, enough=0.8, plain=_perfect)


def _adding(length: int) -> Task:
    """Return the adding problem: numbers, two of them marked; the target is their sum."""
    r = np.random.default_rng(4)
    numbers, marks = r.uniform(-1, 1, (2000, length)), np.zeros((2000, length))
    for row in marks:
        row[r.choice(length, 2, replace=False)] = 1
    return _task(np.stack([numbers, marks], axis=2), (numbers * marks).sum(axis=1), NUMBERS, plain=_perfect)


def _text(context: int) -> Task:
    """Return the next character after so many, from the descriptions that come with scikit-learn's data."""
    loads = (datasets.load_digits, datasets.load_breast_cancer, datasets.load_wine, datasets.load_diabetes)
    text = re.sub(r"[^a-z]+", " ", " ".join(load().DESCR for load in loads).lower())[:6000]
    codes = np.array([0 if c == " " else ord(c) - 96 for c in text])
    x = np.lib.stride_tricks.sliding_window_view(codes, context)[:-1]
    y = codes[context:]
    a, b, ya, yb = train_test_split(x.astype("int32"), y.astype("int64"), test_size=0.25, random_state=0)
    return Task(a, ya, b, yb, CLASSES, 0.9, _pairs)


def _pairs(task: Task) -> float:
    """Return the score of a table that counts which symbol follows which."""
    counts = np.zeros((task.classes, task.classes))
    np.add.at(counts, (task.x[:, -1], task.y), 1)
    return task.score(counts[task.x_val[:, -1]])


def _itself(units: int) -> Task:
    """Return the digits as their own targets; the reference is PCA of so many components."""
    task = _digits()
    pca = PCA(units).fit(task.x)
    reference = lambda same: same.score(pca.inverse_transform(pca.transform(same.x_val)))  # noqa: E731
    return Task(task.x, task.x, task.x_val, task.x_val, NUMBERS, 0.8, reference)


TASKS: dict[str, Callable[[], Task]] = {
    "adding": lambda: _adding(8),
    "adding_long": lambda: _adding(100),
    "bars": _bars,
    "cancer": lambda: _table(datasets.load_breast_cancer, BINARY),
    "cancer_inf": lambda: _spoiled(np.inf),
    "cancer_nan": lambda: _spoiled(np.nan),
    "cancer_raw": lambda: _table(datasets.load_breast_cancer, BINARY, scale=False),
    "diabetes": lambda: _table(datasets.load_diabetes, NUMBERS),
    "digits": _digits,
    "digits_images": lambda: _digits((8, 8, 1)),
    "digits_itself": lambda: _itself(8),
    "digits_noisy": lambda: _relabelled(0.2),
    "digits_pixels": lambda: _digits(scale=255 / 16),
    "digits_random": lambda: _relabelled(1.0),
    "digits_rows": lambda: _digits((8, 8)),
    "first_of_6": lambda: _first_symbol(6),
    "first_of_60": lambda: _first_symbol(60),
    "friedman": _friedman,
    "friedman_spread": _spread_out,
    "moons": _moons,
    "parity": lambda: _parity(5),
    "text": lambda: _text(6),
    "wine": lambda: _table(datasets.load_wine, CLASSES),
}


@functools.cache
def task(name: str) -> Task:
    """Return the task of that name, always the same arrays."""
    return TASKS[name]()
