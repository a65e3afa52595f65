"""Applying a patch: all files or none, a backup of each, nothing that changed meanwhile is written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from unvanish.core.patch import FileChange, Patch
from unvanish.errors import UsageError
from unvanish.script import apply as module
from unvanish.script.apply import apply


def changes(folder: Path, *names: str) -> Patch:
    """Write files that hold their name, and return a patch that doubles it."""
    for name in names:
        (folder / name).write_text(name)
    return Patch(
        files=tuple(
            FileChange(path=str(folder / name), name=name, before=name.encode(), after=name.encode() * 2)
            for name in names
        )
    )


def test_files_are_written_and_backups_kept(tmp_path: Path) -> None:
    patch = changes(tmp_path, "a.py", "b.py")
    (tmp_path / "a.py").chmod(0o750)
    assert [path.name for path in apply(patch)] == ["a.py.orig", "b.py.orig"]
    assert (tmp_path / "a.py").read_text() == "a.pya.py"
    assert (tmp_path / "b.py.orig").read_text() == "b.py"
    assert (tmp_path / "a.py").stat().st_mode & 0o777 == 0o750
    assert {path.name for path in tmp_path.iterdir()} == {"a.py", "b.py", "a.py.orig", "b.py.orig"}


def test_an_earlier_backup_is_never_written_over(tmp_path: Path) -> None:
    patch = changes(tmp_path, "a.py")
    (tmp_path / "a.py.orig").write_text("older")
    assert apply(patch) == (tmp_path / "a.py.orig.2",)
    assert (tmp_path / "a.py.orig").read_text() == "older"
    (tmp_path / "a.py").write_text("a.py")
    assert apply(patch) == (tmp_path / "a.py.orig.2",), "the same bytes are kept already"


def test_a_changed_or_missing_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for spoil in (lambda path: path.write_text("new"), lambda path: path.unlink()):
        patch = changes(tmp_path, "a.py", "b.py")
        spoil(tmp_path / "b.py")
        with pytest.raises(UsageError, match=r"b\.py is not patched"):
            apply(patch)
        assert (tmp_path / "a.py").read_text() == "a.py"
        assert not list(tmp_path.glob("*.orig"))


def test_when_one_file_cannot_be_written_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = changes(tmp_path, "a.py", "b.py")
    write = module._replace

    def fails(path: str, data: bytes) -> None:
        if path.endswith("b.py"):
            raise OSError(28, "no space left", path)
        write(path, data)

    monkeypatch.setattr(module, "_replace", fails)
    with pytest.raises(UsageError, match="cannot write") as caught:
        apply(patch)
    assert caught.value.found == "no space left"
    assert (tmp_path / "a.py").read_text() == "a.py"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    patch = changes(tmp_path / "real", "a.py")
    (tmp_path / "a.py").symlink_to(tmp_path / "real" / "a.py")
    linked = Patch(files=(FileChange(path=str(tmp_path / "a.py"), name="a.py", before=b"a.py", after=b"new"),))
    assert len(patch.files) == 1
    apply(linked)
    assert (tmp_path / "a.py").is_symlink()
    assert (tmp_path / "real" / "a.py").read_bytes() == b"new"
