"""No path leads from the loss to weights that training is meant to move: they have no gradient at all.

## What it measures

For every layer with weights whether automatic differentiation found a path from the loss, in any batch of any probe;
a gradient other than zero, at a probe or a watched step, proves one. Not counted: frozen layers, and layers that no
optimizer holds (GF503).

What is cut off is one of two things. A *cut*: layers that do learn read its output, so that the path was broken
between them. Or an *unused part*: nothing that learns reads it, for its output does not enter the loss.

## Why it matters

No path is not a small gradient, and not one of exactly zero (GF502): the weights are not part of what is
differentiated. A training behind a cut runs without complaint, and only the layers after it learn, on random
features. Frameworks say nothing, or leave `None` where a gradient would be.

## Evidence

`unreached_share` of the weights that training is meant to move, `unreached_layers` of `layers_moving`,
`learning_behind` (layers that learn and read what is cut off), `step` of the last probe.

An error when nothing is reached, or when a cut takes every layer before a point, or most of the weights, and the loss
did not fall clearly below chance. Any other cut is a warning; an unused part a note, or a warning when it is most of
the weights.

Undecided when a kernel showed no gradient and nobody looked for a path.

## Remedies

Look between the last layer named and the first one that learns for `detach`, `stop_gradient`, `no_grad`, a
round trip through numpy, an integer cast, `argmax` or a comparison. An estimator (straight-through, Gumbel-softmax)
where the step itself has no derivative. For what is meant to stay as it is: `trainable = False` or `requires_grad =
False`, which saves its memory too.

A belief that was measured and is false: "a zero gradient is vanishing".

## When it is harmless

A pooler or an auxiliary head that this task does not use; a target network that is moved by averaging; a backbone
that is kept on purpose; experts that these batches did not choose.

## References

Bengio, Leonard & Courville 2013, arXiv:1308.3432 (straight-through). Jang, Gu & Poole 2017, ICLR (Gumbel-softmax).
Grill et al. 2020, *BYOL*, NeurIPS (stop-gradient on purpose).
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import moving_kernels
from unvanish.rules.paths import Paths, behind, meant_to_move, paths
from unvanish.rules.words import percent, short, span

CODE = "GF501"
NAME = "no-path-to-loss"
MOST = 0.5
"""Share of the weights from which on what is cut off is most of what was to be trained."""


def judge(seen: Observation) -> Verdict:
    """Judge what the loss does not reach, by what reads it."""
    found = paths(seen)
    names, share = _unreached(seen, found)
    after = behind(seen.network, frozenset(found.unreached)) & frozenset(found.reached) if found.unreached else ()
    evidence = {
        "unreached_share": share,
        "unreached_layers": float(len(found.unreached)),
        "layers_moving": float(len(found.reached) + len(found.unreached) + len(found.unknown)),
        "learning_behind": float(len(after)),
        "step": float(seen.profiles[-1].step),
    }
    if names:
        return _finding(seen, found, names, [name for name in found.reached if name in after], evidence)
    unseen = {kernel.name for kernel in moving_kernels(seen)} & set(found.unknown)
    if unseen:
        reason = f"{len(unseen)} kernels showed no gradient, and whether a path leads to them was not looked at"
        return Undecided(code=CODE, name=NAME, reason=reason)
    return Clear(code=CODE, name=NAME, evidence=evidence)


def _unreached(seen: Observation, found: Paths) -> tuple[tuple[str, ...], float]:
    """Return the names of what is cut off, layers where they are known, and its share of the weights."""
    sizes = {layer.name: layer.parameters for layer in seen.network.layers}
    moving = meant_to_move(seen.network)
    if not moving:
        whole = sum(sizes[name] for group in found for name in group)
        return found.unreached, sum(sizes[name] for name in found.unreached) / max(whole, 1)
    looked = [set(profile.unreached) for profile in seen.profiles]
    always = set.intersection(*looked) if looked else set()
    cut = [p for p in moving if p.layer in found.unreached or (p.name in always and p.layer not in found.reached)]
    names = dict.fromkeys(p.layer if p.layer in found.unreached else p.name for p in cut)
    return tuple(names), sum(p.size for p in cut) / max(sum(p.size for p in moving), 1)


def _finding(
    seen: Observation, found: Paths, names: tuple[str, ...], after: list[str], evidence: dict[str, float]
) -> Finding:
    way, share = course(seen), evidence["unreached_share"]
    everything = not found.reached or len(after) == len(found.reached)
    blocks = everything or (bool(after) and share > MOST)
    severe = blocks and not way.learned
    warning = blocks or bool(after) or share > MOST
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if severe else "warning" if warning else "note",
        verdict="blocked" if severe else None,
        message=f"no path leads from the loss to {span(names)}: {percent(share)} of the weights to train",
        healthy="a path to every weight that training should move",
        layers=found.unreached,
        evidence=evidence | way.evidence,
        why=_why(found, after),
        effect=way.words,
        note="the loss falls all the same" if blocks and way.learned else "",
    )


def _why(found: Paths, after: list[str]) -> str:
    if not found.reached:
        return "nothing that training should move is reached: the loss does not depend on the network's weights"
    if after:
        return f"{short(after[0])} learns and reads what they give out, so the path is cut in between"
    return "nothing that learns reads what they give out: their output does not enter the loss"
