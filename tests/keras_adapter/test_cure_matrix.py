"""What becomes of every cure on every family of networks, against the committed table `cure_matrix.txt`."""

from __future__ import annotations

from pathlib import Path

import pytest
from curable import FAMILIES
from cure_cells import bench, by_hand, forms, outcome

from unvanish.cures.table import CURES

pytestmark = pytest.mark.keras
TABLE, _, REFUSALS = Path(__file__).with_name("cure_matrix.txt").read_text().partition("\n\n")
ROWS = [line.split() for line in TABLE.splitlines() if not line.startswith("#")]
EXPECTED = {row[0]: dict(zip(ROWS[0][1:], row[1:], strict=True)) for row in ROWS[1:]}
WORDS = [line for line in REFUSALS.splitlines() if not line.startswith("#")]


def test_the_table_is_complete() -> None:
    assert ROWS[0][1:] == [cure.NAME for cure in CURES]
    assert list(EXPECTED) == list(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_cure_does_to_it_what_the_table_says(family: str, tmp_path: Path) -> None:
    on = bench(family)
    marks, words = {}, []
    for cure in CURES:
        proposed = cure.propose(on.seen)
        found = [
            outcome(on, one, bool(proposed), tmp_path) for one in forms(proposed) or (by_hand(cure, on.seen.network),)
        ]
        marks[cure.NAME] = "".join(mark for mark, _ in found)
        words += [f"{family} | {cure.NAME} | {text}" for text in dict.fromkeys(text for _, text in found if text)]
    assert words == [line for line in WORDS if line.startswith(f"{family} | ")]
    assert marks == EXPECTED[family]
