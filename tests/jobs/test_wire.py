"""Messages between a pool and its workers: every bit of a number arrives, and an end is told from a message."""

from __future__ import annotations

import io
import math

import msgspec
import numpy as np
import pytest
from trials import change

from unvanish.core.evidence import Run
from unvanish.errors import UnsupportedError
from unvanish.jobs.lending import digests_of, read, write
from unvanish.jobs.wire import Answer, Done, Ready, Refused, Wanted, receive, send
from unvanish.testing.observations import Recipe, observation
from unvanish.trial.job import Job

RUN = Run(
    seed=3,
    learning_rate=0.1 + 0.2,
    steps=5,
    loss_before=math.nan,
    loss=5e-324,
    score=-math.inf,
    train_score=-0.0,
    stuck=True,
    seconds=1e300,
)


def test_a_result_arrives_to_the_bit() -> None:
    pipe = io.BytesIO()
    sent = Done(run=RUN, seen=observation(Recipe()))
    send(pipe, sent)
    send(pipe, Ready())
    pipe.seek(0)
    got = receive(pipe, Answer)  # type: ignore[arg-type]
    assert repr(got) == repr(sent)
    assert receive(pipe, Answer) == Ready()  # type: ignore[arg-type]
    with pytest.raises(EOFError):
        receive(pipe, Answer)  # type: ignore[arg-type]


def test_a_job_arrives_with_its_prescription() -> None:
    job = Job(prescription=change("swap", edit="clip"), seed=1, learning_rate=1 / 3, steps=7)
    pipe = io.BytesIO()
    send(pipe, job)
    assert receive(io.BytesIO(pipe.getvalue()), Job) == job
    with pytest.raises(EOFError):
        receive(io.BytesIO(pipe.getvalue()[:-1]), Job)
    with pytest.raises(msgspec.ValidationError):
        receive(io.BytesIO(pipe.getvalue()), Wanted)
    assert Refused(why="a") != Wanted(names=("a",))


ARRAYS = {
    "numbers": np.arange(6, dtype=np.float32).reshape(2, 3),
    "turned": np.arange(6, dtype=np.float32).reshape(3, 2).T,
    "one": np.float64(0.1),
    "words": np.array(["a", "bc"]),
    "none": np.zeros((0, 4), np.int64),
}


def test_arrays_are_told_apart_and_come_back(tmp_path) -> None:
    arrays = {name: np.asarray(array) for name, array in ARRAYS.items()}
    digests = digests_of(arrays)
    assert len(set(digests.values())) == len(arrays)
    assert digests == digests_of({name: np.array(array) for name, array in arrays.items()})
    changed = arrays["numbers"].copy()
    changed[1, 2] = np.nextafter(changed[1, 2], 9)
    assert digests_of({"numbers": changed})["numbers"] != digests["numbers"]
    files = {name: write(array, digests[name], tmp_path) for name, array in arrays.items()}
    back = read(files, {name: np.empty_like(array) for name, array in arrays.items()})
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_a_kind_of_number_that_numpys_format_does_not_know(tmp_path) -> None:
    kind = pytest.importorskip("ml_dtypes").bfloat16
    array = np.arange(4).astype(kind)
    files = {"x": write(array, digests_of({"x": array})["x"], tmp_path)}
    assert read(files, {"x": np.zeros(4, kind)})["x"].tolist() == [0, 1, 2, 3]


def test_what_cannot_be_lent(tmp_path) -> None:
    with pytest.raises(UnsupportedError, match="Python objects") as told:
        digests_of({"labels": np.array([1, "a"], dtype=object)})
    assert told.value.found == "labels: dtype object"
    files = {"x": write(np.zeros(3), "d", tmp_path)}
    with pytest.raises(UnsupportedError, match="other sizes"):
        read(files, {"x": np.zeros(4)})
