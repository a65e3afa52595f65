"""Remedies in the user's own framework: no report of PyTorch spells Keras, and none of Keras spells PyTorch."""

import re

import pytest

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.notebook import render_fragment
from unvanish.report.text import render_text
from unvanish.rules.judge import judge
from unvanish.rules.spellings import keras, torch
from unvanish.rules.spellings.protocol import Spelling
from unvanish.rules.table import RULES
from unvanish.testing.specimen_edits import in_pytorch
from unvanish.testing.specimens import SPECIMENS

KERAS = re.compile(
    r"keras|_initializer|clipnorm|(Batch|Layer)Normalization|activation=|learning_rate=|epsilon=|from_logits"
    r"|LossScaleOptimizer|Orthogonal\("
)
TORCH = re.compile(r"\bnn\.|torch|clip_grad|weight_hh|\beps=|\blr=|GradScaler|BatchNorm\d|_\(")


def told(diagnosis: Diagnosis) -> str:
    """Return all that a person is told, without the line that names the framework and the table of layers."""
    text = "\n".join(render_text(diagnosis, width=100).splitlines()[0 if diagnosis.verdict == "healthy" else 2 :])
    records = " ".join(f"{f.message} {f.why} {f.note} {[c.change for c in f.cures]}" for f in diagnosis.findings)
    return f"{text}\n{records}"


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_pytorch_is_told_in_pytorch(name: str) -> None:
    assert KERAS.findall(told(judge(in_pytorch(SPECIMENS[name]())))) == []


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_keras_is_told_in_keras(name: str) -> None:
    assert TORCH.findall(told(judge(SPECIMENS[name]()))) == []


def test_every_spelling_is_told_by_some_specimen() -> None:
    """What no specimen reaches, the two tests above cannot see."""
    changes = {
        cure.change for name in SPECIMENS for f in judge(in_pytorch(SPECIMENS[name]())).findings for cure in f.cures
    }
    for word in ("kaiming_normal_", "xavier_uniform_", "orthogonal_", "weight_hh", "BatchNorm1d", "clip_grad_norm_"):
        assert any(word in change for change in changes), word
    for word in ("nn.LayerNorm", "zeros_(layer.bias)", "nn.Tanh()", "eps=", "GradScaler", "nn.Sigmoid()"):
        assert any(word in change for change in changes), word


def test_a_verdict_does_not_depend_on_the_language() -> None:
    for name, build in SPECIMENS.items():
        ours, theirs = judge(build()), judge(in_pytorch(build()))
        assert [(f.code, f.severity, len(f.cures)) for f in ours.findings] == [
            (f.code, f.severity, len(f.cures)) for f in theirs.findings
        ], name


def test_the_notebook_tells_the_same() -> None:
    fragment = render_fragment(judge(in_pytorch(SPECIMENS["tutorial_sigmoid"]())))
    assert "nn.Tanh()" in fragment
    assert not KERAS.search(fragment)


@pytest.mark.parametrize("words", [keras, torch])
def test_both_languages_say_everything(words: Spelling) -> None:
    assert all(hasattr(words, name) for name in Spelling.__annotations__ | vars(Spelling) if not name.startswith("_"))


def test_pages_of_rules_name_both_where_they_name_one() -> None:
    for rule in RULES:
        page = rule.__doc__ or ""
        if "LossScaleOptimizer" in page or "GradScaler" in page:
            assert "LossScaleOptimizer" in page
            assert "GradScaler" in page


@pytest.mark.torch
def test_what_pytorch_is_told_can_be_typed() -> None:
    """Run the spellings on a small module: a remedy that raises is none."""
    library = pytest.importorskip("torch")
    layer, rnn = library.nn.Linear(4, 4), library.nn.RNN(4, 4)
    names = {"nn": library.nn, "torch": library, "layer": layer, "rnn": rnn, "model": layer, "features": 4}
    names["channels"] = 4
    for line in (
        *(torch.initializer(name) for name in ("he_normal", "lecun_normal", "glorot_uniform")),
        torch.orthogonal(1.41),
        torch.orthogonal_recurrence().split(",")[0],
        torch.zero_bias(),
        *(torch.activation(name) for name in ("elu", "leaky_relu", "sigmoid", "softmax", "tanh")),
        *(torch.batch_norm(axes).split(" before ")[0] for axes in (0, 1, 2, 3)),
        *(torch.layer_norm(axes).split(" before ")[0] for axes in (0, 2)),
    ):
        eval(line, names)  # our own words
