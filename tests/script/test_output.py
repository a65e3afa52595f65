"""The script's own output is kept apart below Python; neither a full disk nor a locked folder reaches the script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unvanish.script.folder import folder_for
from unvanish.script.output import Output


def no_room(**_: object) -> str:
    raise OSError(28, "No space left on device")


def test_everything_goes_to_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, streams = tmp_path / "output.txt", (sys.stdout, sys.stderr)
    print("before")
    with Output(path) as output:
        print("python é", flush=False)
        print("error", file=sys.stderr)
        os.write(2, b"descriptor\n")
        subprocess.run(["echo", "child"], check=True)
        assert (sys.stdout.fileno(), sys.stdout.isatty()) == (1, False)
    print("after")
    assert (sys.stdout, sys.stderr) == streams
    text = path.read_text(encoding="utf-8")
    assert text.split("\n")[:-1] == ["python é", "error", "descriptor", "child"]
    assert output.note == ""
    written = capfd.readouterr()
    assert (written.out, written.err) == ("before\nafter\n", "")


def test_buffers_of_c_libraries_are_emptied_first(tmp_path: Path) -> None:
    code = (
        "import ctypes\nfrom pathlib import Path\nfrom unvanish.script.output import Output\n"
        f"with Output(Path({str(tmp_path / 'output.txt')!r})):\n    ctypes.CDLL(None).puts(b'from C')\n"
    )
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=buffered)
    assert (done.stdout, (tmp_path / "output.txt").read_text()) == ("", "from C\n")


def test_a_child_that_opens_the_output_again_leaves_no_hole(tmp_path: Path) -> None:
    with Output(tmp_path / "output.txt"):
        print("gone")
        subprocess.run(["sh", "-c", "echo child > /dev/stdout"], check=True)
        print("after")
    assert (tmp_path / "output.txt").read_bytes() == b"child\nafter\n"


def test_a_descriptor_that_takes_nothing_is_an_error_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("tempfile.mkdtemp", no_room)
    with Output(tmp_path / "output.txt"):
        monkeypatch.setattr("unvanish.script.output.os.write", fails)
        with pytest.raises(OSError, match="Input/output"):
            print("nowhere")
        monkeypatch.undo()


def test_live_goes_to_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Output(tmp_path / "output.txt", live=True) as output:
        print("shown")
        os.write(1, b"both\n")
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "shown\nboth\n")
    assert not (tmp_path / "output.txt").exists()
    assert output.tail() == ()


def test_streams_are_put_back_after_an_exception(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    streams = (sys.stdout, sys.stderr)
    with pytest.raises(KeyError), Output(tmp_path / "output.txt"):
        exec("sys.stdout.close()\nraise KeyError", {"sys": sys})
    assert (sys.stdout, sys.stderr) == streams
    os.write(1, b"ours again\n")
    assert capfd.readouterr().out == "ours again\n"


def test_tail_shows_last_states_without_codes(tmp_path: Path) -> None:
    with Output(tmp_path / "output.txt") as output:
        print("x" * 200_000)
        for number in range(20):
            print(f"\x1b[1mline\x1b[0m {number}\x07\x1b]0;title\x07")
        print("1/3\r2/3\r3/3\r")
        print("   ")
    assert output.tail(3) == ("line 18", "line 19", "3/3")


def test_tail_of_bytes_that_are_no_text(tmp_path: Path) -> None:
    with Output(tmp_path / "output.txt") as output:
        os.write(1, b"\xff\xfe\n")
    assert output.tail() == ("��",)


def test_full_disk_moves_to_a_temporary_file(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "output.txt").symlink_to(full)
    with Output(tmp_path / "output.txt") as output:
        print("lost nowhere")
        os.write(2, b"below\n")
        print("more", file=sys.stderr)
    assert output.path is not None
    assert output.path.parent.parent == tmp_path
    assert output.path.read_text() == "lost nowhere\nbelow\nmore\n"
    assert output.note == f"cannot write {tmp_path}/output.txt; the script's output goes on in {output.path}".replace(
        "  ", " "
    )
    assert output.tail() == ("lost nowhere", "below", "more")


def test_no_room_anywhere_drops_the_output(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", no_room)
    (tmp_path / "output.txt").symlink_to(full)
    with Output(tmp_path / "output.txt") as output:
        print("dropped")
    assert (output.path, output.tail()) == (None, ())
    assert output.note == f"cannot write {tmp_path}/output.txt; the script's output is not kept"


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with Output(tmp_path / "none" / "output.txt") as output:
        print("dropped")
    assert output.note.endswith("No such file or directory; the script's output is not kept")


def test_an_unseen_script_reads_no_terminal(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom unvanish.script.output import Output\n"
        f"with Output(Path({str(tmp_path / 'output.txt')!r}), live=len(sys.argv) > 1):\n"
        "    try: print('read', input())\n    except EOFError: print('nothing to read')\n"
        "print('then', input())\n"
    )
    leader, follower = os.openpty()
    try:
        os.write(leader, b"typed\n")
        done = subprocess.run([sys.executable, "-c", code], stdin=follower, capture_output=True, text=True, check=True)
        assert (done.stdout, (tmp_path / "output.txt").read_text()) == ("then typed\n", "nothing to read\n")
        os.write(leader, b"one\ntwo\n")
        live = [sys.executable, "-c", code, "live"]
        done = subprocess.run(live, stdin=follower, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("then two\n", "read one\n")
    finally:
        os.close(leader)
        os.close(follower)
    piped = subprocess.run([sys.executable, "-c", code], input="a\nb\n", capture_output=True, text=True, check=True)
    assert (piped.stdout, (tmp_path / "output.txt").read_text()) == ("then b\n", "read a\n")


def test_closed_standard_streams(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom unvanish.script.output import Output\n"
        f"with Output(Path({str(tmp_path / 'output.txt')!r})):\n    print('kept')\nassert sys.stdout is None\n"
    )
    done = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" >&- 2>&-', sys.executable, code], check=False)
    assert (done.returncode, (tmp_path / "output.txt").read_text()) == (0, "kept\n")


# --- the folder ------------------------------------------------------------------------------------------------------


def test_folder_is_made_and_ignored_by_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_for(Path("ä b/träin.py")) == (tmp_path / ".unvanish" / "träin", "")
    assert (tmp_path / ".unvanish" / ".gitignore").read_text() == "*\n"
    (tmp_path / ".unvanish" / ".gitignore").write_text("mine")
    assert folder_for(Path("träin.py"))[1] == ""
    assert (tmp_path / ".unvanish" / ".gitignore").read_text() == "mine"


def test_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / ".unvanish").write_text("a file")
    folder, note = folder_for(Path("train.py"))
    assert folder is not None
    assert folder.is_dir()
    assert note == f"cannot write .unvanish/train: Not a directory; kept in {folder} instead"
    monkeypatch.setattr("tempfile.mkdtemp", no_room)
    folder, note = folder_for(Path("train.py"))
    assert folder is None
    assert note.endswith("nothing is kept")


def test_what_the_libraries_log_is_no_last_line_of_the_script(tmp_path: Path) -> None:
    logged = (
        "2026-01-31 12:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.\n"
        "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with the flags.\n"
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1767182400.123456    4321 cuda_executor.cc:1015] successful NUMA node read\n"
        "E0131 12:00:00.123456    4321 cuda_platform.cc:51] failed call to cuInit\n"
        "2026-01-31 12:00:00.123456: W external/local_xla/xla/tsl/framework.cc:83] Allocation exceeds 10%\n"
    )
    with Output(tmp_path / "output.txt") as output:
        print("loading", flush=True)
        os.write(2, logged.encode())
        print("2026-01-31 12:00:00 epoch 1: loss 0.69", flush=True)
        print("WARNING: learning rate is high", flush=True)
    assert output.tail() == ("loading", "2026-01-31 12:00:00 epoch 1: loss 0.69", "WARNING: learning rate is high")
    assert logged in (tmp_path / "output.txt").read_text()
