"""The written source of a model, executed, gives the model; also of a cured one."""

import families
import keras
import numpy as np
import pytest
from families import FAMILIES, L, dense, inputs_of, outputs_of

from unvanish.core.edit import AddNorm, AddResidual, Clip, Redraw, SwapActivation
from unvanish.errors import UnsupportedError
from unvanish.keras.aside import aside
from unvanish.keras.local_classes import LOCAL, CentredOrthogonal, LooksLinear, text_of
from unvanish.keras.source import source_of
from unvanish.keras.surgery import operated

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
H = ("h0", "h1", "h2")
CURES = {
    "swap": (SwapActivation(layers=H, activation="leaky_relu", parameter=0.1),),
    "orthogonal": (Redraw(layers=H, scheme="orthogonal", gain=1.1), Clip(kind="global_norm", bound=2.0)),
    "normal": (Redraw(layers=H, scheme="normal", gain=1.4),),
    "word": (Redraw(layers=H, scheme="normal", gain=2**0.5),),
    "centred": (
        SwapActivation(layers=H, activation="sigmoid"),
        Redraw(layers=H, scheme="centred_orthogonal", gain=4.0),
    ),
    "linear": (SwapActivation(layers=H, activation="gelu"), Redraw(layers=(*H, "out"), scheme="looks_linear")),
    "norm": (AddNorm(layers=H, kind="batch_norm", before=True),),
    "branch": (AddResidual(layers=H[1:]), AddNorm(layers=H[1:], kind="layer_norm", before=False)),
}


def executed(text):
    assert "unvanish." not in text.replace('package="unvanish"', "")
    assert "import unvanish" not in text
    namespace = {}
    exec(compile(text, "<source>", "exec"), namespace)
    return namespace["build_model"]()


def assert_same(new, reference, x):
    for mine, theirs in zip(new.weights, reference.weights, strict=True):
        mine.assign(np.abs(np.random.default_rng(len(mine.shape)).normal(size=mine.shape)) * 0.3)
        theirs.assign(mine)
    for mine, theirs in zip(outputs_of(new, x), outputs_of(reference, x), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("gain", "word"), [(2**0.5, "he_normal"), (1.0, "lecun_normal")])
def test_a_draw_that_keras_has_a_word_for_is_that_word(gain, word):
    (edit,) = (Redraw(layers=H, scheme="normal", gain=gain),)
    assert source_of(dense(), (edit,)).count(f'kernel_initializer="{word}"') == len(H)
    assert "VarianceScaling" in source_of(dense(), (Redraw(layers=H, scheme="normal", gain=1.4),))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_source_gives_the_same_outputs(family):
    model = FAMILIES[family]()
    new = executed(source_of(model))
    assert_same(new, model, inputs_of(family))
    assert type(new) is type(model)


@pytest.mark.parametrize("cure", CURES)
def test_the_source_of_a_cured_model_gives_its_outputs(cure, tmp_path):
    model = dense()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=["mae"])
    new = executed(source_of(model, CURES[cure]))
    with aside(model, 0):
        reference = operated(model, CURES[cure]).model
    assert new.optimizer.momentum == 0.9
    assert new.optimizer.global_clipnorm == (2.0 if cure == "orthogonal" else None)
    assert new.loss == "mse"
    assert_same(new, reference, inputs_of("dense"))
    new.save(tmp_path / "new.keras")
    loaded = keras.models.load_model(tmp_path / "new.keras")
    for mine, theirs in zip(outputs_of(loaded, inputs_of("dense")), outputs_of(new, inputs_of("dense")), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_local_classes_draw_what_was_tried():
    linear = executed(source_of(*plain("gelu", "looks_linear")))
    ends = outputs_of(linear, np.eye(6, dtype="float32"))[0]
    np.testing.assert_allclose(ends @ ends.T, np.eye(6), rtol=1e-4, atol=1e-5)

    centred = executed(source_of(*plain("sigmoid", "centred_orthogonal", 4.0)))
    for layer in centred.layers[1:]:
        w = np.asarray(keras.ops.convert_to_numpy(layer.kernel), dtype=np.float64)
        b = np.asarray(keras.ops.convert_to_numpy(layer.bias), dtype=np.float64)
        np.testing.assert_allclose(b, -w.sum(axis=0) / 2, rtol=1e-4, atol=1e-5)
        gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
        np.testing.assert_allclose(gram, 16 * np.eye(len(gram)), rtol=1e-4, atol=1e-4)


def plain(activation, scheme, gain=1.0):
    hidden = [L.Dense(12, activation, name=name) for name in H]
    model = keras.Sequential([keras.Input((6,)), *hidden, L.Dense(6, name="out")])
    return model, (Redraw(layers=(*H, "out"), scheme=scheme, gain=gain),)


def test_local_classes_stand_alone():
    for kind in LOCAL:
        text = text_of(kind)
        assert "->" not in text.split('"""')[0]
        assert "Any" not in text
        exec(compile(text, "<class>", "exec"), {"keras": keras, "math": __import__("math")})
    for initializer in (CentredOrthogonal(2.0), LooksLinear(2.0, 4, False)):
        assert type(initializer).from_config(initializer.get_config()).get_config() == initializer.get_config()


def test_the_text_is_what_a_person_would_write():
    model = keras.Sequential([keras.Input((20,)), *[L.Dense(64, "sigmoid") for _ in range(11)], L.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    swap = SwapActivation(layers=tuple(layer.name for layer in model.layers[:-1]), activation="tanh")
    assert (
        source_of(model, (swap,))
        == """\
import keras
from keras import layers


def build_model():
    model = keras.Sequential(
        [
            keras.Input((20,)),
            *[layers.Dense(64, activation="tanh") for _ in range(11)],
            layers.Dense(1, activation="sigmoid"),
        ],
    )
    model.compile(optimizer=keras.optimizers.Adam(), loss="binary_crossentropy", metrics=["accuracy"])
    return model
"""
    )


def test_what_is_the_users_own_is_imported_or_named():
    assert "from families import Scale" in source_of(FAMILIES["several"]())
    assert "from families import gate" in source_of(FAMILIES["normed"]())
    own = keras.Sequential([keras.Input((6,)), families.Scale(2.0)])
    module, families.Scale.__module__ = families.Scale.__module__, "__main__"
    try:
        assert "# Scale is defined in your script" in source_of(own)
    finally:
        families.Scale.__module__ = module


def test_a_lambda_has_no_source():
    model = keras.Sequential([keras.Input((6,)), L.Dense(2, activation=lambda x: x * 2)])
    with pytest.raises(UnsupportedError, match="cannot be written") as caught:
        source_of(model)
    assert "lambda" in caught.value.found
