"""A layer's site is the innermost line of the user's own source."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import numpy
import pytest

from unvanish.core.diagnosis import Site
from unvanish.watching import sites
from unvanish.watching.sites import Frame, first_frame_of, is_users, shown_from, site_of

HERE = Path(__file__).resolve()


def test_innermost_frame_of_the_user() -> None:
    def constructor() -> Frame | None:
        return first_frame_of(HERE)

    found = constructor()
    assert found is not None
    site, text = site_of(*found), "return first_frame_of(HERE)"
    assert (site.file, site.text) == (str(HERE), text)
    line = HERE.read_text().split("\n")[site.line - 1]
    assert line[site.column : site.end_column] == "first_frame_of(HERE)"
    assert site.end_line == site.line


def test_frames_of_strings_and_libraries_are_passed_over() -> None:
    def make() -> Frame | None:
        space: dict[str, object] = {"f": lambda _: first_frame_of(HERE.parent / "elsewhere" / "train.py")}
        return numpy.apply_along_axis(eval("lambda x: f(x)", space), 0, numpy.zeros(1)) and None

    assert first_frame_of(HERE.parent / "elsewhere" / "train.py") is None


@pytest.mark.parametrize(
    ("file", "script", "expected"),
    [
        ("/p/train.py", "/p/train.py", True),
        ("/p/models/dense.py", "/p/train.py", True),
        ("/q/dense.py", "/p/train.py", False),
        ("/pp/dense.py", "/p/train.py", False),
        ("/p/.venv/lib/python3.11/site-packages/keras/layer.py", "/p/train.py", False),
        ("/p/dist-packages/keras/layer.py", "/p/train.py", False),
        ("/x/site-packages/tool/train.py", "/x/site-packages/tool/train.py", True),
        (sysconfig.get_path("stdlib") + "/runpy.py", "/train.py", False),
        (sites.__file__, str(Path(sites.__file__).parents[3] / "train.py"), False),
        ("<string>", "/p/train.py", False),
        ("<frozen importlib._bootstrap>", "/p/train.py", False),
    ],
)
def test_whose_file(file: str, script: str, expected: bool) -> None:
    assert is_users(file, script) is expected


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "train.py").touch()
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "train.py")
    assert is_users(str(tmp_path / "real" / "layers.py"), str(tmp_path / "link.py"))


def test_site_of_a_line_that_cannot_be_read() -> None:
    assert site_of("/none/train.py", 3) == Site(file="/none/train.py", line=3, text="")


def test_shown_from_a_folder() -> None:
    site = Site(file="/a/b/train.py", line=1, text="x")
    assert shown_from(site, Path("/a")).file == "b/train.py"
    assert shown_from(site, Path("/c")) == site
