"""Scripts that are run up to their fit, before and after a patch, and the models that they make."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from relative import apart

from unvanish.core.edit import Edit, Prescription
from unvanish.core.network import Network
from unvanish.core.patch import Patch
from unvanish.cures import anatomy, table
from unvanish.keras.kinds import kernel_of
from unvanish.keras.patches import defining
from unvanish.keras.trainer import KerasTrainer
from unvanish.script.captures import FOR_TRIALS
from unvanish.script.check import look
from unvanish.script.outcome import ScriptRun
from unvanish.script.patches.patch import patch_of
from unvanish.script.patches.source_file import read_sources
from unvanish.script.run import run_script
from unvanish.watching.session import Enough, Plan

WRITTEN = Path(__file__).parents[1] / "script" / "written"
UNWRITABLE = Path(__file__).parents[1] / "script" / "unwritable"


class Taken:
    """A script that was run up to its fit, and the sources that it was made of."""

    def __init__(self, script: Path, *arguments: str) -> None:
        self.script = script
        self.run: ScriptRun = look(script, list(arguments), Plan(fit=1), lambda *_: None, FOR_TRIALS)
        assert self.run.trainer is not None, f"{self.run.error}\n{self.run.traceback}"
        self.trainer: KerasTrainer = self.run.trainer
        self.network: Network = self.trainer.network
        optimizer = self.run.optimizer_site
        self.sources = read_sources([*self.run.sites.values(), *([optimizer] if optimizer else [])])

    def patch(self, edits: Sequence[Edit]) -> Patch:
        return patch_of(
            edits,
            self.network,
            self.run.sites,
            self.sources,
            optimizer_site=self.run.optimizer_site,
            rate=self.trainer.constant_rate(),
            mirrors=self.trainer.mirrors(prescription(edits)),
        )

    def proposals(self) -> dict[str, Prescription]:
        """Return what the cures propose for it, by label."""
        assert self.run.observation is not None
        return {one.label: one for one in table.proposals(self.run.observation)}


def prescription(edits: Sequence[Edit]) -> Prescription:
    """Return a prescription of these edits."""
    return Prescription(
        name="a change", change="a change", invasiveness="one line", edits=tuple(edits), answers=("GF101",)
    )


def kernels(network: Network) -> tuple[str, ...]:
    """Return the names of the hidden kernel layers."""
    return tuple(layer.name for layer in anatomy.hidden_kernels(network))


def written(patch: Patch, folder: Path) -> Path:
    """Write the files of the patch over copies of their neighbours in a new folder; return that of the first."""
    home = Path(patch.files[0].path).parent
    shutil.copytree(home, folder, dirs_exist_ok=True)
    for file in patch.files:
        (folder / Path(file.path).relative_to(home)).write_bytes(file.after)
    return folder


def model_of(script: Path, *arguments: str) -> Any:
    """Run the script, and return the model that it would train."""
    found: list[Any] = []

    def fit(model: Any, *_: object, **__: object) -> None:
        found.append(model)
        raise Enough

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(script.parent)
        patched.setattr(defining(keras.Model, "fit"), "fit", fit)
        ran = run_script(script, list(arguments), {})
    assert found, f"{ran.error}\n{ran.traceback}"
    (model,) = found
    return model


def assert_same_model(new: Any, reference: Any, x: Any) -> None:
    """Assert that both compute the same from the same weights, begin alike, and are compiled alike."""
    if not new.built:
        new(x)
    assert initial(new) == pytest.approx(initial(reference), rel=1e-4, abs=0)
    random = np.random.default_rng(0)
    for mine, theirs in zip(_weights(new), _weights(reference), strict=True):
        assert tuple(mine.shape) == tuple(theirs.shape)
        drawn = random.normal(size=mine.shape) * 2
        mine.assign(np.abs(drawn) if mine.path.endswith("variance") else drawn)
        theirs.assign(mine)
    for one in (_features, lambda model: model):
        a, b = (np.array(keras.ops.convert_to_numpy(one(model)(x))) for model in (new, reference))
        assert apart(a, b) < 1e-4
        if one is _features:
            assert a.std() > 1e-3 * np.abs(a).mean(), "features that tell nothing"
    assert new.optimizer.get_config() == {**reference.optimizer.get_config(), "name": new.optimizer.name}
    assert new.loss == reference.loss
    assert [losses(layer) for layer in _leaves(new)] == [losses(layer) for layer in _leaves(reference)]


def _features(model: Any) -> Any:
    """Return what computes the input of the last layer: behind it everything may be 0 or 1."""
    return keras.Model(model.inputs, model.layers[-1].input)


def initial(model: Any) -> list[float]:
    """Return what does not depend on the draw: of each kernel how it is declared or its spectrum, and its bias."""
    told: list[float] = []
    for layer in _leaves(model):
        kernel = kernel_of(layer)
        if kernel is None:
            continue
        flat = np.asarray(keras.ops.convert_to_numpy(kernel), dtype=np.float64).reshape(-1, kernel.shape[-1])
        sizes = np.linalg.svd(flat, compute_uv=False)
        bias = np.asarray(keras.ops.convert_to_numpy(getattr(layer, "cell", layer).bias), dtype=np.float64)
        centred = np.any(bias) and apart(bias, -0.5 * flat.sum(axis=0)) < 1e-3
        half = flat.shape[1] // 2
        paired = half > 0 and apart(flat[:, :half], -flat[:, half : 2 * half]) < 1e-6
        told += [float(centred), float(paired)]
        if len(sizes) > 1:  # of one column the spectrum tells nothing
            alike = np.ptp(sizes) < 1e-3 * sizes[0] or paired
            told += [float(sizes[0])] if alike else _declared(layer)
        told += [0.0] if centred else [float(bias.min()), float(bias.max())]
    return told


def _declared(layer: Any) -> list[float]:
    """Return numbers that stand for the declared initializer."""
    initializer = layer.kernel_initializer
    config = {name: value for name, value in initializer.get_config().items() if name != "seed"}
    return [float(sum(map(ord, f"{type(initializer).__name__} {sorted(config.items(), key=str)}")))]


def losses(layer: Any) -> str:
    """Return how a layer is regularised."""
    return repr(getattr(getattr(layer, "kernel_regularizer", None), "l2", None))


def _leaves(model: Any) -> list[Any]:
    """Return the layers with a kernel, wrappers opened."""
    found = [getattr(layer, "layer", layer) for layer in model._flatten_layers(include_self=False, recursive=True)]
    return [layer for at, layer in enumerate(found) if kernel_of(layer) is not None and layer not in found[:at]]


def _weights(model: Any) -> list[Any]:
    """Return the weights, gains of branches behind all others: a wrapper has its own before those of its layer."""
    return sorted(model.weights, key=lambda weight: weight.path.endswith("gain"))
