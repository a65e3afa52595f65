"""The HTML of cures and comparisons as markup: self-contained, strict, escaped, small, complete."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cured import BRANCH, cured
from msgspec.structs import replace
from page import Page, assert_every_reference_has_its_target, assert_strict_policy, assert_whole_and_self_contained

import unvanish
from unvanish.core.comparison import before_and_after
from unvanish.report.comparison_html import render_comparison_fragment, render_comparison_html
from unvanish.report.cure_html import render_cure_fragment, render_cure_html
from unvanish.testing.diagnoses import bare, healthy, nonfinite, sick
from unvanish.testing.hostile import hostile

EVIL = "<script>alert(1)</script>\u202e"
PAGES: dict[str, Callable[[], str]] = {
    "cured": lambda: render_cure_html(cured()),
    "hostile": lambda: render_cure_html(
        cured(diagnosis=hostile(), title=EVIL, notes=(EVIL,), source=f"x = '''{EVIL}</pre>'''\n")
    ),
    "nothing": lambda: render_cure_html(cured(verdict="nothing-to-learn", prescription=None, source="")),
    "untrained": lambda: render_cure_html(
        cured(verdict="undecided", prescription=None, evidence=None, cut="interrupted")
    ),
    "comparison": lambda: render_comparison_html(unvanish.compare(sick(), healthy())),
    "hostile comparison": lambda: render_comparison_html(unvanish.compare(hostile(), nonfinite())),
    "bare comparison": lambda: render_comparison_html(unvanish.compare(bare(), sick())),
}


@pytest.fixture(scope="module", params=sorted(PAGES))
def text(request: pytest.FixtureRequest) -> str:
    return PAGES[request.param]()


def test_page_is_whole_and_self_contained(text: str) -> None:
    assert_whole_and_self_contained(text)
    assert "<img" not in text
    assert len(text.encode()) < 300_000


def test_policy_is_strict_and_its_hashes_fit(text: str) -> None:
    assert_strict_policy(text)


def test_ids_are_unique_and_every_reference_has_its_target(text: str) -> None:
    assert_every_reference_has_its_target(text)


def test_hostile_text_is_escaped(text: str) -> None:
    assert [tag for tag, _ in Page(text).tags].count("script") == 2
    assert "<script>alert" not in text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert data.isascii()
    assert json.loads(data)["kind"] in ("Cured", "Comparison")


def test_every_arm_every_dropped_change_and_the_test_are_told() -> None:
    whole = cured()
    text = html.unescape(render_cure_html(whole))
    assert whole.evidence is not None
    table = text[text.index('<table class="ablation">') :]
    table = table[: table.index("</table>")]
    for arm in (whole.evidence.baseline, *whole.evidence.arms):
        (row,) = (row for row in table.split("<tr")[2:] if f">{arm.label}" in row)
        assert f"<td>{arm.stuck}/{len(arm.runs)}</td>" in row
        assert f"{arm.score:.3f}".removeprefix("0") in row
        assert f"{min(arm.scores):.3f}".removeprefix("0") in row
        assert arm.verdict in row
        assert ("prescribed" in row) == (arm.prescription == whole.prescription)
    assert "add-batch-norm</th><td>exploding at the first step</td><td>1.21x</td>" in text
    assert whole.evidence.test in text
    assert "clipping had no effect" in text


def test_p_values_are_those_of_the_paired_test() -> None:
    from scipy.stats import ttest_rel

    whole = cured()
    assert whole.evidence is not None
    arm = next(arm for arm in whole.evidence.arms if arm.prescription == BRANCH)
    p = ttest_rel(arm.scores, whole.evidence.baseline.scores, alternative="greater").pvalue
    row = next(row for row in render_cure_html(whole).split("<tr") if ">add-residual" in row)
    assert (f"<td>{p:.3f}</td>" if p >= 0.001 else "<td>&lt;0.001</td>") in row


def test_every_kernel_has_its_four_numbers() -> None:
    made = before_and_after(cured())
    assert made is not None
    assert made.before.gradients is not None
    assert made.after.gradients is not None
    text = render_cure_html(cured())
    table = text[text.index('<table class="depth">') :]
    for number in (made.before.gradients.medians[0], made.after.gradients.last_medians[-1]):
        assert f"<td>{number:.1e}</td>" in table


def test_what_is_not_there_has_no_section() -> None:
    text = PAGES["untrained"]()
    for section in ("before-after", "ablation", "seeds", "change", "kernels"):
        assert f'<section id="{section}">' not in text
    assert "interrupted: what was measured until then is shown" in text
    assert 'id="source"' not in PAGES["nothing"]()
    assert "Nothing is prescribed." in PAGES["nothing"]()


def test_the_source_is_there_to_the_letter() -> None:
    source = "import keras\n\n\ndef build_model():\n    return 'a < b' and  \"c & d\"\n"
    text = render_cure_html(cured(source=source))
    (block,) = re.findall(r'<pre class="code" id="source" tabindex="0">(.*?)</pre>', text, flags=re.DOTALL)
    assert html.unescape(block) == source


def test_the_patch_or_why_there_is_none() -> None:
    assert 'id="patch" tabindex="0">--- a/x\n' in render_cure_html(cured(patch="--- a/x\n"))
    assert "<b>no patch:</b> the call was not found" in render_cure_html(cured(no_patch="the call was not found"))
    assert "no patch: the call was not found" in cured(no_patch="the call was not found")._repr_html_()


def test_what_is_of_one_initialisation_and_what_of_all_seeds() -> None:
    told = "ne initialisation; numbers of the trials: medians over 3 seeds"
    assert render_cure_html(cured()).count(told) == 2
    assert told in cured()._repr_html_()


def test_a_thousand_layers_are_small() -> None:
    assert len(render_cure_html(cured(1000)).encode()) < 1_000_000


def test_pages_are_the_same_every_time() -> None:
    assert PAGES["cured"]() == PAGES["cured"]()


def test_fragments_are_static() -> None:
    for text in (
        render_cure_fragment(cured()),
        render_cure_fragment(cured(diagnosis=hostile(), title=EVIL)),
        render_cure_fragment(cured(evidence=None, prescription=None, verdict="undecided")),
        render_comparison_fragment(unvanish.compare(sick(), hostile())),
    ):
        page = Page(text)
        assert page.open == []
        known = {"div", "p", "b", "br", "code", "img", "table", "thead", "tbody", "tr", "th", "td"}
        assert {tag for tag, _ in page.tags} <= known
        assert [src for src in page.values("src") if not src.startswith("data:image/png;base64,")] == []


def test_records_show_and_save_themselves(tmp_path: Path) -> None:
    whole, pair = cured(), unvanish.compare(sick(), healthy())
    for record in (whole, pair):
        assert record.save(tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
        assert record.save(tmp_path / "page.json").read_text() == record.to_json()
        assert record.save(tmp_path / "page.txt").read_text(encoding="utf-8") == str(record)
        assert record._repr_html_().startswith(("<div", "\n<div"))
        with pytest.raises(unvanish.UnvanishError, match=r"cannot be written as '\.pdf'"):
            record.save(tmp_path / "page.pdf")


def test_a_loss_is_shown_where_there_is_no_accuracy() -> None:
    whole = cured()
    assert whole.evidence is not None
    text = render_cure_html(replace(whole, evidence=replace(whole.evidence, metric="loss", chance=None)))
    assert "held-out loss after 100 steps" in text
    assert "loss after 100 steps</p>" in text
