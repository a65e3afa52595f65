"""The example notebook is executed in a kernel of its own; its cells must show progress, the report and the picture."""

import base64
from pathlib import Path

import pytest

import unvanish

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def cells(folder):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "committed without outputs"
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, kernel_name="python3", timeout=180, resources=resources)
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cell, kind):
    return [output.data[kind] for output in cell.outputs if kind in getattr(output, "data", {})]


@pytest.mark.keras
def test_the_diagnosis_is_shown_in_the_cell(cells):
    (html,) = outputs(cells[1], "text/html")
    assert "VANISHING" in html
    assert "GF101" in html
    assert html.count("data:image/png;base64,") >= 2
    assert "<script" not in html


@pytest.mark.keras
def test_progress_was_one_line_that_is_gone(cells):
    lines = outputs(cells[1], "text/plain")
    assert lines[0] == ""  # the line of progress, emptied; the diagnosis comes after it
    assert len([output for output in cells[1].outputs if output.output_type == "display_data"]) == 1
    assert not [output for output in cells[1].outputs if output.output_type == "stream"]


@pytest.mark.keras
def test_the_gradients_are_drawn_without_pyplot(cells):
    (image,) = outputs(cells[2], "image/png")
    assert base64.b64decode(image)[:4] == PNG


@pytest.mark.keras
def test_a_watched_fit_shows_where_its_recording_is_and_its_picture(cells, folder):
    (image,) = outputs(cells[3], "image/png")
    assert base64.b64decode(image)[:4] == PNG
    where, _ = outputs(cells[3], "text/plain")
    assert where.startswith("recording: ")
    recording = unvanish.load(folder / where.removeprefix("recording: "))
    assert len(recording.steps) == 3 * 32 // 5 + 1
    told = [output.text for output in cells[3].outputs if output.output_type == "stream"]
    assert len(told) == 1  # what is found is told once, and stays
    assert "GF101" in told[0]
