"""Edit the optimizer that the script makes, or names by a string: clipping, epsilon, learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import libcst as cst
import msgspec

from unvanish.core.diagnosis import Site
from unvanish.core.edit import Clip, ScaleRate, SetEpsilon
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


class OptimizerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Say where the optimizer is made, and what is to be done there."""

    site: Site
    edits: tuple[Clip | SetEpsilon | ScaleRate, ...]
    rate: float | None
    """Learning rate of the optimizer as it is; None where it is a schedule."""


def changed(source: SourceFile, node: cst.Call, plan: OptimizerPlan) -> cst.Call:
    """Return the call, which makes an optimizer or compiles a model with one by name, with the edits.

    What other clipping there is is taken out. node: the call at the site. Raise UnsupportedError for any other call.
    """
    where = f"{plan.site.file}:{plan.site.line}"
    if any(meaning.startswith("keras.optimizers.") for meaning in source.names.meanings(node.func)):
        return _edited(Arguments(node, "optimizer", where, any_order=True), plan)
    if isinstance(node.func, cst.Attribute) and node.func.attr.value == "compile":
        arguments = Arguments(node, "compile", where, any_order=True)
        old = arguments.value("optimizer")
        name = _USUAL if old is None else _named(old)
        if name:
            new = cst.parse_expression(source.names.spelled(f"keras.optimizers.{name}()"))
            assert isinstance(new, cst.Call)
            arguments.put("optimizer", _edited(Arguments(new, "optimizer", where), plan))
            return arguments.changed()
    raise UnsupportedError(
        "the call that makes the optimizer was not found",
        found=f"{where}  {plan.site.text}",
        hint="write it as keras.optimizers.Adam(...), or as a string in compile",
    )


def _edited(arguments: Arguments, plan: OptimizerPlan) -> cst.Call:
    """Return the call of the optimizer's class with the edits."""
    factor = math.prod(edit.factor for edit in plan.edits if isinstance(edit, ScaleRate))
    if factor != 1.0:
        arguments.put("learning_rate", _scaled(arguments.value("learning_rate"), factor, plan))
    for edit in plan.edits:
        if isinstance(edit, SetEpsilon):
            arguments.put("epsilon", cst.parse_expression(number(edit.epsilon)))
        elif isinstance(edit, Clip):
            for keyword in KEYWORDS.values():
                if keyword != KEYWORDS[edit.kind]:
                    arguments.take(keyword)
            arguments.put(KEYWORDS[edit.kind], cst.parse_expression(number(edit.bound)))
    return arguments.changed()


def _scaled(old: cst.BaseExpression | None, factor: float, plan: OptimizerPlan) -> cst.BaseExpression:
    """Return a learning rate that is so many times the old one: a number for a number, a product for a variable."""
    if plan.rate is None:
        raise UnsupportedError(
            "the learning rate is a schedule, which is not scaled in scripts",
            found=f"{plan.site.file}:{plan.site.line}  {plan.site.text}",
            numbers={"factor": f"{factor:g}"},
            hint=f"multiply every rate of the schedule by {factor:g}",
        )
    if old is None or isinstance(old, cst.Float | cst.Integer):
        return cst.parse_expression(repr(float(f"{plan.rate * factor:.7g}")))
    simple = isinstance(old, cst.Name | cst.Attribute | cst.Subscript | cst.Call)
    left = old if simple else old.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.BinaryOperation(left, cst.Multiply(), cst.parse_expression(number(factor)))


def _named(node: cst.BaseExpression) -> str:
    """Return the class that a string names; empty for anything else."""
    if not isinstance(node, cst.SimpleString):
        return ""
    return _OF_STRINGS.get(str(node.evaluated_value).lower(), "")


def plan_of(
    edits: Sequence[Clip | SetEpsilon | ScaleRate], site: Site | None, rate: float | None
) -> OptimizerPlan | None:
    """Return what is to be done at the optimizer; None for nothing. Raise UnsupportedError where it was not found."""
    if edits and site is None:
        raise UnsupportedError(
            "the call that makes the optimizer was not found",
            found="no line of the script, or of the files beside it, made it",
            hint="write it as keras.optimizers.Adam(...), or as a string in compile",
        )
    return OptimizerPlan(site=site, edits=tuple(edits), rate=rate) if edits and site is not None else None
