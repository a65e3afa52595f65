"""What a forecast comes to, in words: the same in the terminal and on the page."""

from __future__ import annotations

import math
from operator import itemgetter

from unvanish.core.depths import Depths
from unvanish.core.outlook import Outlook
from unvanish.report.learning_text import learning_text
from unvanish.report.numbers import MISSING, counted, plain, scientific

Facts = list[tuple[str, str]]
"""Name, text."""


def told(outlook: Outlook) -> str:
    """Return what the forecast was made of."""
    inputs = f"{outlook.inputs} inputs, {counted(outlook.features, 'feature')} · batch {outlook.batch_size}"
    if outlook.initialiser:
        return f"unvanish {outlook.version} · forecast, nothing measured · {outlook.initialiser} weights · {inputs}"
    made = f"{outlook.network.framework} · {outlook.title}, before its first step"
    return f"unvanish {outlook.version} · forecast, nothing trained · {made} · its own weights · {inputs}"


def sentence(outlook: Outlook) -> str:
    """Return the verdict's sentence."""
    if outlook.verdict == "undecided":
        return outlook.reason
    found = outlook.forecast
    ends, factor = ratio(found.log10_first_over_last, found.log10_sd), found.gradient_factor_per_layer
    band = f"fine: within 10^±{outlook.decades:g}"
    if _told_by_ends(outlook):
        text = f"first/last gradient {ends} over {outlook.kernels} weight layers"
        text += "" if factor is None else f", x {plain(factor)} per layer towards the input"
        return f"{text} ({band}){_on_the_line(outlook)}"
    change = 0.0 if not factor else math.log10(factor) * outlook.kernels
    over = f"x {plain(factor)} per layer towards the input, 10^{power(change)} over {outlook.kernels} of them"
    return f"{over} ({band}); with what the first and the last layer add, first/last gradient {ends}"


def _on_the_line(outlook: Outlook) -> str:
    """Return what it means that the verdict's line is within the band; empty where it is not."""
    if not outlook.on_the_line:
        return ""
    other = "not be" if outlook.verdict == "fine" else "be"
    return f"; the line is within two sd: another draw of these weights may {other} fine"


def _told_by_ends(outlook: Outlook) -> bool:
    """Say whether the first kernel's gradient over the last's speaks for the verdict, which is that of the slope."""
    change = outlook.forecast.log10_first_over_last or 0.0
    word = "fine" if abs(change) < outlook.decades else "vanishes" if change < 0 else "explodes"
    return word == outlook.verdict


def facts(outlook: Outlook) -> Facts:
    """Return what explains the verdict, and what limits it."""
    found = outlook.forecast
    rows = [] if outlook.verdict == "undecided" else [("safe depth", _safe(outlook))]
    if found.depth_scale is not None:
        endless, scale = math.isinf(found.depth_scale), f"{plain(found.depth_scale)} layers for a factor e"
        rows.append(("depth scale", "none: the gradient keeps its size" if endless else scale))
    rows += _gain(outlook)
    if outlook.kernels > 1:
        ends = [plain(found.layer(outlook.network.kernels[i].name).second_moment, 2) for i in (0, -2)]
        rows.append(("signal", f"mean square {ends[0]} at the first layer, {ends[1]} at the last hidden one"))
    if outlook.apart_first is not None and outlook.apart_last is not None:
        apart = f"1 - correlation {plain(outlook.apart_first, 2)} at the first layer"
        rows.append(("inputs apart", f"{apart}, {plain(outlook.apart_last, 2)} at the last hidden one"))
    if outlook.log10_first_rms is not None:
        rows.append(("first gradient", _first(outlook)))
    if outlook.learning is not None:
        within = f"within {counted(outlook.learning.steps, 'step')} of Adam"
        rows.append(("learns", f"{within}: {learning_text(outlook.learning)}"))
    known = "the script's own" if outlook.loss_seen else "assumed"
    rows.append(("loss", f"{outlook.loss}, {known}"))
    if found.not_modelled:
        rows.append(("not modelled", ", ".join(found.not_modelled)))
    return [*rows, *(("note", note) for note in outlook.notes)]


def depth_title(depths: Depths) -> str:
    """Return what the curve shows."""
    points = depths.points
    head = f"first/last gradient at {points[0].kernels} to {counted(points[-1].kernels, 'layer')} with weights"
    return f"{head} (repeated: {', '.join(depths.repeated)})"


def depth_facts(depths: Depths, decades: float) -> Facts:
    """Return what holds from which depth on, the shallowest first. decades: change from which on it is not fine."""
    low, high = depths.points[0].kernels, depths.points[-1].kernels
    here = next(point for point in depths.points if point.kernels == depths.here)
    rows = [
        (f"here, {counted(depths.here, 'layer')}", f"first/last {ratio(here.log10_first_over_last, here.log10_sd)}")
    ]
    found: list[tuple[int, str]] = []
    for word, at, bound in (("vanishes", depths.vanishes_at, -decades), ("explodes", depths.explodes_at, decades)):
        if at is not None:
            found.append((at, f"{word}: first/last {'below' if bound < 0 else 'above'} 10^{bound:g}"))
    for floor in depths.floors:
        if floor.kernels is not None:
            value = scientific(floor.value)
            found.append((floor.kernels, f"the first gradient (RMS) is below {floor.name} {value}: {floor.reason}"))
    for at, text in sorted(found, key=itemgetter(0)):
        rows.append((f"from {at} layers" if at > low else "at every depth", text))
    if depths.vanishes_at is None and depths.explodes_at is None:
        rows.append((f"{low} to {high} layers", f"fine: first/last within 10^±{decades:g}"))
    return rows


def ratio(log: float | None, sd: float | None) -> str:
    """Return `10^(-6.7 ± 0.2)`."""
    return f"10^({power(log)}{'' if sd is None else f' ± {sd:.1f}'})"


def power(log: float | None) -> str:
    """Return an exponent of ten to a tenth."""
    return MISSING if log is None else f"{log:.1f}" if abs(log) >= 0.05 else "0"


def _safe(outlook: Outlook) -> str:
    """Return the safe depth, which is that of the hidden layers: what the first and the last one add is told beside."""
    safe = outlook.forecast.safe_depth
    text = f"{'any' if safe is None else counted(safe, 'layer')}; this network has {outlook.kernels}"
    if outlook.verdict == "fine" or (safe is not None and safe <= outlook.kernels):
        return text
    return f"{text}: from one hidden layer to the next it is fine, the rest is made at the first and the last layer"


def _gain(outlook: Outlook) -> Facts:
    if outlook.typical is None:
        return []
    layer = outlook.forecast.layer(outlook.typical)
    critical = f"{plain(layer.critical_gain)} would pass the gradient on unchanged (critical)"
    if outlook.beside_a_shortcut:
        critical = "none is critical beside a shortcut, past which the gradient goes by itself"
    elif layer.critical_gain is None:
        critical = "none is critical, a normalisation takes it out again"
    return [("gain", f"{plain(layer.gain)} in this recipe; {critical}, at {outlook.typical}")]


def _first(outlook: Outlook) -> str:
    """Return how large the first kernel's gradient is, and what that lies below: the lowest last."""
    text = f"10^{power(outlook.log10_first_rms)} RMS over its entries"
    if not outlook.below:
        return text
    lowest = outlook.below[-1]
    return f"{text}, below {lowest.name} {scientific(lowest.value)}: {lowest.reason}"
