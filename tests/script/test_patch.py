"""What a patch looks like, what it leaves alone, and what is said where there is none."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from unvanish.core.diagnosis import Site
from unvanish.core.edit import Clip, Edit, Redraw, RedrawRecurrence, ScaleRate, SetEpsilon, SwapActivation
from unvanish.core.network import Edge, Layer, Network
from unvanish.core.patch import FileChange, Patch
from unvanish.errors import UnsupportedError
from unvanish.script.patches.patch import patch_of
from unvanish.script.patches.unused import unused

SWAP = SwapActivation(layers=("h",), activation="tanh")


def network(*names: str) -> Network:
    layers = tuple(Layer(name=name, kind="dense", type="Dense", activation="sigmoid", shape=(8,)) for name in names)
    edges = tuple(Edge(source=a, target=b) for a, b in pairwise(names))
    return Network(name="n", framework="Keras", layers=layers, edges=edges, outputs=names[-1:])


def patched(
    text: str | bytes, *edits: Edit, call: str = "Dense(", names: tuple[str, ...] = ("h",), rate: float | None = 0.001
) -> Patch:
    """Patch a source in which the call that begins with `call` made the layers, and the first `Adam(` or `compile(`."""
    data = text if isinstance(text, bytes) else text.encode()

    def site(begin: str) -> Site | None:
        for number, line in enumerate(data.split(b"\n"), start=1):
            shown = line.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace").rstrip("\r")
            if begin in shown:
                return Site(file="train.py", line=number, text=shown.strip())
        return None

    made = site(call)
    assert made is not None
    return patch_of(
        edits,
        network(*names),
        dict.fromkeys(names, made),
        {"train.py": data},
        optimizer_site=site("Adam(") or site("compile("),
        rate=rate,
    )


def after(text: str, *edits: Edit, **options: object) -> str:
    (file,) = patched(text, *edits, **options).files  # type: ignore[arg-type]
    return file.after.decode()


KERAS = "import keras\nfrom keras.layers import Dense\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Dense(8, activation='sigmoid')", "Dense(8, activation='tanh')"),
        ('Dense(8, "sigmoid", True)', 'Dense(8, "tanh", True)'),
        ("Dense(8, keras.activations.sigmoid)", "Dense(8, keras.activations.tanh)"),
        ("Dense(8, activation=whatever)", 'Dense(8, activation="tanh")'),
        ("Dense(8)", 'Dense(8, activation="tanh")'),
        ("Dense( # eight\n  8,  # units\n)", 'Dense( # eight\n  8,  # units\n  activation="tanh",\n)'),
    ],
)
def test_an_activation_is_spelled_as_the_old_one(old: str, new: str) -> None:
    assert after(f"{KERAS}h = {old}\n", SWAP, call="h = Dense(") == f"{KERAS}h = {new}\n"


@pytest.mark.parametrize(
    ("gain", "new"),
    [
        (2**0.5, "'he_normal'"),
        (1.0, "'lecun_normal'"),
        (1.5, "keras.initializers.VarianceScaling(2.25, mode='fan_in', distribution='truncated_normal')"),
    ],
)
def test_an_initialiser_that_keras_has_a_word_for_is_that_word(gain: float, new: str) -> None:
    drawn = Redraw(layers=("h",), scheme="normal", gain=gain)
    told = " ".join(after(f"{KERAS}h = Dense(8, activation='relu')\n", drawn, call="h = Dense(").split())
    assert f"kernel_initializer={new}" in told


@pytest.mark.parametrize(
    ("old", "edits", "new"),
    [
        ("compile('adam')", (Clip(kind="norm", bound=1.0),), "compile(keras.optimizers.Adam(clipnorm=1.0))"),
        ("compile()", (SetEpsilon(epsilon=1e-8),), "compile(optimizer=keras.optimizers.RMSprop(epsilon=1e-08))"),
        (
            "compile(keras.optimizers.Adam(clipvalue=2, clipnorm=3.0))",
            (Clip(kind="global_norm", bound=0.5),),
            "compile(keras.optimizers.Adam(global_clipnorm=0.5))",
        ),
        ("compile(keras.optimizers.Adam(1e-3))", (ScaleRate(factor=3.0),), "compile(keras.optimizers.Adam(0.003))"),
        (
            "compile(keras.optimizers.Adam(learning_rate=lr))",
            (ScaleRate(factor=0.1),),
            "compile(keras.optimizers.Adam(learning_rate=lr * 0.1))",
        ),
        (
            "compile(keras.optimizers.Adam(learning_rate=a + b))",
            (ScaleRate(factor=10.0),),
            "compile(keras.optimizers.Adam(learning_rate=(a + b) * 10.0))",
        ),
        ("compile('sgd')", (ScaleRate(factor=3.0),), "compile(keras.optimizers.SGD(learning_rate=0.003))"),
    ],
)
def test_the_optimizer_is_edited(old: str, edits: tuple[Edit, ...], new: str) -> None:
    text = f"{KERAS}h = Dense(8)\nmodel.{old}\n"
    if "Adam(" in old:  # without columns the line has two calls, and which one is meant has to be told
        end = len(f"model.{old}") - 1
        begin = len("model.compile(")
        made = Site(file="train.py", line=4, text=f"model.{old}", column=begin, end_line=4, end_column=end)
        change = patch_of(edits, network("h"), {}, {"train.py": text.encode()}, optimizer_site=made, rate=0.001)
        assert change.files[0].after.decode() == f"{KERAS}h = Dense(8)\nmodel.{new}\n"
    else:
        assert after(text, *edits) == f"{KERAS}h = Dense(8)\nmodel.{new}\n"


HELPER = """def block(units, activation="sigmoid", *, name=None):
    return Dense(units, activation=activation, name=name)
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HELPER, ["with the patch 'activation' of block() (train.py, line 3) has no effect any more"]),
        ('ACT = "sigmoid"\nh = Dense(8, ACT)\n', ["with the patch 'ACT' (train.py, line 3) has no effect any more"]),
        ('def build(n):\n    act, n = "sigmoid", 2\n    Dense(n, act)\n', ["with the patch 'act' of build() (train"]),
        ('ACT = "sigmoid"\nh = Dense(8, ACT)\nprint(ACT, "\\d")\n', []),
        ('def block(units, unread):\n    Dense(units, "sigmoid")\n', []),
    ],
)
def test_what_a_patch_leaves_without_an_effect_is_told(text: str, told: list[str]) -> None:
    found = unused(patched(KERAS + text, SWAP))
    assert [one.startswith(begin) for one, begin in zip(found, told, strict=True)] == [True] * len(told), found


def test_a_schedule_is_not_scaled() -> None:
    with pytest.raises(UnsupportedError, match="a schedule"):
        patched(f"{KERAS}h = Dense(8)\nmodel.compile('adam')\n", ScaleRate(factor=3.0), rate=None)


def test_an_edit_that_is_not_known_is_refused() -> None:
    class Unheard(msgspec.Struct, frozen=True, tag=True):
        layers: tuple[str, ...] = ("h",)

    for edit in (Unheard(), RedrawRecurrence(layers=("h",))):
        with pytest.raises(UnsupportedError, match="not written into scripts") as caught:
            patched(f"{KERAS}h = Dense(8)\n", edit)  # type: ignore[arg-type]
        assert type(edit).__name__ in caught.value.found


def test_a_file_that_changed_since_it_ran_is_refused() -> None:
    made = Site(file="train.py", line=3, text="h = Dense(8)")
    for sources in ({"train.py": b"import keras\n"}, {}):
        with pytest.raises(UnsupportedError, match="not the file that was run"):
            patch_of((SWAP,), network("h"), {"h": made}, sources)


def test_a_layer_without_a_site_and_one_that_shares_its_call() -> None:
    with pytest.raises(UnsupportedError, match="the call that makes 'h' was not found"):
        patch_of((SWAP,), network("h"), {}, {})
    with pytest.raises(UnsupportedError, match="makes 2 layers that would have to differ") as caught:
        patched(f"{KERAS}h = Dense(8)\n", SWAP, call="h = Dense(", names=("h", "out"))
    assert "'out' must stay as it is" in caught.value.found


@pytest.mark.parametrize(
    "data",
    [
        f"{KERAS}h = Dense(8, 'sigmoid')  # größer\n".replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + f"{KERAS}h = Dense(8, 'sigmoid')".encode(),
        f"# -*- coding: latin-1 -*-\n{KERAS}x = 'größer'\nh = Dense(8, 'sigmoid')\n".encode("latin-1"),
        f"{KERAS}x = '\x0c\u2028'\nh = Dense(8, 'sigmoid')\r\ny = 1\n".encode(),
    ],
    ids=["windows", "byte order mark, no last line end", "latin-1", "strange line ends"],
)
def test_nothing_else_changes_and_git_applies_it(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    patch = patched(data, SWAP, call="h = Dense(")
    assert patch.files[0].after == data.replace(b"'sigmoid'", b"'tanh'")
    (tmp_path / "train.py").write_bytes(data)
    (tmp_path / "cure.patch").write_bytes(patch.diff())
    done = subprocess.run(["git", "apply", "cure.patch"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "train.py").read_bytes() == patch.files[0].after


def test_git_applies_a_patch_of_several_files_in_folders_with_blanks(tmp_path: Path) -> None:
    names = ("my models/größe.py", "train.py")
    (tmp_path / "my models").mkdir()
    files = tuple(
        FileChange(path=str(tmp_path / name), name=name, before=b"a = 1\nb = 2\n", after=b"a = 1\nb = 3")
        for name in names
    )
    for name in names:
        (tmp_path / name).write_bytes(b"a = 1\nb = 2\n")
    (tmp_path / "cure.patch").write_bytes(Patch(files=files).diff())
    subprocess.run(["git", "apply", "cure.patch"], cwd=tmp_path, check=True)
    assert [(tmp_path / name).read_bytes() for name in names] == [b"a = 1\nb = 3"] * 2


REFUSED = {
    "one_helper_for_all": ("makes 5 layers that would have to differ", "must stay as it is"),
    "dictionary": ("are not written there", "**CONFIG: they come from a variable"),
    "own_class": ("is no class of keras.layers", "super().__init__("),
    "from_configuration": ("is no class of keras.layers", "layers.deserialize(HIDDEN)"),
    "partial": ("is no class of keras.layers", "hidden()"),
}


@pytest.mark.keras
@pytest.mark.parametrize("name", REFUSED)
def test_where_no_patch_is_possible_the_message_is_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from patched import UNWRITABLE, Taken, kernels

    monkeypatch.chdir(UNWRITABLE)
    script = Taken(Path(f"{name}.py"))
    what, found = REFUSED[name]
    with pytest.raises(UnsupportedError, match=what) as caught:
        script.patch((SwapActivation(layers=kernels(script.network), activation="tanh"),))
    assert found in caught.value.found
    assert caught.value.hint


@pytest.mark.keras
def test_the_file_that_makes_the_model_is_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    from patched import WRITTEN, Taken, kernels

    monkeypatch.chdir(WRITTEN)
    script = Taken(Path("model_elsewhere.py"), "--depth", "3")
    patch = script.patch((SwapActivation(layers=kernels(script.network), activation="tanh"),))
    assert [file.name for file in patch.files] == ["their_model.py"]
    assert patch.home == str(WRITTEN)
    assert "--- a/their_model.py\n" in patch.text
