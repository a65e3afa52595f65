"""Progress in a notebook: one display, updated now and then, emptied at the end, also after an exception."""

import sys
import types

import pytest

from unvanish.report import notebook_progress
from unvanish.report.notebook_progress import NotebookProgress, in_notebook, line


class Display:
    """Stand in for IPython's display: keeps what was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> "Display":
        assert raw
        assert display_id
        self.shown.append(bundle["text/plain"])
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(bundle["text/plain"])


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    shown = Display()
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=shown, get_ipython=lambda: shell))
    return shown


def test_a_line_shows_how_far_it_is() -> None:
    assert line("training", 30, 60) == f"training {'█' * 12}{'░' * 12} 30/60"
    assert line("training", 60, 60).count("█") == 24
    assert line("reading the network", 0, 0) == "reading the network"
    assert line("training", 7, 0) == "training 7"


def test_it_is_told_now_and_then_and_is_gone_at_the_end(display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 10.1, 10.3])
    monkeypatch.setattr(notebook_progress.time, "monotonic", lambda: next(now))
    with NotebookProgress() as progress:
        for step in (1, 2, 3):
            progress("training", step, 3)
    assert display.shown == [line("training", 1, 3), line("training", 3, 3), ""]


def test_it_is_gone_after_an_exception(display: Display) -> None:
    def fail() -> None:
        with NotebookProgress() as progress:
            progress("training", 1, 3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert display.shown[-1] == ""


def test_nothing_is_shown_when_nothing_was_done(display: Display) -> None:
    with NotebookProgress():
        pass
    assert display.shown == []


def test_a_kernel_is_told_from_a_shell_and_from_no_ipython(display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_notebook()
    shell = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert not in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook()
