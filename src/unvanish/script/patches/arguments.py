"""The arguments of a call that makes a layer: read, put in place, taken out."""

from __future__ import annotations

import libcst as cst

from unvanish.errors import UnsupportedError
from unvanish.script.patches.commas import followed

_CONV = (
    *("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups"),
    *("activation", "use_bias", "kernel_initializer", "bias_initializer"),
)
_ORDER = {
    "Dense": ("units", "activation", "use_bias", "kernel_initializer", "bias_initializer"),
    "Activation": ("activation",),
    "compile": ("optimizer",),
    "optimizer": ("learning_rate",),
    "Conv1D": _CONV,
    "Conv2D": _CONV,
    "Conv3D": _CONV,
}
"""Class -> its arguments in their order, as far as they are ever changed."""
_PLAIN = 2
"""Number of arguments by place that no other class has an activation or an initializer among."""


class Arguments:
    """Hold the arguments of one call; the call itself is not changed."""

    def __init__(self, call: cst.Call, kind: str, where: str, *, any_order: bool = False) -> None:
        """kind: class of what it makes. where: for messages. any_order: only keywords matter.

        Raise UnsupportedError where the arguments cannot be told.
        """
        self.call, self._args = call, list(call.args)
        starred = next((arg for arg in self._args if arg.star), None)
        placed = sum(arg.keyword is None for arg in self._args)
        self._order = _ORDER.get(kind, ())
        if starred is not None:
            code = cst.Module([]).code_for_node(starred.with_changes(comma=cst.MaybeSentinel.DEFAULT))
            raise UnsupportedError(
                f"the arguments at {where} are not written there",
                found=f"{code.strip()}: they come from a variable",
                hint="write activation and initializers into the call",
            )
        if placed > max(len(self._order), _PLAIN) and not any_order:
            raise UnsupportedError(
                f"the arguments at {where} cannot be told apart", found=f"{placed} without a keyword"
            )

    def value(self, name: str) -> cst.BaseExpression | None:
        """Return the expression that is given for an argument; None where none is."""
        place = self._place(name)
        return None if place is None else self._args[place].value

    def put(self, name: str, value: cst.BaseExpression) -> None:
        """Give this expression for an argument, where the old one stands or at the end."""
        place = self._place(name)
        if place is not None:
            self._args[place] = self._args[place].with_changes(value=value)
            return
        equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
        self._append(cst.Arg(value, keyword=cst.Name(name), equal=equal))

    def spread(self, value: cst.BaseExpression) -> None:
        """Give further keywords by `**value`."""
        self._append(cst.Arg(value, star="**"))

    def take(self, name: str) -> cst.BaseExpression | None:
        """Leave an argument to its default; return what was given for it."""
        place = self._place(name)
        if place is None:
            return None
        arg = self._args[place]
        if arg.keyword is None and any(later.keyword is None for later in self._args[place + 1 :]):
            self._args[place] = arg.with_changes(value=cst.Name("None"))
            return arg.value
        if place == len(self._args) - 1 and place > 0:
            before = self._args[place - 1]
            kept = {"comma": arg.comma, "whitespace_after_arg": arg.whitespace_after_arg}
            self._args[place - 1] = before.with_changes(**kept)
        del self._args[place]
        return arg.value

    def changed(self) -> cst.Call:
        """Return the call with the arguments as they are now."""
        return self.call.with_changes(args=self._args)

    def _append(self, arg: cst.Arg) -> None:
        last = len(self._args) - 1
        self._args = followed(self._args, last, [arg], self.call.whitespace_before_args) if self._args else [arg]

    def _place(self, name: str) -> int | None:
        for place, arg in enumerate(self._args):
            by_place = arg.keyword is None and place < len(self._order) and self._order[place] == name
            if by_place or (arg.keyword is not None and arg.keyword.value == name):
                return place
        return None
