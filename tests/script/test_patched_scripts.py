"""A patched script, executed, makes the cured model: on differently written scripts and on every example."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from unvanish.core.edit import AddNorm, AddResidual, Clip, Edit, Redraw, ScaleRate, SwapActivation
from unvanish.errors import UnsupportedError

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:Do not pass an"),  # what Keras says of input_shape, at our wrapper's line
]
HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
SCRIPTS = {path.stem: path for path in sorted((HERE / "written").glob("*.py")) if path.stem != "their_model"}
OF_EXAMPLES = {
    path.stem: path
    for path in sorted(EXAMPLES.glob("*.py"))
    if "torch" not in path.stem and path.stem not in ("data", "rnn_exploding")  # its outputs are too large to compare
} | {f"published_{path.stem}": path for path in sorted((EXAMPLES / "published").glob("*.py"))}
CURES = (
    *("tanh", "leaky", "tanh + normal", "gelu + mirrored", "orthogonal", "centred", "branch", "clip", "all at once"),
    *("batch before", "batch after", "layer after"),
)


@functools.cache
def taken(path: Path):
    from patched import Taken

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(path.parent)
        return Taken(path)


def edits_of(cure: str, path: Path) -> tuple[Edit, ...]:
    """Return the edits of a cure for the network of a script."""
    from patched import kernels

    from unvanish.cures.anatomy import activation_of, applying

    network = taken(path).network
    clip = Clip(kind="global_norm", bound=1.0)
    hidden, found = kernels(network), activation_of(network)
    if found is None:  # a recurrent network has no activation that a cure may swap
        return {"clip": (clip,)}[cure]
    applied = applying(network, found[0])
    everything = tuple(layer.name for layer in network.kernels)
    tanh = SwapActivation(layers=applied, activation="selu" if found[0] == "tanh" else "tanh")
    wide = AddResidual(
        layers=tuple(n for n in hidden if network.layer(network.sources(n)[0]).shape == network.layer(n).shape)
    )
    return {
        "tanh": (tanh,),
        "leaky": (SwapActivation(layers=applied, activation="leaky_relu", parameter=0.1),),
        "tanh + normal": (tanh, Redraw(layers=hidden, scheme="normal", gain=1.25)),
        "gelu + mirrored": (
            SwapActivation(layers=applied, activation="gelu"),
            Redraw(layers=everything, scheme="looks_linear"),
        ),
        "orthogonal": (Redraw(layers=hidden, scheme="orthogonal", gain=1.5),),
        "centred": (
            Redraw(layers=hidden[:1], scheme="orthogonal", gain=4.0),
            Redraw(layers=hidden[1:], scheme="centred_orthogonal", gain=4.0),
        ),
        "branch": (wide,),
        "clip": (clip,),
        "all at once": (
            tanh,
            Redraw(layers=hidden, scheme="normal", gain=1.0),
            AddNorm(layers=hidden, kind="layer_norm", before=True),
            Clip(kind="value", bound=0.25),
            ScaleRate(factor=3.0),
        ),
        "batch before": (AddNorm(layers=hidden, kind="batch_norm", before=True),),
        "batch after": (AddNorm(layers=hidden, kind="batch_norm", before=False),),
        "layer after": (AddNorm(layers=hidden, kind="layer_norm", before=False),),
    }[cure]


NO_SUCH_CURE = {("activation_layers", "all at once"): "nothing can be put behind the activation"}
"""Pairs where the model itself cannot be changed so."""
FEW = ("tanh", "centred", "clip", "batch after")
_NORMS = ("batch before", "batch after", "layer after", "all at once")
UNFIT: dict[tuple[str, str], str] = {
    **{(name, cure): "nothing can be put behind" for name in ("helper_function", "model_elsewhere") for cure in _NORMS},
    **{
        (name, "branch"): "would span two calls"
        for name in ("activation_layers", "keras_functions", "star_import_and_tabs")
    },
    ("convolutions", "all at once"): "the learning rate is a schedule",
    ("appended", "clip"): "the optimizer was not found",
    ("appended", "all at once"): "the optimizer was not found",
}
"""What cannot be written into a script, and what is said then."""


PAIRS = [
    *((name, cure, n + m) for n, name in enumerate(SCRIPTS) for m, cure in enumerate(CURES)),
    *((name, cure, n + m) for n, name in enumerate(OF_EXAMPLES) for m, cure in enumerate(FEW) if "rnn" not in name),
    *((name, "clip", 0) for name in OF_EXAMPLES if "rnn" in name),
]
"""Every second pair is quick, so that each script gets half of the cures and each cure half of the scripts."""


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        pytest.param(name, cure, marks=[pytest.mark.soak] if at % 2 and (name, cure) not in UNFIT else [])
        for name, cure, at in PAIRS
    ],
)
def test_a_patched_script_makes_the_cured_model(name: str, cure: str, tmp_path: Path) -> None:
    from patched import assert_same_model, model_of, prescription, written

    path = (SCRIPTS | OF_EXAMPLES)[name]
    script, edits = taken(path), edits_of(cure, path)
    if (name, cure) in NO_SUCH_CURE:
        with pytest.raises(UnsupportedError, match=NO_SUCH_CURE[name, cure]):
            script.trainer.fresh(prescription(edits), 0)
        return
    reference = script.trainer.fresh(prescription(edits), 0)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(path.parent)
        if (name, cure) in UNFIT:
            with pytest.raises(UnsupportedError, match=UNFIT[name, cure]):
                script.patch(edits)
            return
        patch = script.patch(edits)
    folder = written(patch, tmp_path / "new")
    new = model_of(folder / path.name)
    x = np.random.default_rng(1).random((16, *reference.input_shape[1:])).astype("float32")
    assert_same_model(new, reference, x)
