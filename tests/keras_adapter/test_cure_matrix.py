"""What becomes of every cure on every family of networks, against the committed table `cure_matrix.txt`."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from curable import FAMILIES
from cure_cells import Bench, bench, by_hand, forms, outcome

from unvanish.cures.cure import Cure
from unvanish.cures.table import CURES

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer"),  # saved before its first step
]
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
TABLE, _, REFUSALS = Path(__file__).with_name("cure_matrix.txt").read_text().partition("\n\n")
ROWS = [line.split() for line in TABLE.splitlines() if not line.startswith("#")]
EXPECTED = {row[0]: dict(zip(ROWS[0][1:], row[1:], strict=True)) for row in ROWS[1:]}
QUICK = (
    *("attention", "batch-norm", "bidirectional", "conv-2d", "dense-relu", "embedding", "layer-norm", "loss-scaling"),
    *("mixed-precision", "nested-sequential", "residual", "several-inputs", "shared-layer", "subclassed"),
    *("time-distributed", "transposed"),
)
"""Families that between them show every outcome of every cure; the others resemble one of them, and take a minute."""
PROPOSED_OR_NOT = str.maketrans("ot", "+s")
WORDS = [line for line in REFUSALS.splitlines() if not line.startswith("#")]


def test_the_table_is_complete() -> None:
    assert ROWS[0][1:] == [cure.NAME for cure in CURES]
    assert list(EXPECTED) == list(FAMILIES)


@pytest.mark.parametrize("cure", ROWS[0][1:])
def test_every_outcome_of_a_cure_is_met_by_a_quick_family(cure: str) -> None:
    quick, known = ({mark for name in names for mark in EXPECTED[name][cure]} for names in (QUICK, EXPECTED))
    assert quick == known


@pytest.mark.every_backend
@pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=[] if ON_TENSORFLOW and name in QUICK else pytest.mark.soak) for name in FAMILIES],
)
def test_every_cure_does_to_it_what_the_table_says(family: str, tmp_path: Path) -> None:
    on = bench(family)
    marks, words = {}, []
    for cure in CURES:
        found = [outcome(on, one, proposed, tmp_path) for one, proposed in tried(cure, on)]
        marks[cure.NAME] = "".join(mark for mark, _ in found)
        words += [f"{family} | {cure.NAME} | {text}" for text in dict.fromkeys(text for _, text in found if text)]
    assert words == [line for line in WORDS if line.startswith(f"{family} | ")]
    assert comparable(marks) == comparable(EXPECTED[family])


def comparable(marks: dict[str, str]) -> dict[str, str]:
    """Return the marks; not whether it was proposed on JAX and torch: other draws of so few weights, other gains."""
    return marks if ON_TENSORFLOW else {name: mark.translate(PROPOSED_OR_NOT) for name, mark in marks.items()}


def tried(cure: Cure, on: Bench) -> list[tuple[object, bool]]:
    """Return one prescription of each kind that the cure proposes; its bare edit where it proposes nothing."""
    proposed = cure.propose(on.seen)
    return [(one, True) for one in forms(proposed)] or [(by_hand(cure, on.seen.network), False)]


@pytest.mark.soak
@pytest.mark.every_backend
@pytest.mark.parametrize("family", FAMILIES)
def test_all_that_is_proposed_is_trained_saved_and_loaded(family: str, tmp_path: Path) -> None:
    on = bench(family)
    for cure in CURES:
        for one in cure.propose(on.seen):
            mark, _ = outcome(on, one, True, tmp_path, both=True)
            assert mark in EXPECTED[family][cure.NAME]
            if mark != "!":
                run, _ = on.trainer.train(one, 1, 1e-3, steps=2)
                assert run.steps == 2
