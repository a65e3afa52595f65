"""`unvanish report`: a saved diagnosis, rendered again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from runs import broken_run, numbers, write_run

from unvanish.cli.main import run
from unvanish.core import document
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.long_table import to_csv
from unvanish.core.recording import Recording
from unvanish.core.recording_file import read
from unvanish.testing.diagnoses import sick


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return sick().save(Path("facts.json"))


def test_text_json_and_html(facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_pictures: None) -> None:
    assert run(["report", "facts.json", "--json", "again.json", "--html", "again.html"]) == 0
    written = capsys.readouterr()
    assert "VANISHING" in written.out
    assert "report: again.html" in " ".join(written.out.split())
    assert written.err == ""
    assert (tmp_path / "again.json").read_bytes() == facts.read_bytes()
    assert document.decode(facts.read_bytes(), Diagnosis) == sick()
    assert (tmp_path / "again.html").read_text() == "<p>vanishing"


def test_the_real_page(facts: Path, tmp_path: Path) -> None:
    assert run(["report", "facts.json", "--html", "again.html"]) == 0
    assert "<svg" in (tmp_path / "again.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "what", "found"),
    [
        (None, "cannot read the facts 'bad.json'", "No such file or directory"),
        (b"", "bad.json holds no saved facts", "Input data was truncated"),
        (b"\xff\xfe", "bad.json holds no saved facts", "JSON is malformed"),
        (b'{"schema": 99, "kind": "Diagnosis"}', "bad.json holds no saved facts", "found schema 99"),
        (b'{"schema": 1, "kind": "Letter"}', "bad.json holds no saved facts", "kind 'Letter'"),
        (b'{"schema": 1, "kind": "Recording", "record": {}}', "bad.json holds no saved facts", "layers"),
        (b'{"schema": 1, "kind": "Diagnosis", "record": {}}', "bad.json holds no saved facts", "verdict"),
    ],
)
def test_files_that_are_no_diagnosis(
    facts: Path, content: bytes | None, what: str, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("bad.json").write_bytes(content)
    assert run(["report", "bad.json"]) == 2
    written = capsys.readouterr()
    lines = written.err.splitlines()
    assert (lines[0], written.out) == (f"error: {what}", "")
    assert lines[1].startswith("  found:  ")
    assert found in lines[1]
    assert lines[2] == (f"  folder: {Path.cwd()}" if content is None else f"  bytes: {len(content)}")
    assert "unvanish check train.py --json" in lines[3]


def test_a_folder_without_a_recording(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder").mkdir()
    assert run(["report", "folder"]) == 2
    assert "  found:  no file recording.sqlite in it\n" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_a_run_whose_file_is_no_recording(facts: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder").mkdir()
    Path("folder/recording.sqlite").write_bytes(content)
    assert run(["report", "folder"]) == 2
    assert "folder/recording.sqlite is not a recording that can be read" in capsys.readouterr().err


def test_full_disk(
    facts: Path, full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(["report", "facts.json", "--json", str(full)]) == 2
    assert f"cannot write {full}\n  found:  No space left on device; kept as" in capsys.readouterr().err


def test_quiet_writes_the_files_alone(
    facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_pictures: None
) -> None:
    assert run(["report", str(facts), "-q", "--html", "again.html"]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "again.html").exists()


def test_a_recording_as_text_json_and_html(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder = broken_run(tmp_path / "run-1")
    json, page = tmp_path / "run.json", tmp_path / "run.html"
    assert run(["report", str(run_folder), "--json", str(json), "--html", str(page)]) == 0
    assert "train.py · PyTorch 2.13.0 · Adam" in capsys.readouterr().out
    assert document.encode(document.decode(json.read_bytes(), Recording)) == document.encode(read(run_folder))
    assert "<h1>train.py</h1>" in page.read_text(encoding="utf-8")
    assert run(["report", str(run_folder / "recording.sqlite"), "-q", "--html", str(page)]) == 0
    assert capsys.readouterr().out == ""


def test_a_recording_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, table = broken_run(tmp_path / "run-1"), tmp_path / "run.csv"
    assert run(["report", str(folder), "-q", "--csv", str(table)]) == 0
    assert table.read_text(encoding="utf-8") == to_csv(read(folder))
    assert capsys.readouterr().out == ""


def test_parquet_without_pyarrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run(["report", str(broken_run(tmp_path / "run-1")), "--parquet", str(tmp_path / "run.parquet")]) == 2
    written = capsys.readouterr()
    assert written.err.startswith("error: a Parquet file needs the package pyarrow\n")
    assert written.out == ""


def test_a_diagnosis_has_no_table(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "facts.json", "--csv", "facts.csv"]) == 2
    assert "facts.csv is asked for, of a diagnosis" in capsys.readouterr().err
    assert not Path("facts.csv").exists()


def test_picture_and_markdown(facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    assert run(["report", "facts.json", "-q", "--image", "gradient.png", "--markdown", "out/question.md"]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "gradient.png").read_bytes().startswith(b"\x89PNG")
    found = (tmp_path / "out" / "question.md").read_text(encoding="utf-8")
    assert "](<../gradient.png>)" in found
    assert f"```text\n{str(sick()).rstrip()}\n```" in found


def test_an_image_of_another_form_is_refused(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "facts.json", "--image", "gradient.gif"]) == 2
    assert "'gradient.gif' is neither .png nor .svg" in capsys.readouterr().err


def test_what_has_no_picture_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder = write_run(tmp_path / "run", numbers(3, 0))
    assert run(["report", str(run_folder), "-q", "--image", str(tmp_path / "x.svg")]) == 2
    assert "there is no picture" in capsys.readouterr().err
    assert not (tmp_path / "x.svg").exists()


@pytest.mark.parametrize("option", ["--html", "--json", "--markdown"])
def test_what_is_read_is_not_written_over(
    facts: Path, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken_run(tmp_path / "run")
    for source, target in ((facts, facts), (folder, folder / "recording.sqlite"), (folder, folder)):
        before = target.read_bytes() if target.is_file() else b""
        assert run(["report", str(source), "-q", option, str(target)]) == 2
        assert "cannot write" in capsys.readouterr().err
        assert (target.read_bytes() if target.is_file() else b"") == before
    assert run(["report", str(folder), "-q", option, str(folder / "run.out")]) == 0
