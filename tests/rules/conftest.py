"""The diagnosis of every specimen, taken once."""

from collections.abc import Callable
from functools import cache

import pytest

from unvanish.core.diagnosis import Diagnosis
from unvanish.rules.judge import judge
from unvanish.testing.specimens import SPECIMENS


@pytest.fixture(scope="session")
def judged() -> Callable[[str], Diagnosis]:
    return cache(lambda name: judge(SPECIMENS[name]()))
