"""The table of verdict words, against what the rules say and what the README promises."""

import re
from collections.abc import Callable
from pathlib import Path

from unvanish.core.diagnosis import Diagnosis
from unvanish.rules.verdicts import VERDICTS, word_of
from unvanish.testing.specimens import SPECIMENS


def test_the_words_rules_are_those_that_argue_for_it(judged: Callable[[str], Diagnosis]) -> None:
    argued = {(f.verdict, f.code) for name in SPECIMENS for f in judged(name).findings if f.verdict}
    assert argued == {(word, code) for word, known in VERDICTS.items() for code in known.codes}


def test_the_readme_tells_the_same_words() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([a-z-]+)` \| (.*?) \| \d \|$", readme, re.MULTILINE)
    assert told == [(word, known.meaning) for word, known in VERDICTS.items()]


def test_words_as_people_type_them() -> None:
    assert word_of("VANISHING") == "vanishing"
    assert word_of("untrainable step") == word_of("untrainable_step") == "untrainable-step"
    assert word_of("GF101") is None
