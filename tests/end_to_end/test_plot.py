"""plot_grad_flow draws what a probe measures, and changes nothing."""

import pytest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

import numpy as np  # noqa: E402
from looking import improved, labelled, sick  # noqa: E402

import unvanish  # noqa: E402

SMALL = {"depth": 4, "width": 16}


def line(figure, label):
    (found,) = (line for line in figure.axes[0].get_lines() if line.get_label() == label)
    return found.get_ydata()


@pytest.mark.parametrize("build", [sick, improved])
def test_the_line_is_the_gradient_of_each_kernel(build):
    x, y = labelled("learnable")
    model = build(**SMALL)
    figure = unvanish.plot_grad_flow(model, x, y)
    seen = unvanish.check(model, x, y, steps=1).profile
    kernels = [layer for layer in seen.layers if layer.name in {k.name for k in model.layers if hasattr(k, "kernel")}]
    expected = [np.log10(layer.gradient_rms) for layer in kernels]
    assert line(figure, "of the kernel") == pytest.approx(expected, rel=0.05, abs=0)  # other batches of the same data
    assert len(expected) == 5


def test_the_model_is_what_it_was():
    x, y = labelled("learnable")
    model = improved(**SMALL)
    before = [np.copy(v.numpy()) for v in model.variables]
    unvanish.plot_grad_flow(model, x, y)
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, model.variables, strict=True))
    assert not model.optimizer.built


def test_the_figure_can_be_written(tmp_path):
    x, y = labelled("learnable")
    figure = unvanish.plot_grad_flow(sick(**SMALL), x, y)
    figure.savefig(tmp_path / "flow.png")
    figure.savefig(tmp_path / "flow.svg")
    assert (tmp_path / "flow.png").read_bytes()[:4] == figure._repr_png_()[:4] == b"\x89PNG"
    assert "of the kernel" in (tmp_path / "flow.svg").read_text()


def test_a_keras_model_needs_data():
    with pytest.raises(unvanish.UnvanishError, match="keeps no gradients") as caught:
        unvanish.plot_grad_flow(sick(**SMALL))
    assert "try:    unvanish.plot_grad_flow(model, x, y)" in str(caught.value)


def test_a_model_without_a_kernel_is_refused():
    model = keras.Sequential([keras.Input((20,)), keras.layers.BatchNormalization()])
    model.compile("adam", "mse")
    with pytest.raises(unvanish.UnvanishError, match="no kernel") as caught:
        unvanish.plot_grad_flow(model, np.ones((40, 20)), np.ones((40, 20)))
    assert "weight matrices" in caught.value.hint
