"""Patches that come and go, also among those of others."""

from __future__ import annotations

import functools
import types

import pytest

from unvanish.torch.patches import Patches

pytestmark = pytest.mark.torch


def made():
    owner = types.SimpleNamespace(call=lambda x: [x])
    patches = Patches()
    patches.wrap(owner, "call", lambda original, x: [*original(x), "ours"])
    return owner, patches


def wrap_by_another(owner):
    inner = owner.call

    @functools.wraps(inner)
    def theirs(x):
        return [*inner(x), "theirs"]

    owner.call = theirs
    return theirs


def test_undone_and_redone():
    owner, patches = made()
    wrapped = owner.call
    for _ in range(2):
        assert owner.call(1) == [1, "ours"]
        patches.undo()
        assert owner.call is not wrapped
        assert owner.call(1) == [1]
        patches.redo()
        assert owner.call is wrapped


def test_resting_passes_on():
    owner, patches = made()
    wrapped = owner.call
    patches.rest()
    assert owner.call is wrapped
    assert owner.call(1) == [1]
    patches.redo()
    assert owner.call(1) == [1, "ours"]


def test_wrapped_by_another_while_it_is_there():
    owner, patches = made()
    theirs = wrap_by_another(owner)
    patches.undo()
    assert owner.call is theirs
    assert owner.call(1) == [1, "theirs"]
    patches.redo()
    assert owner.call is theirs
    assert owner.call(1) == [1, "ours", "theirs"]


def test_wrapped_by_another_while_it_is_away():
    owner, patches = made()
    patches.undo()
    theirs = wrap_by_another(owner)
    patches.redo()
    assert owner.call(1) == [1, "theirs", "ours"]
    patches.undo()
    assert owner.call is theirs
