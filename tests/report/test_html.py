"""The HTML page and the notebook fragment as markup: self-contained, strict, escaped, small, the same every time."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from page import Page, assert_every_reference_has_its_target, assert_strict_policy, assert_whole_and_self_contained

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.html import render_html
from unvanish.report.notebook import render_fragment
from unvanish.report.overlay import draw_overlay
from unvanish.report.raw_data import raw_data
from unvanish.report.rows import layer_rows
from unvanish.testing.diagnoses import bare, deep, forgetful, healthy, nonfinite, sick
from unvanish.testing.hostile import hostile


@pytest.fixture(scope="module")
def text(any_diagnosis: Diagnosis) -> str:
    return render_html(any_diagnosis)


def test_page_is_whole_and_self_contained(text: str) -> None:
    assert_whole_and_self_contained(text)


def test_policy_is_strict_and_its_hashes_fit(text: str) -> None:
    assert_strict_policy(text)


def test_ids_are_unique_and_every_reference_has_its_target(text: str) -> None:
    assert_every_reference_has_its_target(text)


def test_page_shows_verdict_findings_and_every_layer(any_diagnosis: Diagnosis, text: str) -> None:
    page = Page(text)
    assert any(any_diagnosis.verdict.upper() in heading for heading in page.texts["h1"])
    articles = [a["id"] for tag, a in page.tags if tag == "article"]
    assert articles == [finding.code for finding in any_diagnosis.findings]
    table = text[text.index('<table id="layer-table">') :]
    assert table[: table.index("</table>")].count("<tr><td>") == len(layer_rows(any_diagnosis))
    for verdict in (*any_diagnosis.undecided, *any_diagnosis.clear):
        assert verdict.code in text


def test_embedded_data_are_json(any_diagnosis: Diagnosis, text: str) -> None:
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert not set(data) & set("<>&")
    assert data.isascii()
    record = json.loads(data)["record"]
    assert record["verdict"] == any_diagnosis.verdict
    assert len(record["observation"]["recording"]["layers"]) == len(any_diagnosis.recording.layers)


def test_page_is_the_same_every_time() -> None:
    assert render_html(sick()) == render_html(sick())


def test_page_of_a_thousand_layers_is_small_and_complete() -> None:
    text = render_html(deep(1000))
    assert len(text.encode()) < 1_000_000
    assert "<td>dense_999<td>" in text
    (data,) = re.findall(r'id="data">(.*?)</script>', text)
    assert json.loads(data)["record"]["verdict"] == "exploding"


def test_data_of_hostile_size_are_left_out_with_a_word() -> None:
    document = json.loads(raw_data(deep(60), budget=2_000))
    assert document["record"] == {}
    assert "left out" in document["note"]
    note = json.loads(raw_data(hostile()))["note"]
    assert "names cut to 80 characters" in note


def test_embedded_numbers_are_those_of_the_record() -> None:
    record = json.loads(raw_data(sick()))["record"]["observation"]
    profile = sick().profile.layers
    assert record["profiles"]["layers"][0]["gradient_rms"] == pytest.approx(
        [layer.gradient_rms for layer in profile], rel=1e-5, abs=0
    )
    assert record["recording"]["losses"] == pytest.approx(sick().recording.losses, rel=1e-5, abs=0)
    assert "nan" in json.loads(raw_data(nonfinite()))["record"]["observation"]["recording"]["losses"]


def test_hostile_text_is_escaped() -> None:
    text = render_html(hostile())
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "{{ 7*7 }}" in text
    text.encode()


@pytest.mark.filterwarnings("error")
def test_no_warning_and_no_setting_left_behind() -> None:
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"text.usetex": True, "svg.fonttype": "path", "axes.facecolor": "black"}):
        chosen = dict(matplotlib.rcParams)
        ours = render_html(hostile())
        assert dict(matplotlib.rcParams) == chosen
    assert dict(matplotlib.rcParams) == before
    assert render_html(hostile()) == ours


def test_fragment_is_static(any_diagnosis: Diagnosis) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = render_fragment(any_diagnosis)
    page = Page(text)
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= {"div", "p", "b", "br", "ol", "li", "code", "img"}
    assert [src for src in page.values("src") if not src.startswith("data:image/png;base64,")] == []
    assert any_diagnosis.verdict.upper() in text
    assert all(finding.code in text for finding in any_diagnosis.findings)


def test_a_recurrent_network_shows_its_gradient_through_time() -> None:
    text = render_html(forgetful())
    assert '<section id="time">' in text
    assert "dense: 0.50x per step, carries 5 steps" in text
    assert '<section id="time">' not in render_html(sick())


def test_fragment_has_the_three_main_pictures() -> None:
    pictures = Page(render_fragment(sick())).values("src")
    assert len(pictures) == 3
    for picture in pictures:
        assert base64.b64decode(picture.partition(",")[2]).startswith(b"\x89PNG")


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_overlay_is_written(tmp_path: Path, ending: str) -> None:
    networks = {"sick": sick(), "healthy": healthy(), "$hostile 🦖 <b>": hostile(), "bare": bare(), "zero": nonfinite()}
    path = draw_overlay(networks, tmp_path / f"overlay.{ending}")
    data = path.read_bytes()
    if ending == "png":
        assert data.startswith(b"\x89PNG")
        return
    texts = [element.text for element in ElementTree.fromstring(data).iter() if element.tag.endswith("text")]
    assert {"sick", "healthy", "bare", "zero", "exactly zero", "not finite"} <= set(texts)


def test_pictures_need_no_pyplot() -> None:
    code = (
        "import sys\nfrom unvanish.report.html import render_html\nfrom unvanish.testing.diagnoses import sick\n"
        "render_html(sick())\nprint('matplotlib.pyplot' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
