"""What a stream of samples has judged: the samples 1, 2, 4, 8, ..., and at its end what was not judged yet."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Finding
from unvanish.core.network import Edge, Layer, Network
from unvanish.core.observation import DataInfo, LossInfo, Observation, OptimizerInfo
from unvanish.core.recording import STEP_STATS, WATCH_STATS, About, Recording
from unvanish.core.recording_file import Header, Row
from unvanish.core.weight_stats import WeightStats
from unvanish.watching import judges
from unvanish.watching.stream import Stream

HEADER = Header(about=About(title="t", framework="f"), layers=("a", "b"), sizes=(4, 4))
KERNEL = WeightStats(mean=0.0, variance=0.1, size=4)
NETWORK = Network(
    name="n",
    framework="f",
    layers=tuple(Layer(name=name, kind="dense", type="Dense", kernel=KERNEL) for name in HEADER.layers),
    edges=(),
    outputs=("b",),
)
START = Observation(
    network=NETWORK,
    profiles=(),
    recording=Recording(layers=(), sizes=(), steps=(), losses=(), rows={}),
    optimizer=OptimizerInfo(name="SGD", family="sgd", learning_rate=0.1),
    loss=LossInfo(kind="other", head="linear"),
    data=DataInfo(samples=None, batch_size=8),
)


def row(step, *, look=False, loss=None, bad=False):
    table = np.ones((len(WATCH_STATS), 2), dtype="f4")
    table[STEP_STATS.index("gradient_nonfinite")] = bad
    table[len(STEP_STATS) :] = 0.5 if look else math.nan
    return Row(step, step / 10, 100.0 - step if loss is None else loss, table)


class Judge:
    """Find what a test says of a step, and remember what was judged."""

    def __init__(self, found=()):
        self.seen, self.found = [], dict(found)

    def __call__(self, seen):
        self.seen.append(([p.step for p in seen.profiles], seen.profiles[-1].loss, seen.recording.steps))
        return [
            Finding(code=code, name="x", severity="error", message="m", verdict=word, layers=("a",))
            for code, word in self.found.get(seen.profiles[-1].step, ())
        ]

    @property
    def steps(self):
        return [steps for steps, _, _ in self.seen]


@pytest.fixture
def stream_of(monkeypatch):
    def make(found=()):
        judge = Judge(found)
        monkeypatch.setattr(judges, "JUDGES", [judge])
        monkeypatch.setattr("unvanish.watching.stream.JUDGES", [judge])
        return Stream(START, "float32"), judge

    return make


def test_the_samples_that_come_are_judged_at_powers_of_two_and_the_last_one_at_the_end(stream_of):
    stream, judge = stream_of()
    for step in range(11):
        assert stream.hear(HEADER, row(step)) == []
    assert judge.steps == [[0], [1], [3], [7]]
    assert stream.end(HEADER) == []
    assert judge.steps == [[0], [1], [3], [7], [10]]
    assert judge.seen[-1][2] == tuple(range(11))


def test_a_last_sample_that_was_judged_is_not_judged_again(stream_of):
    stream, judge = stream_of()
    for step in range(8):
        stream.hear(HEADER, row(step))
    stream.end(HEADER)
    assert judge.steps == [[0], [1], [3], [7]]


def test_the_last_look_is_judged_at_the_end_with_the_loss_as_it_is_by_then(stream_of):
    stream, judge = stream_of()
    for step in range(30):
        stream.hear(HEADER, row(step, look=step in (0, 20, 25)))
    seen = len(judge.seen)
    stream.end(HEADER)
    (last, look) = judge.seen[seen:]
    assert last[0] == [29]
    assert look == ([0, 25], 73.0, tuple(range(10, 30)))  # the median of the last five: 100 - 27


def test_a_run_with_one_look_has_that_judged_with_the_course_of_the_loss(stream_of):
    stream, judge = stream_of()
    for step in range(16):
        stream.hear(HEADER, row(step, look=step == 0))
    stream.end(HEADER)
    assert judge.seen[-1][:2] == ([0, 0], 87.0)


def test_what_lasts_is_told_at_the_end_with_the_step_that_shows_it_and_only_once(stream_of):
    stream, _ = stream_of(
        {
            0: [("GF202", "dead")],
            5: [("GF101", "vanishing"), ("GF502", "blocked"), ("GF201", "saturated")],
            6: [("GF102", "exploding"), ("GF201", "saturated"), ("GF202", "dead")],
        }
    )
    for step in range(7):
        stream.hear(HEADER, row(step, look=step in (0, 2, 5)))
    events = stream.end(HEADER)
    assert [(event.step, event.code, event.verdict) for event in events] == [
        (6, "GF201", "saturated"),
        (5, "GF502", "blocked"),
    ]
    assert [event.text for event in events][1] == "step 5: BLOCKED  [GF502] m"


def test_a_sample_that_is_not_finite_is_not_the_last_one_that_is_judged(stream_of):
    stream, judge = stream_of()
    for step in range(6):
        stream.hear(HEADER, row(step))
    stream.hear(HEADER, row(6, bad=True, loss=math.nan))
    stream.end(HEADER)
    assert judge.steps[-1] == [5]


def test_at_the_end_no_judgment_is_waited_for_that_takes_long_and_that_is_said(stream_of, monkeypatch):
    stream, judge = stream_of({2: [("GF502", "blocked")]})
    clock = itertools.count(0.0, 3.0)
    monkeypatch.setattr("unvanish.watching.stream.time.perf_counter", lambda: next(clock))
    for step in range(3):
        stream.hear(HEADER, row(step))
    (event,) = stream.end(HEADER)
    assert (event.kind, event.step, event.code) == ("unjudged", 2, "")
    assert event.text.endswith("takes 3.0 s or more")
    assert judge.steps == [[0], [1]]


def test_a_stream_of_nothing_has_nothing_to_judge(stream_of):
    stream, judge = stream_of()
    assert stream.end(HEADER) == []
    stream.hear(HEADER, row(0, bad=True, loss=math.nan))
    assert stream.end(HEADER) == []
    assert judge.seen == []


CHAIN = tuple(f"d{i}" for i in range(12))
DEEP = Header(about=About(title="t", framework="f"), layers=CHAIN, sizes=(4096,) * 12)


def steep(step, loss):
    table = np.full((len(WATCH_STATS), 12), math.nan, dtype="f4")
    table[STEP_STATS.index("gradient_norm")] = 1.6 ** -np.arange(12.0)  # 1.6x at every layer towards the input
    table[STEP_STATS.index("weight_norm")], table[STEP_STATS.index("update_norm")] = 8.0, 1e-3
    table[STEP_STATS.index("gradient_zeros")] = table[STEP_STATS.index("gradient_nonfinite")] = 0
    return Row(step, step / 10, loss, table)


def deep_stream():
    layers = [
        Layer(name=name, kind="dense", type="Dense", activation="relu", units=64, kernel=KERNEL, trainable=True)
        for name in CHAIN
    ]
    network = Network(
        name="n",
        framework="f",
        layers=tuple(layers),
        edges=tuple(Edge(*pair) for pair in itertools.pairwise(CHAIN)),
        outputs=(CHAIN[-1],),
    )
    return Stream(replace(START, network=network), "float32")


def told(losses):
    stream = deep_stream()
    events = [stream.hear(DEEP, steep(step, loss) if step > 40 else flat(step, loss)) for step, loss in losses]
    return [event.code for found in events for event in found]


def flat(step, loss):
    made = steep(step, loss)
    made.numbers[STEP_STATS.index("gradient_norm")] = 1.0
    return made


def test_steep_gradients_are_an_error_of_a_network_that_does_not_learn_alone():
    import unvanish.api  # noqa: F401  # whose rules judge

    assert "GF102" in told((step, 2.3) for step in range(130))
    assert told((step, 2.3 * 0.97**step) for step in range(130)) == []


def cut(step):
    made = flat(step, 0.7)
    made.numbers[STEP_STATS.index("gradient_norm"), :5] = 0.0
    return made


def test_gradients_that_are_zero_in_one_batch_alone_are_no_error():
    """As those of an epoch's last batch are that is a single sample: normalised over the batch it is a constant."""
    import unvanish.api  # noqa: F401  # whose rules judge

    def told(zero):
        stream = deep_stream()
        events = [stream.hear(DEEP, cut(step) if step in zero else flat(step, 0.7)) for step in range(32)]
        return [event.code for found in [*events, stream.end(DEEP)] for event in found]

    assert "GF502" not in told({7, 15, 23, 31})  # those that are judged
    assert "GF502" in told(range(14, 32))
    assert "GF502" in told({30, 31})
