"""`unvanish replay`: what is said of a step that is run again, and of one that cannot be."""

import msgspec
import pytest

from unvanish.cli.main import run
from unvanish.core import spoilt_file
from unvanish.core.nonfinite import Located, Magnitudes, Replayed, Spoilt
from unvanish.report.replay_text import render_replayed

WHOLE = Magnitudes(smallest=1.5, largest=89.25, dtype="float32", entries=24)
PLACE = Located(where="forward", layer="tower.part", operation="exp", inputs=WHOLE)


def spoilt(**changed):
    return Spoilt(**{"step": 7, "state": "before", "located": PLACE, "framework": "torch", **changed})


@pytest.mark.parametrize("width", [40, 80])
def test_both_findings_are_shown_within_the_width(width):
    text = render_replayed(Replayed(then=spoilt(), again=PLACE), width=width)
    assert max(map(len, text.splitlines())) <= width
    one = " ".join(text.split())
    assert one.startswith("then step 7: the first value that is no finite number comes forward in tower.part (exp)")
    assert "again the same: forward in tower.part" in one
    assert one.count("1.5 to 89.2 (float32)") == 2


def test_another_place_is_not_called_the_same():
    other = msgspec.structs.replace(PLACE, layer="head")
    text = render_replayed(Replayed(then=spoilt(), again=other))
    assert "the same" not in text
    assert "again forward in head" in " ".join(text.split())


def test_facts_are_a_document_of_their_kind():
    facts = msgspec.json.decode(Replayed(then=spoilt(), again=Located(where="unknown")).to_json())
    assert (facts["schema"], facts["kind"], facts["record"]["then"]["step"]) == (1, "Replayed", 7)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"left_out": "batch and weights take 300 MiB, more than the 256 that are kept"}, "take 300 MiB"),
        ({"script": ""}, "it was no script that trained"),
    ],
)
def test_a_step_that_was_not_kept_whole_is_one_error_with_what_was_found(kept, said, tmp_path, capsys):
    spoilt_file.write(tmp_path, spoilt(**kept), {})
    assert run(["replay", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: the step cannot be run again: ")
    assert said in told
    assert "forward in tower.part (exp)" in told
    assert f"unvanish report {tmp_path}" in told


def test_a_script_that_is_gone_is_one_error(tmp_path, capsys):
    spoilt_file.write(tmp_path, spoilt(script=str(tmp_path / "gone.py")), {})
    assert run(["replay", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "gone.py" in told
    assert "Traceback" not in told
