"""All rules together: the root cause gives the word, the order is what people read, nothing is hidden or caught."""

import math
import re
from collections.abc import Callable
from itertools import combinations, product

import msgspec
import pytest
from msgspec.structs import replace

from unvanish.core import document
from unvanish.core.diagnosis import Cost, Diagnosis, Finding, Site, Undecided
from unvanish.core.observation import Observation
from unvanish.rules import judge as module
from unvanish.rules.judge import judge, ordered, verdict_word
from unvanish.rules.rule import Rule
from unvanish.rules.table import ROOT_ORDER, RULES
from unvanish.testing.specimens import SPECIMENS

Judged = Callable[[str], Diagnosis]
NAMES = {rule.CODE: rule.NAME for rule in RULES}
WORDS = {
    "GF101": "vanishing",
    "GF102": "exploding",
    "GF103": "vanishing",
    "GF104": "vanishing",
    "GF105": "exploding",
    "GF201": "saturated",
    "GF202": "dead",
    "GF301": "untrainable-step",
    "GF302": "untrainable-step",
    "GF401": "nonfinite",
    "GF501": "blocked",
    "GF502": "blocked",
    "GF601": "vanishing",
    "GF602": "exploding",
    "GF603": "blocked",
    "GF701": "vanishing",
    "GF702": "exploding",
    "GF904": "blocked",
}
STAGES = (
    ("GF601", "GF602", "GF603"),
    ("GF104", "GF105"),
    ("GF201", "GF202"),
    ("GF101", "GF102", "GF103", "GF501", "GF502", "GF701", "GF702", "GF904"),
    ("GF301", "GF302"),
)
"""initialisation -> forward signal -> activation -> gradient -> update"""


def error(code: str) -> Finding:
    return Finding(code=code, name=NAMES[code], severity="error", message="", verdict=WORDS[code])


def finding(code: str, severity: str) -> Finding:
    return msgspec.convert(
        {"type": "Finding", "code": code, "name": NAMES[code], "severity": severity, "message": ""}, Finding
    )


@pytest.mark.parametrize(("earlier", "later"), list(combinations(range(len(STAGES)), 2)))
def test_the_word_is_the_root_causes(earlier: int, later: int) -> None:
    for cause, effect in product(STAGES[earlier], STAGES[later]):
        assert verdict_word([error(effect), error(cause)], []) == WORDS[cause], (cause, effect)


def test_nonfinite_is_the_word_only_where_nothing_else_is_wrong() -> None:
    assert verdict_word([error("GF401")], []) == "nonfinite"
    for code, word in WORDS.items():
        assert verdict_word([error("GF401"), error(code)], []) == word


def test_errors_come_first_then_warnings_then_notes_and_within_each_the_root_cause() -> None:
    shuffled = [
        finding("GF903", "note"),
        finding("GF303", "warning"),
        finding("GF101", "error"),
        finding("GF202", "warning"),
        finding("GF102", "note"),
        finding("GF601", "error"),
    ]
    assert [f.code for f in ordered(shuffled)] == ["GF601", "GF101", "GF202", "GF303", "GF102", "GF903"]


def test_findings_of_one_word_stand_together_the_picture_of_the_depth_first() -> None:
    mixed = [error("GF602"), error("GF601"), error("GF104"), error("GF301"), error("GF101")]
    assert [f.code for f in ordered(mixed)] == ["GF101", "GF104", "GF601", "GF602", "GF301"]


def test_only_errors_change_the_word() -> None:
    assert verdict_word([finding("GF101", "warning"), finding("GF903", "note")], []) == "healthy"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_undecided_is_the_word_only_for_the_families_that_must_look(rule: Rule) -> None:
    blind = Undecided(code=rule.CODE, name=rule.NAME, reason="it could not look")
    expected = "undecided" if rule.CODE[2] in "1245" and rule.CODE != "GF503" else "healthy"  # GF503 only ever warns
    assert verdict_word([], [blind]) == expected
    assert verdict_word([finding("GF303", "warning")], [blind]) == expected
    assert verdict_word([error("GF502")], [blind]) == "blocked"


def test_an_undecided_diagnosis_says_who_could_not_look_and_why() -> None:
    found = judge(SPECIMENS["zero_output_at_start"]())
    assert found.verdict == "undecided"
    assert found.severity is None
    assert f"{len(found.undecided)} rules could not look" in found.sentence
    assert found.undecided[0].reason in found.sentence


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_every_rule_is_accounted_for(name: str, judged: Judged) -> None:
    found = judged(name)
    codes = [verdict.code for verdict in (*found.findings, *found.clear, *found.undecided)]
    assert sorted(codes) == [rule.CODE for rule in RULES]
    assert found.sentence
    assert "\n" not in found.sentence
    assert len(found.sentence) < 250


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_a_diagnosis_survives_json(name: str, judged: Judged) -> None:
    found = judged(name)
    again = document.decode(found.to_json(), Diagnosis)
    assert again.verdict == found.verdict
    assert again.findings == found.findings or "nan" in str(found.findings)
    assert [verdict.code for verdict in again.clear] == [verdict.code for verdict in found.clear]


def test_rules_are_left_out_by_code_or_name() -> None:
    seen = SPECIMENS["tutorial_sigmoid"]()
    found = judge(seen, ignore=("GF601", "signal-vanishes-forward", "GF101"))
    codes = {verdict.code for verdict in (*found.findings, *found.clear, *found.undecided)}
    assert codes == set(NAMES) - {"GF601", "GF104", "GF101"}
    assert found.verdict == "healthy"


def test_what_is_handed_in_is_kept() -> None:
    site, cost = Site(file="train.py", line=12, text="x"), Cost(total_seconds=2.0, added_seconds=1.0)
    found = judge(
        SPECIMENS["healthy_tanh"](), title="t", version="0.1", sites={"dense": site}, cost=cost, created="2026-01-31"
    )
    assert (found.title, found.version, found.created) == ("t", "0.1", "2026-01-31")
    assert found.sites == {"dense": site}
    assert found.cost is cost


def test_an_exception_of_a_rule_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        CODE, NAME = "GF999", "broken"

        @staticmethod
        def judge(seen: Observation) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(module, "RULES", (Broken,))
    with pytest.raises(ZeroDivisionError):
        judge(SPECIMENS["healthy_tanh"]())


def test_the_sentences_hold_the_numbers(judged: Judged) -> None:
    sick = judged("tutorial_sigmoid")
    assert sick.sentence == "the first layer receives 0.1 millionths of the last one's gradient (12 layers)"
    healthy = judged("healthy_relu")
    assert healthy.sentence == "12 layers, 0.99x per layer, first/last 0.88, 34 % dead, 60 steps"
    assert judged("underflowing").sentence.startswith("the first layer receives none of the last one's gradient")
    assert judged("one_layer").sentence == "1 layer, 60 steps"
    assert "2,452x" in judged("exploding").sentence
    assert (
        judged("dead_layer").sentence
        == "all 64 units of dense_3 are zero on every sample after 60 steps (100 % at step 0)"
    )


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_names_of_layers_and_optimizers_decide_nothing(name: str, judged: Judged) -> None:
    seen = SPECIMENS[name]()
    text = msgspec.json.encode(_finite(msgspec.to_builtins(seen))).decode()
    renamed = (
        re.sub('(?<!"kind":)"dense', '"<b>relu', text).replace('"Adam"', '"Frobnicator"').replace('"Dense"', '"Relu"')
    )
    other = msgspec.convert(msgspec.json.decode(renamed), Observation, strict=False)
    after = judge(other)
    assert after.verdict == judged(name).verdict
    assert [(f.code, f.severity) for f in after.findings] == [(f.code, f.severity) for f in judged(name).findings]


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_less_was_seen_and_no_rule_breaks(name: str, judged: Judged) -> None:
    """Whatever was not measured, every rule answers; no error appears out of missing numbers."""
    seen = SPECIMENS[name]()
    before = {f.code for f in judged(name).findings if f.severity == "error"}
    bare = replace(seen.recording, steps=(), losses=(), rows={}, total_steps=0)
    for poorer in (
        replace(seen, forecast=None),
        replace(seen, evaluation=None),
        replace(seen, loss=replace(seen.loss, chance=None)),
        replace(seen, planned_steps=None),
        replace(seen, profiles=seen.profiles[:1], recording=bare, evaluation=None, forecast=None),
        replace(seen, profiles=tuple(replace(p, layers=()) for p in seen.profiles)),
    ):
        found = judge(poorer)
        assert found.verdict in {*WORDS.values(), "healthy", "undecided"}
        if before == set():
            errors = {f.code for f in found.findings if f.severity == "error"}
            eased = {"GF101", "GF103", "GF201", "GF301", "GF302", "GF501", "GF601", "GF603"}
            assert errors <= eased, "what eased it is missing now"


def test_blind_is_never_healthy() -> None:
    seen = SPECIMENS["tutorial_sigmoid"]()
    assert judge(replace(seen, profiles=tuple(replace(p, layers=()) for p in seen.profiles))).verdict == "undecided"


def test_the_root_order_is_an_order_of_causes() -> None:
    place = {code: ROOT_ORDER.index(code) for code in NAMES}
    for i, stage in enumerate(STAGES[:-1]):
        assert max(place[code] for code in stage) < min(place[code] for code in STAGES[i + 1])


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("learns_anyway", "GF601, GF101 are only warnings: the loss falls all the same"),
        ("recovered", "the profile recovered while training"),
        ("small_learning_rate", "GF301 is only a warning: it need not keep the layers from learning"),
    ],
)
def test_a_healthy_sentence_says_why_a_warning_does_not_make_it_sick(name: str, reason: str) -> None:
    found = judge(SPECIMENS[name]())
    assert found.verdict == "healthy"
    assert found.sentence.endswith(reason)


def test_a_healthy_sentence_without_warnings_says_nothing_of_them() -> None:
    for name in SPECIMENS:
        found = judge(SPECIMENS[name]())
        warned = found.verdict == "healthy" and any(f.severity == "warning" for f in found.findings)
        assert ("only a warning" in found.sentence or "only warnings" in found.sentence) == warned, name
