"""Two recordings side by side, against plain Python on what was written into them."""

import json
import math
import statistics

import numpy as np
import pytest
from runs import broken_run, looked_into, numbers, write_run

import unvanish
from unvanish.core import document
from unvanish.core.recording import ACTIVATION_STATS, WATCH_STATS, Event
from unvanish.core.recording_file import read
from unvanish.core.run_comparison import LayerPair, RunComparison
from unvanish.errors import UsageError
from unvanish.testing.diagnoses import sick


def compared(tmp_path, first, second, **steps):
    runs = [
        write_run(tmp_path / place, table, steps=steps.get(place), losses=steps.get(f"{place}_losses"))
        for place, table in (("before", first), ("after", second))
    ]
    return unvanish.compare(*map(unvanish.load, runs))


@pytest.mark.parametrize("seed", range(3))
def test_medians_and_decades_of_every_layer(tmp_path, seed):
    tables = [numbers(4, 7, decades=d, seed=seed).astype("f4").astype(float) for d in (2.0, 0.1)]
    pairs = compared(tmp_path, *tables).layers
    for i, pair in enumerate(pairs):
        before, after = (statistics.median((table[:, 0, i] / 8).tolist()) for table in tables)
        assert (pair.before, pair.after) == pytest.approx((before, after), rel=1e-6, abs=0)
        assert pair.decades == pytest.approx(math.log10(after) - math.log10(before), rel=0, abs=1e-5)


def test_layers_are_paired_by_place_or_by_name(tmp_path):
    same = compared(tmp_path / "same", numbers(3, 4), numbers(3, 4))
    assert same.by_position
    other = [read(write_run(tmp_path / names, numbers(3, 4), names=tuple(names))) for names in ("xyz", "xpq")]
    assert [pair.name for pair in unvanish.compare(*other).layers] == ["x", "y / p", "z / q"]
    fewer = compared(tmp_path / "fewer", numbers(3, 4), numbers(2, 4))
    assert not fewer.by_position
    assert [(pair.name, pair.after is None, pair.decades is None) for pair in fewer.layers] == [
        ("dense_0", False, False),
        ("dense_1", False, False),
        ("dense_2", True, True),
    ]


def test_losses_are_of_the_steps_that_both_sampled(tmp_path):
    before, after = [0, 2, 4, 6, 8, 12], [0, 3, 6, 9, 12, 15]
    pair = compared(
        tmp_path,
        numbers(2, 6),
        numbers(2, 6),
        before=before,
        after=after,
        before_losses=[1.0 + s for s in before],
        after_losses=[100.0 + s for s in after],
    )
    assert [(p.step, p.before, p.after, p.before_step, p.after_step) for p in pair.losses] == [
        (0, 1.0, 100.0, 0, 0),
        (6, 7.0, 106.0, 6, 6),
        (12, 13.0, 112.0, 12, 12),
    ]
    assert pair.losses[1].difference == 99.0


def test_losses_of_runs_that_share_no_step_are_those_before(tmp_path):
    pair = compared(tmp_path, numbers(2, 5), numbers(2, 4), before=[0, 10, 20, 30, 40], after=[1, 12, 23, 34])
    assert [(p.step, p.before_step, p.after_step) for p in pair.losses] == [
        (1, 0, 1),
        (8, 0, 1),
        (14, 10, 12),
        (21, 20, 12),
        (27, 20, 23),
        (34, 30, 34),
    ]


@pytest.mark.parametrize("samples", [(0, 3), (3, 0), (0, 0)])
def test_a_run_without_a_sample(tmp_path, samples):
    pair = compared(tmp_path, *(numbers(2, count) for count in samples))
    assert pair.losses == ()
    assert all(one.decades is None for one in pair.layers)
    assert pair.first_over_last_change is None
    assert "2 samples" not in str(pair)


def test_a_loss_that_is_no_number_has_no_difference(tmp_path):
    pair = unvanish.compare(*[read(broken_run(tmp_path / name, samples=6)) for name in "ab"])
    assert [p.difference is None for p in pair.losses if p.step == 50] == [True]


def test_it_is_written_and_read(tmp_path):
    table = numbers(3, 4)
    table[1, 0, 1] = np.inf
    pair = compared(tmp_path, table, numbers(3, 4))
    again = document.decode(pair.to_json(), RunComparison)
    assert again.to_json() == pair.to_json()
    assert pair.save(tmp_path / "pair.txt").read_text() == str(pair)
    assert "<!doctype html>" in pair.save(tmp_path / "pair.html").read_text()


def test_a_recording_is_compared_with_another_alone(tmp_path):
    recording = read(broken_run(tmp_path / "run"))
    for one, other, found in ((recording, sick(), "a Recording and a Diagnosis"), (sick(), recording, "Diagnosis")):
        with pytest.raises(UsageError, match="another recording alone") as caught:
            unvanish.compare(one, other)
        assert found in str(caught.value)


def finding(step, code, kind="finding"):
    return Event(step=step, seconds=0.0, kind=kind, text=f"step {step}: [{code}]", code=code)


BEFORE = (
    finding(0, "GF101"),
    finding(2, "GF202"),
    Event(step=3, seconds=0.0, kind="jump", text="a jump"),
    finding(9, "GF401", "nonfinite"),
    finding(9, "GF101"),
)
AFTER = (finding(4, "GF202"), finding(8, "GF102"))


def with_events(tmp_path, before, after, samples=(3, 3)):
    runs = [
        write_run(tmp_path / place, numbers(2, count), events=events)
        for place, events, count in (("before", before, samples[0]), ("after", after, samples[1]))
    ]
    return unvanish.compare(*map(unvanish.load, runs))


def steps_of(told):
    return {
        word: [(t.code, t.before and t.before.step, t.after and t.after.step) for t in findings]
        for word, findings in told.items()
    }


def test_findings_that_went_came_and_stayed_are_told_with_their_first_steps(tmp_path):
    pair = with_events(tmp_path, BEFORE, AFTER)
    assert steps_of(pair.told) == {
        "went": [("GF101", 0, None), ("GF401", 9, None)],
        "came": [("GF102", None, 8)],
        "stayed": [("GF202", 2, 4)],
    }
    back = unvanish.compare(pair.after, pair.before)
    assert [t.code for t in back.told["came"]] == ["GF101", "GF401"]
    assert [t.code for t in back.told["went"]] == ["GF102"]
    same = unvanish.compare(pair.before, pair.before)
    assert {word: len(found) for word, found in same.told.items()} == {"went": 0, "came": 0, "stayed": 3}


def test_the_json_says_which_findings_went_came_and_stayed(tmp_path):
    pair = with_events(tmp_path, BEFORE, AFTER)
    told = json.loads(pair.to_json())["record"]["told"]
    assert {word: [one["code"] for one in found] for word, found in told.items()} == {
        "went": ["GF101", "GF401"],
        "came": ["GF102"],
        "stayed": ["GF202"],
    }
    assert told["stayed"][0]["before"]["step"] == 2
    assert told["went"][0]["after"] is None


@pytest.mark.parametrize("samples", [(0, 3), (3, 0)])
def test_of_a_run_without_a_sample_no_finding_is_said_to_have_gone(samples, tmp_path):
    pair = with_events(tmp_path, BEFORE if samples[0] else (), AFTER if samples[1] else (), samples)
    assert pair.told is None
    assert "findings: not compared" in str(pair)


@pytest.mark.parametrize("seed", range(3))
def test_what_else_is_compared_of_every_layer(tmp_path, seed):
    tables = [
        looked_into(numbers(4, 7, seed=seed), [0, 2, 4]).astype("f4").astype(float),
        looked_into(numbers(4, 9, seed=seed + 9), [1]).astype("f4").astype(float),
    ]
    pair = compared(tmp_path, *tables)
    assert pair.compared == ("update_ratio", *ACTIVATION_STATS)
    last = (4, 1)
    for i, layer in enumerate(pair.layers):
        ratios = [statistics.median((table[:, 2, i] / table[:, 1, i]).tolist()) for table in tables]
        assert layer.stats["update_ratio"] == pytest.approx(ratios, rel=1e-6, abs=0)
        for stat in ACTIVATION_STATS:
            for side in (0, 1):
                expected, found = tables[side][last[side], WATCH_STATS.index(stat), i], layer.stats[stat][side]
                assert found is None if math.isnan(expected) else found == expected


def test_of_a_layer_that_one_run_alone_has_nothing_is_compared(tmp_path):
    tables = looked_into(numbers(3, 4), [0]), looked_into(numbers(2, 4), [0])
    last = compared(tmp_path, *tables).layers[-1]
    assert last.name == "dense_2"
    assert {side[1] for side in last.stats.values()} == {None}
    assert last.stats["transmission"][0] == pytest.approx(0.24, rel=1e-6, abs=0)


def test_of_a_broken_recording_there_are_no_decades():
    assert LayerPair(name="d", before=-1.0, after=2.0).decades is None
    assert LayerPair(name="d", before=0.5, after=-2.0).decades is None
    assert LayerPair(name="d", before=0.5, after=5.0).decades == pytest.approx(1.0, rel=1e-12, abs=0)
