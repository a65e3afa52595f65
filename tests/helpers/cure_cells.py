"""Carry out one cure on one family of networks, and hold what comes out against the original."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from curable import FAMILIES

from unvanish.core.edit import (
    AddNorm,
    AddResidual,
    CarryState,
    Clip,
    Edit,
    OfOptimizer,
    OfWeights,
    Prescription,
    Redraw,
    RedrawRecurrence,
    ScaleLoss,
    ScaleRate,
    SetEpsilon,
    StandardiseInputs,
    SwapActivation,
    UnitVariance,
)
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import head
from unvanish.cures.cure import Cure
from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.aside import aside
from unvanish.keras.draw import carry
from unvanish.keras.graph import leaves
from unvanish.keras.kinds import bias_of, fans_of, kernel_of, kind_of, recurrent_kernel_of, wrapped
from unvanish.keras.recurrence import gates
from unvanish.keras.surgery import operated
from unvanish.keras.trainer import KerasTrainer
from unvanish.keras.trial import trainer_of

ROUNDING = 1e-5 if keras.backend.backend() == "torch" else 0.0
"""torch's product of a matrix and a column differs in its last bits by where in memory the same numbers lie."""


class Bench(NamedTuple):
    """Hold one family's network, what trains copies of it, and what was seen of it."""

    model: Any
    trainer: KerasTrainer
    seen: Observation
    x: Any
    outputs: list[Any]


def bench(family: str) -> Bench:
    keras.utils.set_random_seed(0)
    model = FAMILIES[family].build()
    x, y = FAMILIES[family].data()
    trainer = trainer_of(model, x, y, validation=(x, y), batch_size=16, planned_steps=100)
    return Bench(model, trainer, trainer.look(None, 0), x, outputs_of(model, x))


def by_hand(cure: Cure, network: Network) -> Prescription:
    """Return the cure's edit for every hidden layer with a kernel, which none of its own conditions has looked at."""
    ends = head(network)
    hidden = tuple(layer.name for layer in network.kernels if layer.name not in ends)
    every = tuple(layer.name for layer in network.kernels)
    edits: dict[str, tuple[Edit, ...]] = {
        "add-batch-norm": (AddNorm(layers=hidden, kind="batch_norm", before=True),),
        "add-layer-norm": (AddNorm(layers=hidden, kind="layer_norm", before=False),),
        "add-residual": (AddResidual(layers=hidden),),
        "centred-orthogonal-init": (Redraw(layers=hidden, scheme="centred_orthogonal", gain=4.0),),
        "clip-gradient": (Clip(kind="global_norm", bound=1.0),),
        "data-driven-init": (Redraw(layers=hidden, scheme="normal"), UnitVariance(layers=hidden)),
        "forget-gate-bias": (CarryState(layers=hidden, bias=1.0),),
        "learning-rate": (ScaleRate(factor=0.1),),
        "looks-linear-init": (Redraw(layers=every, scheme="looks_linear"),),
        "lower-epsilon": (SetEpsilon(epsilon=1e-12),),
        "orthogonal-init": (Redraw(layers=hidden, scheme="orthogonal"),),
        "orthogonal-recurrence": (RedrawRecurrence(layers=hidden),),
        "rescale-init": (Redraw(layers=hidden, scheme="normal"),),
        "scale-inputs": (StandardiseInputs(per="whole"),),
        "scale-loss": (ScaleLoss(),),
        "swap-activation": (SwapActivation(layers=hidden, activation="elu"),),
    }
    return Prescription(
        name=cure.NAME, change="by hand", invasiveness=cure.INVASIVENESS, edits=edits[cure.NAME], answers=cure.ANSWERS
    )


def forms(prescriptions: tuple[Prescription, ...]) -> tuple[Prescription, ...]:
    """Return the first of those that are made of the same kinds of edits."""
    found: dict[tuple[Any, ...], Prescription] = {}
    for one in prescriptions:
        form = tuple((type(edit), getattr(edit, "scheme", None), getattr(edit, "before", None)) for edit in one.edits)
        found.setdefault(form, one)
    return tuple(found.values())


def outcome(on: Bench, prescription: Prescription, proposed: bool, folder: Path, both: bool = False) -> tuple[str, str]:
    """Return the mark of what came of one prescription, and the words of a refusal.

    both: save and load the cured model beside that of its source, also where its optimizer alone is another.
    """
    try:
        cured = on.trainer.fresh(prescription, seed=1)
    except UnsupportedError as error:
        return ("!" if proposed else "x"), f"{error.what} ({error.found})"
    edits = tuple(on.trainer._edits(prescription))
    require_same_architecture(on, edits, cured)
    require_same_training(on.model, cured, edits)
    require_start(cured, edits)
    try:
        source = on.trainer.source(prescription)
    except UnsupportedError as error:
        jitter(cured)
        if compat.has_graph(cured):
            require_saved(cured, on.x, outputs_of(cured, on.x), folder)
        return ("s" if proposed else "t"), f"{error.what} ({error.found})"
    written = executed(source, on.x)
    require_same_parts(written, cured)
    require_same_training(on.model, written, edits)
    require_start(written, edits, cured)
    jitter(cured)
    outputs = outputs_of(cured, on.x)
    for mine, theirs in zip(written.weights, cured.weights, strict=True):
        mine.assign(theirs)
    require_equal(outputs_of(written, on.x), outputs, "the source")
    same_network = all(isinstance(edit, OfOptimizer) for edit in edits)
    for model in (cured, written) if both else () if same_network else (written,):
        require_saved(model, on.x, outputs, folder)
    stored = keras.saving.serialize_keras_object(written.optimizer)
    assert settings(keras.saving.deserialize_keras_object(stored)) == settings(written.optimizer)
    return ("+" if proposed else "o"), ""


def require_saved(model: Any, x: Any, outputs: list[Any], folder: Path) -> None:
    """Assert that the model, saved and loaded, gives these outputs, and is compiled."""
    model.save(folder / "cured.keras")
    loaded = keras.models.load_model(folder / "cured.keras")
    require_equal(outputs_of(loaded, x), outputs, "saved and loaded")
    assert settings(loaded.optimizer) == settings(model.optimizer)


def require_same_architecture(on: Bench, edits: tuple[Edit, ...], cured: Any) -> None:
    """Assert that every layer of the original has one in its place, made once, and that only the named are added."""
    with aside(on.model, 0):
        copy = operated(on.model, edits)
        carry(on.model, copy)
    old, new = leaf_layers(on.model), leaf_layers(copy.model)
    inputs = sum(compat.is_input(layer) for layer in old)
    assert sum(compat.is_input(layer) for layer in new) == inputs
    made = [copy.made[id(layer)] for layer in old if not compat.is_input(layer)]
    assert len({id(layer) for layer in made}) == len(made), "two layers became one"
    assert {id(layer) for layer in made} <= {id(layer) for layer in new}
    assert len(new) - len(old) == added(on.model, edits), "layers were made twice, or are gone"
    variables = {id(one) for one in copy.model.variables}
    assert len(variables) == len(copy.model.variables)
    assert not variables & {id(one) for one in on.model.variables}
    own = {id(layer) for layer in made}
    extra = [one for layer in new if id(layer) not in own for one in layer.variables]
    assert len(variables) == len(on.model.variables) + len(extra), "variables were made twice, or are gone"
    for before, after in zip((layer for layer in old if not compat.is_input(layer)), made, strict=True):
        assert calls(copy.model, after) == calls(on.model, before), f"{before.name} is not called as often"
    if all(isinstance(edit, OfWeights | OfOptimizer) for edit in edits):
        require_equal(outputs_of(copy.model, on.x), on.outputs, "with the weights of the original")


def added(model: Any, edits: tuple[Edit, ...]) -> int:
    """Return how many layers the edits put in."""
    operations = {leaf.name: leaf.operation for leaf in leaves(model)[0]}
    count = 0
    for edit in edits:
        if isinstance(edit, StandardiseInputs):
            count += 1
        elif isinstance(edit, AddResidual):
            count += 2 * len(edit.layers)
        elif isinstance(edit, AddNorm):
            own = [getattr(operations[name], "activation", keras.activations.linear) for name in edit.layers]
            count += len(own) + sum(edit.before and function is not keras.activations.linear for function in own)
    return count


def require_same_training(model: Any, cured: Any, edits: tuple[Edit, ...]) -> None:
    """Assert that it is compiled as the original is, but for what the edits name."""
    before, after = compat.compile_settings(model), compat.compile_settings(cured)
    for name in ("loss", "loss_weights"):
        assert after.get(name) == before.get(name)
    for name in ("metrics", "weighted_metrics"):
        assert named(after.get(name)) == named(before.get(name))
    was, now = settings(model.optimizer), settings(cured.optimizer)
    changed = {name for name in was | now if was.get(name) != now.get(name)}
    assert changed == told(was, edits), (was, now)


def told(was: dict[str, Any], edits: tuple[Edit, ...]) -> set[str]:
    """Return which settings of the optimizer the edits change."""
    found: set[str] = set()
    for edit in edits:
        if isinstance(edit, Clip):
            kinds = {"norm": "clipnorm", "global_norm": "global_clipnorm", "value": "clipvalue"}
            found |= {name for name in kinds.values() if was.get(name) is not None and name != kinds[edit.kind]}
            found |= {kinds[edit.kind]} if was.get(kinds[edit.kind]) != edit.bound else set()
        elif isinstance(edit, SetEpsilon):
            found.add("epsilon")
        elif isinstance(edit, ScaleRate):
            found.add("learning_rate")
        elif isinstance(edit, ScaleLoss) and "initial_scale" not in was:
            found |= {"initial_scale", "dynamic_growth_steps"}
    return found


def settings(optimizer: Any) -> dict[str, Any]:
    """Return the settings of an optimizer, those of one inside of it among them; numbers to six digits."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    scale = (
        {} if inner is optimizer else {k: optimizer.get_config()[k] for k in ("initial_scale", "dynamic_growth_steps")}
    )
    config = {**inner.get_config(), **scale, "class": type(inner).__name__}
    return {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in config.items()
        if name not in ("name", "loss_scale_factor")
    }


def require_start(model: Any, edits: tuple[Edit, ...], like: Any = None) -> None:
    """Assert that the weights are drawn as the edits say. like: a model with the same layers, whose names they take."""
    theirs = [leaf.name for leaf in leaves(model if like is None else like)[0]]
    operations = dict(zip(theirs, (leaf.operation for leaf in leaves(model)[0]), strict=True))
    if any(isinstance(edit, UnitVariance) for edit in edits):
        return  # by numbers in test_edits_of_weights
    for edit in edits:
        for name in edit.layers if isinstance(edit, OfWeights) else ():
            operation = operations[name]
            if isinstance(edit, CarryState):
                assert float(value(bias_of(operation)).max()) == pytest.approx(edit.bias, rel=1e-6, abs=0)
            elif isinstance(edit, RedrawRecurrence):
                require_singular(value(recurrent_kernel_of(operation)), gates(operation), edit.gain)
            elif isinstance(edit, Redraw) and edit.scheme == "normal":
                if like is not None:
                    require_declared(operation, edit.gain)
            elif isinstance(edit, Redraw):
                require_redrawn(operation, edit)


def require_redrawn(operation: Any, edit: Redraw) -> None:
    """Assert that a kernel is (semi-)orthogonal, as far as the scheme says so, and its bias what belongs to it."""
    kernel, bias = value(kernel_of(operation)), bias_of(operation)
    blocks = gates(operation) if kind_of(operation) == "recurrent" else 1
    if edit.scheme == "looks_linear":
        assert np.abs(kernel.reshape(-1, kernel.shape[-1]).sum(axis=-1)).max() < 1e-5 or kernel.shape[-1] % 2
    else:
        require_singular(kernel.reshape(-1, kernel.shape[-1]), blocks, edit.gain)
    if bias is not None and blocks == 1:
        centre = -0.5 * kernel.reshape(-1, kernel.shape[-1]).sum(axis=0) if edit.scheme == "centred_orthogonal" else 0
        assert np.abs(value(bias) - centre).max() < 1e-5


def require_singular(kernel: Any, blocks: int, gain: float) -> None:
    for block in np.split(kernel, blocks, axis=-1):
        assert np.linalg.svd(block, compute_uv=False) == pytest.approx(gain, rel=1e-4, abs=0)


def require_declared(operation: Any, gain: float) -> None:
    """Assert that what the layer declares draws kernels of sd gain / sqrt(fan_in), over many seeds."""
    inner, shape = wrapped(operation), tuple(kernel_of(operation).shape)
    entries = ("pointwise_initializer", "depthwise_initializer", "kernel_initializer")
    config = keras.saving.serialize_keras_object(inner)["config"]
    declared = next(config[name] for name in entries if name in config)
    kind = type(keras.initializers.get(declared))
    draws = [value(kind(**{**declared["config"], "seed": seed})(shape)) for seed in range(25)]
    wanted = gain / np.sqrt(fans_of(operation).fan_in)
    assert np.std(draws) == pytest.approx(wanted, rel=0.15, abs=0)


def value(variable: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)


def named(metrics: Any) -> Any:
    return keras.tree.map_structure(lambda one: getattr(one, "name", one), metrics)


def require_same_parts(written: Any, cured: Any) -> None:
    """Assert that the model of the source is made of the same layers, each of them as often there."""
    mine, theirs = ([type(layer).__name__ for layer in leaf_layers(model)] for model in (written, cured))
    assert sorted(mine) == sorted(theirs)
    assert [(w.shape, w.dtype) for w in written.weights] == [(w.shape, w.dtype) for w in cured.weights]
    assert sorted(calls(written, layer) for layer in leaf_layers(written)) == sorted(
        calls(cured, layer) for layer in leaf_layers(cured)
    )


def leaf_layers(model: Any) -> list[Any]:
    """Return the layers of the model and of those inside it, each once, models themselves not counted."""
    return list(_leaf_layers(model, set()))


def _leaf_layers(model: Any, seen: set[int]) -> Iterator[Any]:
    for layer in model.layers:
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, keras.Model):
            yield from _leaf_layers(layer, seen)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def calls(model: Any, layer: Any) -> int:
    """Return how often the graphs of the model, and of those inside it, call a layer."""
    if not compat.has_graph(model):
        return 0
    inside = [part for part in compat.flat_layers(model) if compat.has_graph(part)]
    return sum(node.operation is layer for part in inside for node in compat.graph_of(part)[0])


def jitter(model: Any) -> None:
    """Give the model weights that no initializer gives: gains, moving averages and biases too."""
    random = np.random.default_rng(1)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            variable.assign(np.abs(random.normal(size=variable.shape)) * 0.3 + 0.05)


def executed(text: str, x: Any) -> Any:
    namespace: dict[str, Any] = {}
    exec(compile(text, "<source>", "exec"), namespace)
    return namespace["build_model"](*([x] if "def build_model(batch)" in text else []))


def outputs_of(model: Any, x: Any) -> list[Any]:
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    return [np.array(keras.ops.convert_to_numpy(y)) for y in keras.tree.flatten(model(tensors, training=False))]


def require_equal(found: list[Any], wanted: list[Any], what: str) -> None:
    """Assert that all are equal to the bit; on torch to the last one, see ROUNDING."""
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=ROUNDING, atol=0, err_msg=what)
