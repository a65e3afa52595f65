"""Build a labelled case of cases.json as a compiled Keras model, with its data. Everything is made offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, StandardScaler

CASES = Path(__file__).parent / "cases.json"


def load_cases() -> list[dict[str, Any]]:
    return json.loads(CASES.read_text(encoding="utf-8"))["cases"]


def _split(x, y, test=0.2, seed=0, stratify=None):
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=test, random_state=seed, stratify=stratify)
    return x_train, y_train, x_test, y_test


def _one_hot(y, classes):
    return np.eye(classes, dtype="float32")[np.asarray(y).ravel()]


def _same(x, y):
    return x, y, x, y


def _circles(scale, cut):
    x, y = datasets.make_circles(n_samples=1000, noise=0.1, random_state=1)
    x = MinMaxScaler((-1, 1)).fit_transform(x) if scale else x
    return x[:cut], y[:cut, None], x[cut:], y[cut:, None]


def _blobs():
    x, y = datasets.make_blobs(n_samples=1000, centers=3, n_features=2, cluster_std=2, random_state=2)
    return x[:700], _one_hot(y[:700], 3), x[700:], _one_hot(y[700:], 3)


def _digits(shuffled):
    x, y = datasets.load_digits(return_X_y=True)
    y = np.random.RandomState(0).permutation(y) if shuffled else y
    a, ya, b, yb = _split(x / 16.0, y, stratify=y)
    return a, _one_hot(ya, 10), b, _one_hot(yb, 10)


def _cancer(scale):
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return _split(StandardScaler().fit_transform(x) if scale else x, y[:, None], stratify=y)


def _wine():
    x, y = datasets.load_wine(return_X_y=True)
    a, ya, b, yb = _split(StandardScaler().fit_transform(x), y, stratify=y)
    return a, _one_hot(ya, 3), b, _one_hot(yb, 3)


def _iris():
    x, y = datasets.load_iris(return_X_y=True)
    a, ya, b, yb = _split(x, y, test=0.5, seed=2)
    return a, _one_hot(ya, 3), b, _one_hot(yb, 3)


def _diabetes():
    x, y = datasets.load_diabetes(return_X_y=True)
    return _split(StandardScaler().fit_transform(x), MinMaxScaler().fit_transform(y[:, None]))


def _classification(n, features, **options):
    x, y = datasets.make_classification(n, features, **options)
    return _split(x, y[:, None])


def _multilabel(n, **options):
    return _split(*datasets.make_multilabel_classification(n, random_state=0, **options))


def _xor(rows):
    x = np.array(rows, dtype=float)
    return _same(x, (x[:, :1] != x[:, 1:]).astype(float))


def _ones_zeros():
    def half(n):
        return np.r_[np.ones((n, 128)), np.zeros((n, 128))], np.r_[np.ones((n, 1)), np.zeros((n, 1))]

    (x, y), (x_val, y_val) = half(500), half(100)
    order = np.random.RandomState(0).permutation(1000)
    return x[order], y[order], x_val, y_val


def _linear3():
    r = np.random.RandomState(0)
    x, x_val = r.rand(2000, 3) * 1e4, r.rand(500, 3) * 1e4
    w = np.array([2, 1, 0.5])
    return x, (x @ w + 2.2)[:, None], x_val, (x_val @ w + 2.2)[:, None]


def _two_boxes():
    r = np.random.RandomState(0)
    x = np.r_[r.uniform(0.2, 0.4, (100, 2)), r.uniform(0.5, 0.7, (100, 2))]
    order = r.permutation(200)
    return _same(x[order], _one_hot(np.r_[np.zeros(100, int), np.ones(100, int)], 2)[order])


def _bits8():
    x = ((np.arange(256)[:, None] >> np.arange(7, -1, -1)) & 1).astype(float)
    return _same(x, x[np.random.RandomState(0).permutation(256)])


def _quadratic():
    x = np.arange(0, 5, 0.1)[:, None]
    return _same(x, 5 * x**2 + np.random.RandomState(0).randn(50, 1) ** 3)


def _quartic():
    x = np.arange(-100, 100, 0.5)[:, None]
    return _same(x, x**4)


def _random5():
    r = np.random.RandomState(0)
    return _same(r.rand(200, 5), r.randint(0, 2, (200, 1)))


def _random16():
    x, y = datasets.make_classification(63, 16, random_state=3)
    return _same(x, _one_hot(y, 2))


DATA = {
    "at_blob": _blobs,
    "at_circle": lambda: _circles(False, 700),
    "breast_cancer": lambda: _cancer(True),
    "breast_cancer_raw": lambda: _cancer(False),
    "brownlee_circle": lambda: _circles(True, 500),
    "diabetes": _diabetes,
    "digits": lambda: _digits(False),
    "digits_random_labels": lambda: _digits(True),
    "imbalanced_noise": lambda: _classification(1000, 20, flip_y=0.4, random_state=0),
    "iris": _iris,
    "multilabel": lambda: _multilabel(3000, n_features=20, n_classes=3),
    "ones_zeros": _ones_zeros,
    "rand5": _random5,
    "so_bits8": _bits8,
    "so_linear3": _linear3,
    "so_multilabel1": lambda: _multilabel(1000, n_features=4, n_classes=1),
    "so_quad": _quadratic,
    "so_quartic": _quartic,
    "so_rand16": _random16,
    "so_twoboxes": _two_boxes,
    "wine": _wine,
    "xor4": lambda: _xor([[1, 1], [1, 0], [0, 0], [0, 1]]),
    "xor6": lambda: _xor([[1, 1], [0, 0], [1, 0], [0, 1], [1, 1], [0, 0]]),
}


def data(name: str):
    """Return x, y, x_val, y_val as float32 arrays."""
    return tuple(np.asarray(array, dtype="float32") for array in DATA[name]())


def keras_model(case: dict[str, Any], seed: int = 0):
    """Return a compiled Keras 3 model; the initial weights depend on the seed."""
    import keras

    keras.utils.set_random_seed(seed)

    def initializer(spec):
        if isinstance(spec, str):
            return spec
        ((name, config),) = spec.items()
        return getattr(keras.initializers, name)(**config)

    def layer(spec):
        if "dense" in spec:
            return keras.layers.Dense(
                spec["dense"],
                kernel_initializer=initializer(spec["init"]),
                bias_initializer=initializer(spec.get("bias", "zeros")),
            )
        if "activation" in spec:
            return keras.layers.Activation(spec["activation"])
        if "dropout" in spec:
            return keras.layers.Dropout(spec["dropout"])
        return keras.layers.BatchNormalization()

    inputs = keras.Input(data(case["data"])[0].shape[1:])
    model = keras.Sequential([inputs, *(layer(spec) for spec in case["layers"])])
    config = {key: value for key, value in case["optimizer"].items() if key != "name"}
    model.compile(optimizer=getattr(keras.optimizers, case["optimizer"]["name"])(**config), loss=case["loss"])
    return model
