"""Not applicable is not "looked, and not there": a rule says why there is nothing that could show its pattern."""

import pytest

from unvanish.core.diagnosis import Clear
from unvanish.report.html import render_html
from unvanish.rules.judge import judge
from unvanish.testing.specimens import SPECIMENS


def reasons(name: str) -> dict[str, str]:
    return {verdict.code: verdict.not_applicable for verdict in judge(SPECIMENS[name]()).clear}


def test_a_plain_relu_network_has_no_time_no_normalisation_and_nothing_that_saturates() -> None:
    found = reasons("healthy_relu")
    assert found["GF701"] == found["GF702"] == "the network has no recurrent layer"
    assert found["GF905"] == "no batch normalisation keeps moving averages"
    assert found["GF201"] == "no hidden activation goes flat on both sides"
    assert found["GF402"] == "the layers do not compute in float16"
    assert found["GF101"] == found["GF202"] == found["GF302"] == ""


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_whoever_measured_has_looked(name: str) -> None:
    clear: tuple[Clear, ...] = judge(SPECIMENS[name]()).clear
    assert not [verdict.code for verdict in clear if verdict.not_applicable and verdict.evidence]


def test_the_page_lists_them_apart() -> None:
    page = render_html(judge(SPECIMENS["healthy_relu"]()))
    looked = page[page.index("Clear: looked, and not there") :]
    looked, apart = looked.split("Does not apply to this training")[:2]
    assert "GF702" not in looked
    assert "GF104" in looked
    assert "GF702</b> gradient-explodes-through-time: the network has no recurrent layer" in apart
