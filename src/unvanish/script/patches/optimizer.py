"""Let the optimizer that the script makes, or names by a string, clip the gradient."""

from __future__ import annotations

import libcst as cst

from unvanish.core.diagnosis import Site
from unvanish.core.edit import Clip
from unvanish.errors import UnsupportedError
from unvanish.script.patches.arguments import Arguments
from unvanish.script.patches.source_file import SourceFile
from unvanish.script.patches.spelling import number

KEYWORDS = {"norm": "clipnorm", "global_norm": "global_clipnorm", "value": "clipvalue"}
_CLASSES = (
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "Muon", "Nadam"),
    *("RMSprop", "SGD"),
)
_OF_STRINGS = {name.lower(): name for name in _CLASSES}
_USUAL = "RMSprop"
"""What Keras compiles with where no optimizer is named."""


def clipped(source: SourceFile, site: Site, node: cst.Call, clip: Clip) -> cst.Call:
    """Return the call, which makes an optimizer or compiles a model with one by name, so that it clips.

    What other clipping there is is taken out. node: the call at the site. Raise UnsupportedError for any other call.
    """
    where = f"{site.file}:{site.line}"
    if any(meaning.startswith("keras.optimizers.") for meaning in source.names.meanings(node.func)):
        arguments = Arguments(node, "", where, any_order=True)
        for keyword in KEYWORDS.values():
            if keyword != KEYWORDS[clip.kind]:
                arguments.take(keyword)
        arguments.put(KEYWORDS[clip.kind], cst.parse_expression(number(clip.bound)))
        return arguments.changed()
    if isinstance(node.func, cst.Attribute) and node.func.attr.value == "compile":
        arguments = Arguments(node, "compile", where, any_order=True)
        old = arguments.value("optimizer")
        name = _USUAL if old is None else _named(old)
        if name:
            text = source.names.spelled(f"keras.optimizers.{name}({KEYWORDS[clip.kind]}={number(clip.bound)})")
            arguments.put("optimizer", cst.parse_expression(text))
            return arguments.changed()
    raise UnsupportedError(
        "the call that makes the optimizer was not found",
        found=f"{where}  {site.text}",
        hint="write it as keras.optimizers.Adam(...), or as a string in compile",
    )


def _named(node: cst.BaseExpression) -> str:
    """Return the class that a string names; empty for anything else."""
    if not isinstance(node, cst.SimpleString):
        return ""
    return _OF_STRINGS.get(str(node.evaluated_value).lower(), "")
