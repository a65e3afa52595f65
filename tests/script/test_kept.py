"""Trials that are kept: believed only while script, arguments, data, network and plan are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cured import cured
from msgspec.structs import replace

from unvanish.core.digest import digest
from unvanish.core.weight_stats import weight_stats
from unvanish.script.kept import NAME, digest_of, keep, kept
from unvanish.script.outcome import ScriptRun
from unvanish.testing.observations import Recipe, observation
from unvanish.trial.plan import Plan


class Trainer:
    data = "the same data"

    def fingerprint(self) -> str:
        return self.data


@pytest.fixture
def ran(tmp_path: Path) -> ScriptRun:
    script = tmp_path / "train.py"
    script.write_text("fit()\n")
    (tmp_path / "data.py").write_text("load()\n")
    files = (str(script), str(tmp_path / "data.py"))
    return ScriptRun(
        script=script,
        outcome="enough",
        files=files,
        observation=observation(Recipe()),
        trainer=Trainer(),
        folder=tmp_path,
    )


def known(ran: ScriptRun, *argv: str, plan: Plan | None = None, version: str = "1") -> str:
    return digest_of(ran, argv, plan or Plan(), version)


def test_trials_of_an_unchanged_script_are_found_again(ran: ScriptRun, tmp_path: Path) -> None:
    record = cured()
    keep(tmp_path, known(ran, "-x"), record)
    assert kept(tmp_path, known(ran, "-x")) == record
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_anything_that_trials_depend_on_makes_them_others(ran: ScriptRun, tmp_path: Path) -> None:
    seen = ran.observation
    assert seen is not None
    first = known(ran)
    other: Any = Trainer()
    other.data = "other data"
    wider = replace(seen, network=replace(seen.network, layers=seen.network.layers[1:]))
    faster = replace(seen, optimizer=replace(seen.optimizer, learning_rate=0.5))
    digests = [
        known(ran, "-x"),
        known(ran, plan=Plan(seeds=4)),
        known(ran, plan=Plan(seconds=60.0)),
        known(ran, version="2"),
        known(replace(ran, trainer=other)),
        known(replace(ran, observation=wider)),
        known(replace(ran, observation=faster)),
    ]
    for name in ("train.py", "data.py"):
        (tmp_path / name).write_text("changed\n")
        digests.append(known(ran))
    assert len({first, *digests}) == len(digests) + 1
    keep(tmp_path, first, cured())
    assert all(kept(tmp_path, one) is None for one in digests)


def test_weights_that_are_drawn_anew_do_not_count(ran: ScriptRun) -> None:
    seen = ran.observation
    assert seen is not None
    drawn = weight_stats(np.random.default_rng(0).normal(size=(20, 64)))
    layers = tuple(replace(one, kernel=drawn) if one.kernel is not None else one for one in seen.network.layers)
    assert known(replace(ran, observation=replace(seen, network=replace(seen.network, layers=layers)))) == known(ran)


def test_what_cannot_be_read_is_made_anew(tmp_path: Path) -> None:
    assert kept(None, "x") is None
    assert kept(tmp_path, "x") is None
    keep(tmp_path, "x", cured())
    whole = (tmp_path / NAME).read_bytes()
    for broken in (b"", whole[: len(whole) // 2], whole.replace(b'"Kept"', b'"Cured"')):
        (tmp_path / NAME).write_bytes(broken)
        assert kept(tmp_path, "x") is None


def test_a_digest_of_arrays_is_of_every_bit() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    changed = array.copy()
    changed[1, 2] = np.nextafter(changed[1, 2], np.float32(9))
    same = digest({"a": array[:, :]})
    assert digest({"a": np.asfortranarray(array)}) == same, "of the entries, not of how they lie"
    others = [{"a": changed}, {"b": array}, {"a": array.reshape(3, 2)}, {"a": array.astype(np.float64)}]
    assert len({same, *map(digest, others)}) == 5
