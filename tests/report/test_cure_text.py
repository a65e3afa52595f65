from __future__ import annotations

import io

import pytest
from cured import cured
from msgspec.structs import replace
from rich.console import Console
from trials import CLIP, change, evidence

from unvanish.core.cured import Cured
from unvanish.core.evidence import Dropped
from unvanish.report.cure_text import print_cure, render_cure
from unvanish.testing import diagnoses

WORD = change("swap-activation", variant="tanh", change="activation='tanh'", harm="where the range has a meaning")
BRANCH = change("add-residual", "architecture", "residual", variant="a variant with a very long name indeed")
EVIDENCE = evidence(
    (0.5, 0.49, 0.51),
    {WORD: (0.84, 0.85, 0.86), BRANCH: (0.8, 0.81, 0.82), CLIP: (0.5, 0.49, 0.51)},
    dropped=(Dropped(prescription=change("add-batch-norm"), reason="exploding at the first step", transmission=1.21),),
)
CURED = Cured(
    verdict="cured",
    sentence="activation='tanh' (one word): accuracy 0.850 instead of 0.500",
    prescription=WORD,
    evidence=EVIDENCE,
    diagnosis=diagnoses.sick(),
    notes=("clipping had no effect",),
    source="model = 1\n\nlonger = " + "x" * 90 + "\n",
    title="train.py",
    version="0.1.0",
    seconds=12.3,
)


def test_the_text(snapshot: object) -> None:
    assert render_cure(cured(), report=".unvanish/train/report.html") == snapshot


def test_before_and_after_stand_where_something_is_prescribed() -> None:
    assert "B●" in render_cure(cured())
    assert "B●" not in render_cure(cured(verdict="no-cure-helped", prescription=None))


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_line_but_of_source_is_too_wide(width: int) -> None:
    text = render_cure(CURED, width=width)
    assert all(len(line) <= width for line in text.splitlines() if "xxx" not in line)


def test_every_arm_and_every_number_of_the_record_is_there() -> None:
    text = render_cure(CURED, width=100)
    for arm in (EVIDENCE.baseline, *EVIDENCE.arms):
        row = next(line for line in text.splitlines() if line[2:].startswith(arm.label[:12]))
        assert f"{arm.stuck}/{len(arm.runs)}" in row
        assert f"{arm.score:.3f}".removeprefix("0") in row
        assert arm.verdict in row
        assert row.startswith(">") == (arm.prescription == WORD)
    assert "add-batch-norm: exploding at the first step (1.21x per layer)" in text


LONG = change("swap-activation", "one line", variant="gelu + looks-linear-init")
NAMES = (WORD, LONG, change("centred-orthogonal-init", "initialisation only"), CLIP)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_name_breaks_before_its_variant_and_columns_stay_whole(width: int) -> None:
    arms = evidence((0.5, 0.5, 0.5), dict.fromkeys(NAMES, (0.8, 0.81, 0.82)))
    text = render_cure(replace(CURED, evidence=arms), width=width)
    head, *rows = text.split("stuck  per layer", 1)[1].split("\n\n")[0].splitlines()
    assert "step" in head, "no column is lost"
    assert sum("[.800-.820]" in row for row in rows) == len(NAMES)
    joined = " ".join(" ".join(rows).split())
    assert "(gelu + looks-linear-init)" in joined
    assert all("looks-linear-init)" not in row or "(gelu + looks-linear-init)" in row for row in rows)
    assert any(row[2:].startswith("centred-orthogonal-init") for row in rows)


def test_where_nothing_was_compared_no_words_on_comparing_stand() -> None:
    alone = replace(CURED, verdict="not-the-gradients", prescription=None, evidence=evidence((0.9, 0.9, 0.9), {}))
    text = " ".join(render_cure(alone).split())
    assert "3 seeds, 100 steps each (800 planned); score: held-out accuracy, median [range]; chance 0.5" in text
    assert "better: a test" not in text
    assert "step: its time" not in text


def test_it_is_said_which_numbers_are_of_one_initialisation() -> None:
    text = " ".join(render_cure(CURED).split())
    assert "one initialisation; numbers of the trials: medians over 3 seeds" in text


def test_why_there_is_no_patch_stands_where_it_would_stand() -> None:
    lines = render_cure(replace(CURED, no_patch="the call was not found")).splitlines()
    place = lines.index("no patch: the call was not found")
    assert lines.index("to change: activation='tanh'") < place < lines.index("the cured model:")


def test_harm_names_the_learning_rate_that_was_measured() -> None:
    text = " ".join(render_cure(CURED).split())
    assert "does harm: where the range has a meaning (measured at learning rate 0.001)" in text


def test_the_source_is_not_broken() -> None:
    assert "    longer = " + "x" * 90 in render_cure(CURED, width=60).splitlines()


def test_without_evidence_prescription_and_source() -> None:
    bare = replace(CURED, verdict="undecided", prescription=None, evidence=None, source="", notes=(), cut="interrupted")
    text = render_cure(bare)
    assert "? UNDECIDED" in text
    assert "to change" not in text
    assert "the cured model" not in text
    assert "interrupted: what was measured until then is shown" in text


def test_nothing_to_cure_is_no_alarm() -> None:
    healthy = replace(CURED, verdict="not-the-gradients", prescription=None, diagnosis=diagnoses.healthy())
    assert "✓ NOT-THE-GRADIENTS" in render_cure(healthy)
    assert "as it is  " not in render_cure(replace(healthy, evidence=None))
    assert "✗ NO-CURE-HELPED" in render_cure(replace(healthy, verdict="no-cure-helped"))


def test_a_loss_that_falls_is_a_change_below_zero() -> None:
    losses = evidence((-1.0, -1.1, -0.9), {WORD: (-0.2, -0.3, -0.1)}, metric="loss", chance=-1.0)
    text = render_cure(replace(CURED, evidence=losses))
    assert ".200 [.100-.300]" in text
    assert "-.800" in text


def test_ascii_where_the_terminal_has_nothing_else() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_cure(CURED, Console(file=out, width=80, force_terminal=False))
    out.seek(0)
    assert "+ CURED" in out.read()
