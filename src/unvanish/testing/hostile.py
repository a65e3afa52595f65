"""Layer names, titles and source lines that try to break a reporter."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.diagnosis import Diagnosis, Remedy, Undecided
from unvanish.core.network import Edge
from unvanish.testing.diagnoses import sick
from unvanish.testing.observations import Recipe, layer_names

HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "[bold red]markup[/bold red] [link=x]",
    "\x1b[31mred\x1b[0m\x07\r\n\tbell",
    "\u202ereversed\u202c\u200b\ud800",
    "x" * 10_000,
    "🦖" * 50 + "龍" * 50,
    "{{ 7*7 }}{% raw %}</script><!--",
    "$\\frac{1}{0}$ $unclosed",
    "a'b\"c&amp;`${alert(3)}`",
    "naïve/Schicht_9",
    "e" + "\u0301" * 300,
)


def hostile() -> Diagnosis:
    """Return the sick network with layer names, title and source lines that try to break a reporter."""
    plain = sick()
    rename = dict(zip(layer_names(Recipe()), HOSTILE_NAMES, strict=True))
    return rename_layers(plain, rename, title="</title><script>alert(4)</script>\x1b[2J.py")


def rename_layers(diagnosis: Diagnosis, rename: dict[str, str], title: str) -> Diagnosis:
    """Return the diagnosis with its layers renamed everywhere, messages and source lines included."""
    seen = diagnosis.observation
    forecast = seen.forecast
    assert forecast is not None
    worst = " and ".join(rename.values())
    first = replace(
        diagnosis.findings[0],
        message=f"the gradient shrinks in {worst}",
        layers=tuple(rename[name] for name in diagnosis.findings[0].layers),
        why=worst,
        cures=(Remedy(name="swap-activation", change=worst, invasiveness="one word", forecast=worst),),
    )
    network = replace(
        seen.network,
        name=worst,
        layers=tuple(replace(x, name=rename.get(x.name, x.name), type=x.name) for x in seen.network.layers),
        edges=tuple(Edge(rename.get(e.source, e.source), rename.get(e.target, e.target)) for e in seen.network.edges),
    )
    return replace(
        diagnosis,
        sentence=worst,
        title=title,
        findings=(first, *diagnosis.findings[1:]),
        undecided=(Undecided(code="GF901", name="labels-carry-no-signal", reason=worst),),
        sites={rename[k]: replace(site, file=worst, text=worst) for k, site in diagnosis.sites.items()},
        observation=replace(
            seen,
            network=network,
            not_checked=(worst,),
            forecast=replace(forecast, layers=tuple(replace(f, name=rename[f.name]) for f in forecast.layers)),
            profiles=tuple(
                replace(p, layers=tuple(replace(x, name=rename[x.name]) for x in p.layers)) for p in seen.profiles
            ),
            recording=replace(seen.recording, layers=tuple(rename[name] for name in seen.recording.layers)),
        ),
    )
