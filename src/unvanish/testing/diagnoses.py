"""Synthetic diagnoses for tests of reporters: the shapes that real ones have, the numbers made up but consistent.

Nothing here is measured. `sick` follows the tutorial's eleven sigmoid layers; the others stress one thing each.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from unvanish.core.diagnosis import Clear, Cost, Diagnosis, Finding, Remedy, Site, Undecided
from unvanish.core.network import Layer, Network
from unvanish.core.observation import DataInfo, LossInfo, Observation, OptimizerInfo
from unvanish.core.profile import LayerProfile, Profile
from unvanish.core.recording import Event, Recording
from unvanish.testing.observations import Recipe, layer_names, observation
from unvanish.testing.specimens_of_time import recurrent

CLEAR = (
    ("GF104", "signal-vanishes-forward"),
    ("GF105", "signal-explodes-forward"),
    ("GF202", "dead-units"),
    ("GF401", "non-finite-values"),
    ("GF502", "gradient-exactly-zero"),
    ("GF602", "gain-above-critical"),
)


def sick() -> Diagnosis:
    """Return the tutorial's sick network: GF101, GF303 and a note."""
    recipe = Recipe()
    names = layer_names(recipe)
    return Diagnosis(
        verdict="vanishing",
        sentence="the first layer receives 0.08 millionths of the last one's gradient (12 layers)",
        findings=(_vanishing(names), _epsilon_floor(names), _growth_note()),
        clear=_clear(),
        undecided=(_no_power(),),
        observation=observation(recipe),
        title="train.py",
        version="0.1.0",
        sites=_sites(names),
        cost=Cost(total_seconds=4.13, added_seconds=1.24, step_seconds=0.0013, steps=60),
        created="2026-01-31T12:00:00+01:00",
    )


def forgetful() -> Diagnosis:
    """Return a plain recurrent layer that carries the gradient through 5 of 100 steps."""
    seen = replace(recurrent("rnn", 0.5), forecast=None)
    layer = seen.profiles[0].through_time[0].layer
    finding = Finding(
        code="GF701",
        name="gradient-vanishes-through-time",
        severity="error",
        verdict="vanishing",
        message=f"the gradient of {layer} carries 5 of 100 steps back: 0.50x per step",
        healthy="at least 25 steps",
        layers=(layer,),
        evidence={"horizon_steps": 4.98, "factor_per_step": 0.5, "sequence_steps": 100.0},
        why="100 such steps leave 10^-30 of it: what comes early cannot teach",
        effect="loss 0.7 -> 0.69 (chance = 0.693)",
        cures=(
            Remedy(
                name="orthogonal-recurrence",
                change="recurrent_initializer='orthogonal'",
                invasiveness="initialisation only",
            ),
        ),
    )
    return replace(sick(), sentence=finding.message, findings=(finding,), undecided=(), observation=seen, sites={})


def healthy() -> Diagnosis:
    """Return a healthy tanh network with one note."""
    recipe = Recipe(activation="tanh", factor=0.97, activation_part=0.96, output_norm=0.4)
    return replace(
        sick(),
        verdict="healthy",
        sentence="12 layers, 0.97x per layer, first/last 0.5, no dead units, 60 steps",
        findings=(_growth_note(),),
        clear=(_slope_clear(), *_clear()),
        observation=observation(recipe),
    )


def deep(depth: int = 200) -> Diagnosis:
    """Return a network of that many layers whose gradient explodes towards the input, with dead units in between."""
    recipe = Recipe(depth=depth, activation="relu", factor=1.211, activation_part=0.86, saturated=None, dead=0.02)
    names = layer_names(recipe)
    message = f"the gradient grows 1.2x at every layer towards the input ({depth} layers)"
    exploding = replace(
        _vanishing(names),
        code="GF102",
        name="gradient-explodes-with-depth",
        message=message,
        verdict="exploding",
        layers=names[: max(2, depth // 3)],
        evidence={
            "transmission_per_layer": 1.211,
            "slope_decades_per_layer": 0.0832,
            "decades": 16.6,
            "depth": float(depth),
        },
        healthy="within 1.02x",
        why="batch normalisation without skips multiplies the gradient by 1.21 at every layer",
        effect="",
        note="",
        cures=(Remedy(name="add-residual", change="h + F(h) around every block", invasiveness="architecture"),),
    )
    return replace(
        sick(),
        verdict="exploding",
        sentence=f"the first layer receives 1.211^{depth} times the last one's gradient ({depth} layers)",
        findings=(exploding,),
        observation=observation(recipe),
        sites=_sites(names[:3]),
        title="deep.py",
    )


def undecided() -> Diagnosis:
    """Return a diagnosis in which the rules of the gradient could not look."""
    reason = "fewer than three layers received a gradient that could be read"
    return replace(
        sick(),
        verdict="undecided",
        sentence="the gradient's profile could not be read",
        findings=(),
        clear=_clear()[:2],
        undecided=(Undecided(code="GF101", name="gradient-vanishes-with-depth", reason=reason), _no_power()),
    )


def nonfinite() -> Diagnosis:
    """Return a network whose gradients, losses and movements hold nan, inf and exact zeros."""
    seen = sick().observation
    middle = seen.network.kernels[5].name
    broken = tuple(
        replace(p, gradient_norm=math.nan, gradient_rms=math.nan, gradient_nonfinite=12)
        if p.name == middle
        else replace(p, gradient_norm=0.0, gradient_rms=0.0, gradient_zero_share=1.0)
        if p.name.endswith("_2")
        else replace(p, gradient_norm=math.inf, gradient_rms=math.inf, preactivation_second_moment=math.inf)
        if p.name.endswith("_9")
        else p
        for p in seen.profiles[0].layers
    )
    rows = {
        stat: tuple(
            tuple(math.nan if (i > 20 and j < 6) else math.inf if (i, j) == (20, 6) else v for j, v in enumerate(row))
            for i, row in enumerate(samples)
        )
        for stat, samples in seen.recording.rows.items()
    }
    losses = tuple(math.nan if i > 20 else loss for i, loss in enumerate(seen.recording.losses))
    finding = Finding(
        code="GF401",
        name="non-finite-values",
        severity="error",
        message=f"the gradient of {middle} is not finite from step 21 on",
        verdict="nonfinite",
        layers=(middle,),
        evidence={"first_step": 21.0, "nonfinite_entries": 12.0},
        why="the loss was not a number at step 21",
    )
    profiles = tuple(replace(profile, loss=math.nan, layers=broken) for profile in seen.profiles)
    recording = replace(
        seen.recording,
        rows=rows,
        losses=losses,
        events=(Event(step=21, seconds=0.5, kind="nonfinite", text="the loss is nan", code="GF401"),),
    )
    return replace(
        sick(),
        verdict="nonfinite",
        sentence=f"the gradient of {middle} is not finite from step 21 on",
        findings=(finding,),
        observation=replace(seen, profiles=profiles, recording=recording),
    )


def bare() -> Diagnosis:
    """Return a diagnosis in which every optional number is missing."""
    names = ("a", "b", "c")
    layers = tuple(Layer(name=name, kind="other", type="Custom") for name in names)
    profile = Profile(
        step=0,
        batches=1,
        batch_size=1,
        loss=0.0,
        dtype="float32",
        layers=tuple(LayerProfile(name=name) for name in names),
    )
    return Diagnosis(
        verdict="undecided",
        sentence="no layer could be read",
        findings=(Finding(code="GF502", name="gradient-exactly-zero", severity="error", message="nothing arrives"),),
        clear=(),
        undecided=(),
        observation=Observation(
            network=Network(name="bare", framework="", layers=layers),
            profiles=(profile,),
            recording=Recording(layers=(), sizes=(), steps=(), losses=(), rows={}),
            optimizer=OptimizerInfo(name="", family="other", learning_rate=0.0),
            loss=LossInfo(kind="other"),
            data=DataInfo(samples=None),
        ),
    )


def _vanishing(names: tuple[str, ...]) -> Finding:
    return Finding(
        code="GF101",
        name="gradient-vanishes-with-depth",
        severity="error",
        message="the gradient shrinks 4.2x at every layer towards the input",
        verdict="vanishing",
        layers=names[: max(1, len(names) // 2)],
        evidence={
            "transmission_per_layer": 0.238,
            "slope_decades_per_layer": -0.627,
            "decades": -7.5,
            "depth": 12.0,
            "step": 0.0,
            "forecast_transmission_per_layer": 0.236,
        },
        healthy="within 1.3x at this depth",
        why=(
            "a sigmoid passes at most 1/4 of the gradient, and Glorot weights (gain 1.0) do not make up for it: "
            "0.24 (activation) x 0.99 (weights) = 0.24 per layer; forecast 0.24. No unit is saturated (0 %): this is "
            "the slope at zero, not saturation."
        ),
        effect="loss 0.694 -> 0.693 (chance = 0.693)",
        note="the total gradient norm (0.86) and update/weight (1e-3) look normal; Adam hides the decay",
        cures=(
            Remedy(
                name="swap-activation",
                change="activation='tanh'",
                invasiveness="one word",
                forecast="4.2x -> 1.0x per layer",
            ),
            Remedy(
                name="centred-orthogonal-init",
                change="kernels 4 x orthogonal, b = -W.1/2",
                invasiveness="initialisation only",
                forecast="4.2x -> 1.0x per layer",
            ),
            Remedy(
                name="add-residual",
                change="h + F(h) around every hidden layer, branch gain 0",
                invasiveness="architecture",
                forecast="4.2x -> 1.0x per layer",
            ),
        ),
    )


def _epsilon_floor(names: tuple[str, ...]) -> Finding:
    return Finding(
        code="GF303",
        name="adam-epsilon-floor",
        severity="warning",
        message=f"Adam's epsilon (1e-7) is 43-98 % of the denominator in {names[0]}..{names[3]}",
        layers=names[:4],
        evidence={"largest_epsilon_share": 0.98, "smallest_epsilon_share": 0.43},
        why="the gradient of these layers is below epsilon, so Adam no longer divides its size out",
        cures=(Remedy(name="lower-epsilon", change="epsilon=1e-12", invasiveness="optimizer"),),
    )


def _growth_note() -> Finding:
    return Finding(
        code="GF602",
        name="gain-above-critical",
        severity="note",
        message="the gradient grows 1.2x per layer towards the input; harmless at 12 layers, fatal at 50",
        evidence={"growth_per_layer": 1.2, "fatal_depth": 50.0},
    )


def _clear() -> tuple[Clear, ...]:
    spread = {"spread_first": 0.2, "spread_last": 0.00019531}
    return tuple(Clear(code=code, name=name, evidence=spread if code == "GF104" else {}) for code, name in CLEAR)


def _slope_clear() -> Clear:
    return Clear(
        code="GF101",
        name="gradient-vanishes-with-depth",
        evidence={
            "transmission_per_layer": 0.97,
            "slope_decades_per_layer": -0.013,
            "decades": -0.15,
            "depth": 12.0,
            "step": 0.0,
            "forecast_transmission_per_layer": 0.97,
        },
    )


def _no_power() -> Undecided:
    return Undecided(
        code="GF901",
        name="labels-carry-no-signal",
        reason="200 held-out samples after 60 steps would show a score above 0.60; the score is 0.49",
    )


def _sites(names: tuple[str, ...]) -> dict[str, Site]:
    lines = dict.fromkeys(names, 12) | {names[0]: 11, names[-1]: 14}
    texts = {
        11: "model.add(Dense(64, activation='sigmoid', input_shape=(20,)))",
        12: "for _ in range(10): model.add(Dense(64, activation='sigmoid'))",
        14: "model.add(Dense(1, activation='sigmoid'))",
    }
    return {name: Site(file="train.py", line=line, text=texts[line]) for name, line in lines.items()}
