"""A figure as SVG that can be inlined into a page: own ids, no style attribute, the page's text colour, no fonts."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from unvanish.report.figures.palette import INK

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
DROPPED = frozenset({"font-family", "font", "-inkscape-stroke", "writing-mode"})
NUMBER = re.compile(r"-?\d+\.\d{3,}")


def to_svg(figure: Figure, prefix: str, label: str) -> str:
    """Return the figure as one `<svg>` element.

    prefix: put before every id, so that several pictures live in one page. label: what the picture shows, for readers
    who do not see it. Styles become attributes, which a strict content security policy allows and a style sheet can
    override. The same figure gives the same text.
    """
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ElementTree.fromstring(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _clean(element, prefix)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, prefix: str) -> None:
    """Turn the style attribute into attributes of its own, prefix ids and references, shorten numbers."""
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = declaration.partition(":")
        if name.strip() and name.strip() not in DROPPED:
            element.set(name.strip(), value.strip())
    for name, value in list(element.attrib.items()):
        if name == "id":
            value = prefix + value
        elif name.endswith("href") and value.startswith("#"):
            value = "#" + prefix + value[1:]
        elif value.startswith("url(#"):
            value = f"url(#{prefix}{value[5:]}"
        elif value.lower() == INK:
            value = "currentColor"
        elif not name.endswith("href"):
            value = NUMBER.sub(lambda match: f"{float(match.group()):.2f}", value)
        element.set(name, " ".join(value.split()) if name in ("d", "points") else value)
