import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Finding
from unvanish.rules import gf104_signal_vanishes_forward as gf104
from unvanish.rules import gf502_gradient_exactly_zero as gf502
from unvanish.rules.what_if import changed, with_gain
from unvanish.rules.words import article, count, percent, power, short, small_part, span, times, two_digits
from unvanish.testing.specimens import SPECIMENS


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (4.2373, "4.2x"),
        (10 ** (1.5 / 12), "1.3x"),
        (10 ** (1.5 / 50), "1.07x"),
        (1.0, "1.00x"),
        (0.236, "0.24x"),
        (1.096, "1.1x"),
        (9.96, "10x"),
        (2452.3, "2,452x"),
        (8.8e8, "8.8e+08x"),
        (float("inf"), "infx"),
    ],
)
def test_times(factor: float, text: str) -> None:
    assert times(factor) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.002, "less than 1 %"), (0.43, "43 %"), (0.997, "more than 99 %"), (1.0, "100 %")],
)
def test_percent_never_rounds_to_nothing_or_everything(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0.0, "none of"),
        (0.03, "3 % of"),
        (7.7e-4, "0.8 thousandths of"),
        (7.7e-8, "0.08 millionths of"),
        (3e-13, "3e-13 of"),
    ],
)
def test_small_part(ratio: float, text: str) -> None:
    assert small_part(ratio) == text


@pytest.mark.parametrize(("number", "text"), [(1e-7, "1e-7"), (9.99999993922529e-09, "1e-8"), (5.9e-5, "6e-5")])
def test_power(number: float, text: str) -> None:
    assert power(number) == text


@pytest.mark.parametrize(("number", "text"), [(17448.2, "17,448"), (8.9e11, "9e11")])
def test_count(number: float, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(("number", "text"), [(1.0, "1.0"), (4.2, "4.2"), (14.2, "14"), (0.05, "0.050")])
def test_two_digits(number: float, text: str) -> None:
    assert two_digits(number) == text


def test_span_names_up_to_three() -> None:
    assert span(["a"]) == "a"
    assert span(["a", "b", "c"]) == "a, b, c"
    assert span(["a", "b", "c", "d"]) == "a..d (4 layers)"


def test_a_hostile_name_does_not_fill_the_sentence() -> None:
    assert len(short("<script>" * 2000)) == 40
    assert len(span(["x" * 10_000] * 5)) < 110


def test_article() -> None:
    assert article("sigmoid") == "a sigmoid"
    assert article("elu") == "an elu"


def test_a_name_that_is_a_number_is_called_a_layer() -> None:
    """PyTorch's Sequential numbers its modules: `in 0..6` would read as a range of numbers."""
    assert short("12") == "layer 12"
    assert span(["0", "2"]) == "layer 0, layer 2"
    assert span(["0", "2", "4", "6"]) == "layers 0..6 (4 layers)"
    assert short("net.12") == "net.12"


def test_a_shrinking_signal_has_a_reason_and_not_only_its_damage() -> None:
    """GF104: the weights' gain is why; what epsilon swallows is what it does."""
    seen = SPECIMENS["glorot_relu_100"]()
    found = gf104.judge(replace(seen, network=changed(seen.network, with_gain(1.0))))
    assert isinstance(found, Finding)
    assert found.why.startswith("the weights have gain 1.0, and a relu needs 1.4 to keep a signal; ")
    assert "epsilon (1e-7): that layer takes next to no step" in found.why
    kept = gf104.judge(replace(seen, network=changed(seen.network, with_gain(2**0.5))))
    assert isinstance(kept, Finding)
    assert "gain" not in kept.why


def test_no_healthy_band_is_any_other_number() -> None:
    found = gf502.judge(SPECIMENS["dead_layer"]())
    assert isinstance(found, Finding)
    assert found.healthy == "every kernel that may move has one"
