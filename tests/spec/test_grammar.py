"""The grammar of a described network: each form, and each mistake at its place."""

from __future__ import annotations

import pytest

from unvanish.errors import UsageError
from unvanish.spec.build import build


def told(text: str, **options: object) -> list[str]:
    """Return kind, units and activation of each layer behind the input."""
    network = build(text, **options)  # type: ignore[arg-type]
    return [f"{x.kind} {x.units} {x.activation}" for x in network.layers[1:]]


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("dense(3)", ["dense 3 linear"]),
        (" dense( 3 ,tanh )\n", ["dense 3 tanh"]),
        ("dense(3, relu)*2, dense(1)", ["dense 3 relu", "dense 3 relu", "dense 1 linear"]),
        ("dense(3), batch_norm, relu", ["dense 3 linear", "batch_norm 3 linear", "activation 3 relu"]),
        ("(dense(3), layer_norm)*2", ["dense 3 linear", "layer_norm 3 linear"] * 2),
        (
            "((dense(2), tanh)*2, dropout(0.25))*2",
            (["dense 2 linear", "activation 2 tanh"] * 2 + ["dropout 2 linear"]) * 2,
        ),
        ("residual(dense(4, relu))*2", ["dense 4 relu", "add 4 linear"] * 2),
        (
            "residual(dense(4), relu, scale=-.5)",
            ["dense 4 linear", "activation 4 relu", "scale 4 linear", "add 4 linear"],
        ),
        ("dense(4), rms_norm, group_norm(2)", ["dense 4 linear", "rms_norm 4 linear", "group_norm 4 linear"]),
    ],
)
def test_forms(text: str, layers: list[str]) -> None:
    assert told(text) == layers


def test_edges_of_a_chain_and_of_a_residual() -> None:
    network = build("dense(4), residual(dense(4), relu)")
    assert [network.sources(layer.name) for layer in network.layers] == [
        (),
        ("input",),
        ("dense_1",),
        ("dense_2",),
        ("relu_1", "dense_1"),
    ]
    assert network.outputs == ("add_1",)


def test_shapes_and_fans_of_a_convolutional_network() -> None:
    text = "input(9, 8, 3), conv(4, 3), conv(6, 3, 2, relu), conv(5, 2, valid), avg_pool(2), {}, dense(7)"
    network = build(text.format("flatten"))
    shapes = [(9, 8, 3), (9, 8, 4), (5, 4, 6), (4, 3, 5), (2, 1, 5), (10,), (7,)]
    assert [layer.shape for layer in network.layers] == shapes
    fans = [(layer.fan_in, layer.fan_out, layer.kernel.size) for layer in network.kernels if layer.kernel is not None]
    assert fans == [(27, 36, 108), (36, 54, 216), (24, 20, 120), (10, 7, 70)]
    assert network.layer("conv_2").activation == "relu"
    for word, reduction in (("global_avg_pool", "average"), ("global_max_pool", "max")):
        pool = build(text.format(word)).layer(f"{word}_1")
        assert (pool.kind, pool.shape, pool.reduction) == ("pool", (5,), reduction)


def test_words_and_sequences() -> None:
    network = build("input(6), embedding(20, 4), simple_rnn(5, relu, sequences), simple_rnn(3), dense(1)")
    assert [layer.shape for layer in network.layers] == [(6,), (6, 4), (6, 5), (3,), (1,)]
    assert [layer.state for layer in network.layers if layer.kind == "recurrent"] == ["relu", "tanh"]
    table = network.layer("embedding_1").table
    assert table is not None
    assert table.size == 80


def test_features_and_rate() -> None:
    network = build("dropout(.25), dense(4)", features=7)
    assert (network.layers[0].units, network.layers[1].keep, network.layer("dense_1").fan_in) == (7, 0.75, 7)
    assert build("relu, (dense(4)), dense(2)").layers[0].units == 4


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("", 0, "expected a layer, not the end"),
        ("dense(3),", 9, "expected a layer, not the end"),
        ("dense(3), dens(1)", 10, "expected a layer, not 'dens'"),
        ("dense(3) dense(1)", 9, "expected ',' or '*'"),
        ("dense", 5, "expected '('"),
        ("dense()", 6, "expected an argument of dense"),
        ("dense(3,)", 8, "expected an argument of dense"),
        ("dense(0)", 6, "whole number"),
        ("dense(2.5)", 6, "whole number"),
        ("dense(relu)", 6, "whole number"),
        ("dense(3, rellu)", 9, "'rellu' is no activation"),
        ("dense(3, relu, 4)", 13, "expected ')'"),
        ("dense(3", 7, "expected ')'"),
        ("(dense(3), relu", 15, "expected ')'"),
        ("dense(3))", 8, "expected ',' or '*'"),
        ("dense(3)*", 9, "how often"),
        ("dense(3)*0", 9, "how often"),
        ("dense(3)*x", 9, "how often"),
        ("dense(3), relu(2)", 14, "relu takes no arguments"),
        ("dense(3), dropout(1)", 18, "rate of dropout"),
        ("dense(3), dropout(nan)", 18, "rate of dropout"),
        ("residual", 8, "expected '('"),
        ("dense(3), residual(dense(4))", 10, "adds 3 units that enter to 4"),
        ("dense(3)*999999", 0, "too deep"),
        ("dense(3), residual(dense(3), scale)", 34, "expected '='"),
        ("dense(3), residual(dense(3), scale=relu)", 35, "multiplied by"),
        ("(dense(3), scale=2)", 11, "expected a layer, not 'scale'"),
        ("dense(3), group_norm(2)", 21, "do not fall into 2 groups"),
        ("conv(8, 3), flatten, dense(1)", 0, "shape of an input is not known"),
        ("conv(8)", 6, "expected ','"),
        ("dense(3), input(3)", 10, "first word"),
        ("input(3)*2, dense(3)", 0, "one input"),
        ("input(9, 9, 3), conv(8, 3, relu, tanh), flatten, dense(1)", 33, "'tanh' is no stride"),
        ("input(9, 9, 3), conv(8, 3, 2, 2), flatten, dense(1)", 30, "'2' is no stride"),
        ("input(9, 9, 3), conv(8, 11, valid), flatten, dense(1)", 24, "window of 11 does not fit"),
        ("input(9, 9, 3), max_pool(10), flatten, dense(1)", 25, "window of 10 does not fit"),
        ("dense(9), conv(8, 3), flatten, dense(1)", 10, "conv reads places and channels"),
        ("input(9, 9, 3), conv(8, 3)", 26, "ends in 9 x 9 x 8 values"),
        ("dense(9), embedding(3, 4), flatten, dense(1)", 10, "right behind the input"),
        ("input(5, 4), simple_rnn(3, gelu)", 27, "'gelu' is no activation of simple_rnn"),
        ("input(10001, 4), simple_rnn(3)", 17, "10001 steps are more than are followed"),
        ("input(5, 4, 3), simple_rnn(3)", 16, "reads steps of features"),
        ("(" * 60 + "dense(3)" + ")" * 60, 50, "more than 50 parentheses"),
    ],
)
def test_a_mistake_is_shown_at_its_place(text: str, place: int, what: str) -> None:
    with pytest.raises(UsageError) as raised:
        build(text)
    assert what in str(raised.value)
    lines = str(raised.value).splitlines()
    caret = next(line for line in lines if line.strip() == "^").index("^") - len("  found:  ")
    assert caret == place - max(0, min(place - 30, len(text) - 60))
    assert lines[-1].startswith("  try:    ")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("dnse(64), dense(1)", "did you mean dense?"),
        ("Dense(64), dense(1)", "did you mean dense?"),
        ("dense(64, sigmoyd), dense(1)", "did you mean sigmoid?"),
        ("dense(64, swish), dense(1)", "did you mean silu?"),
        ("input(9, 9, 3), conv2d(8, 3), flatten, dense(1)", "did you mean conv?"),
        ("dense(8), batchnorm, dense(1)", "did you mean batch_norm?"),
        ("lstm(8), dense(1)", "lstm is not modelled"),
        ("dense(8), xyzzy, dense(1)", "a network reads like this"),
    ],
)
def test_what_comes_near_is_what_was_meant(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        build(text)
    assert str(raised.value).splitlines()[-1].startswith(f"  try:    {hint}")


def test_accepted_words_are_told_and_a_network_without_weights_is_none() -> None:
    with pytest.raises(UsageError, match=r"accepted: avg_pool, batch_norm, conv, dense, .*residual.*sigmoid"):
        build("lstm(3)")
    with pytest.raises(UsageError, match="no dense layer"):
        build("relu, batch_norm")
