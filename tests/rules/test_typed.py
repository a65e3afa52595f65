"""Remedies that are formulas come with the lines that make them, and these do what the formula says."""

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Diagnosis, Remedy
from unvanish.report.html import render_html
from unvanish.report.remedies import smallest_first as told
from unvanish.report.remedies import tried_by
from unvanish.report.text import render_text
from unvanish.rules.judge import judge
from unvanish.rules.remedies import against_vanishing
from unvanish.rules.smallest_first import smallest_first
from unvanish.rules.spellings import keras as in_keras
from unvanish.rules.spellings import torch as in_torch
from unvanish.rules.what_if import changed, with_gain
from unvanish.testing.specimen_edits import in_pytorch
from unvanish.testing.specimens import SPECIMENS
from unvanish.theory.forecast import forecast_network

FORMULAS = ("centred-orthogonal-init", "looks-linear-init", "add-residual", "forget-gate-bias", "data-driven-init")


@pytest.mark.parametrize("language", ["keras", "torch"])
def test_every_formula_is_typed_somewhere(language: str) -> None:
    seen = [build() for build in SPECIMENS.values()]
    judged = [judge(in_pytorch(one) if language == "torch" else one) for one in seen]
    cures = [cure for diagnosis in judged for finding in diagnosis.findings for cure in finding.cures]
    formulas = [cure for cure in cures if cure.name in FORMULAS]
    assert {cure.name for cure in formulas} >= {"centred-orthogonal-init", "looks-linear-init", "add-residual"}
    for cure in formulas:
        assert cure.typed, cure.change
        assert max(map(len, cure.typed.splitlines())) <= 71, "fits under its number at 80 columns"
        compile(cure.typed, "typed", "exec")


@pytest.mark.torch
def test_the_lines_of_pytorch_centre_and_mirror() -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(6, 6)
    exec(in_torch.centred(), {"torch": torch, "nn": torch.nn, "layer": layer})
    assert torch.allclose(layer.weight @ layer.weight.T, 16 * torch.eye(6), rtol=1e-5, atol=1e-4)
    assert torch.allclose(layer.weight @ torch.full((6,), 0.5) + layer.bias, torch.zeros(6), atol=1e-5)
    exec(in_torch.looks_linear(), {"torch": torch, "nn": torch.nn, "layer": layer})
    u = torch.randn(5, 6)
    first, second = (torch.relu(u) @ layer.weight.T).chunk(2, dim=1)
    assert torch.allclose(first, -second, atol=1e-5)  # what a mirrored pair passes on is linear


@pytest.mark.keras
def test_the_lines_of_keras_centre_and_mirror() -> None:
    keras = pytest.importorskip("keras")
    first, second = keras.layers.Dense(6), keras.layers.Dense(6)
    for layer in (first, second):
        layer.build((None, 6))
    lines = in_keras.centred().splitlines()
    exec("\n".join(lines[1:]), {"keras": keras, "hidden": [first, second]})
    total = keras.ops.convert_to_numpy(second.kernel).sum(axis=0)
    assert keras.ops.convert_to_numpy(second.bias) == pytest.approx(-total / 2, rel=1e-5, abs=0)
    assert not keras.ops.convert_to_numpy(first.bias).any()
    exec(in_keras.looks_linear(), {"keras": keras, "layer": second})
    kernel = keras.ops.convert_to_numpy(second.kernel)
    assert kernel[:3] == pytest.approx(-kernel[3:], rel=1e-6, abs=0)
    assert kernel[:, :3] == pytest.approx(-kernel[:, 3:], rel=1e-6, abs=0)


def sick(name: str = "tutorial_sigmoid") -> Diagnosis:
    return judge(SPECIMENS[name](), title="train.py")


def test_the_lines_stand_under_the_change() -> None:
    text, page = render_text(sick()), render_html(sick())
    assert "layer.bias.assign(-keras.ops.sum(layer.kernel, axis=0) / 2)" in text
    assert "layer.bias.assign(-keras.ops.sum(layer.kernel, axis=0) / 2)" in page


def test_a_script_of_keras_is_told_what_tries_them() -> None:
    assert "unvanish cure train.py tries these on your data and writes the source" in render_text(sick())
    assert "<code>unvanish cure train.py</code> tries these" in render_html(sick())
    assert tried_by(judge(SPECIMENS["tutorial_sigmoid"](), title="model")) == "unvanish.cure(model, x, y)"
    assert tried_by(judge(in_pytorch(SPECIMENS["tutorial_sigmoid"]()), title="train.py")) == ""
    loop = replace(SPECIMENS["tutorial_sigmoid"](), planned_steps=None)
    assert tried_by(judge(loop, title="loop.py")) == ""


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_python_and_terminal_have_one_order(name: str) -> None:
    diagnosis = judge(SPECIMENS[name]())
    ranks = [cure.change for cure in told(diagnosis.findings)]
    for finding in diagnosis.findings:
        places = [ranks.index(cure.change) for cure in finding.cures if cure.change in ranks]
        assert places == sorted(places), finding.code


def test_what_can_be_typed_comes_before_what_is_written_out_and_what_does_not_suffice_last() -> None:
    init, word = "initialisation only", "one word"
    written = Remedy(name="looks-linear-init", change="a", invasiveness=init)
    shipped = Remedy(name="rescale-init", change="b", invasiveness=init)
    swap = Remedy(name="swap-activation", change="c", invasiveness=word)
    weak = replace(shipped, change="d", stays_sick=True)
    whole = Remedy(name="add-residual", change="e", invasiveness="architecture")
    assert smallest_first((weak, whole, written, swap, shipped)) == (shipped, swap, written, whole, weak)


def test_a_swap_that_would_stay_sick_comes_with_its_initialiser() -> None:
    """PyTorch's default weights have gain 0.58: tanh alone would go on losing 1.8x per layer."""
    seen = in_pytorch(SPECIMENS["tutorial_sigmoid"]())
    network = changed(seen.network, with_gain(3**-0.5))
    weak = replace(seen, network=network, forecast=forecast_network(network))
    swap = next(cure for cure in against_vanishing(weak) if cure.name == "swap-activation")
    assert "kaiming_normal_(layer.weight, nonlinearity='linear')" in swap.change
    assert swap.forecast.endswith("-> 1.0x per layer")
    assert not swap.stays_sick
