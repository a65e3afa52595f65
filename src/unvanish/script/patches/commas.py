"""Put something behind an item of a list or of a call, and break lines as its neighbours do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import libcst as cst

Item = Any
"""A cst.Arg or a cst.Element."""
Space = cst.BaseParenthesizableWhitespace


def followed(items: Sequence[Item], at: int, new: Sequence[Item], opening: Space) -> list[Item]:
    """Return the items with the new ones behind the item `at`; comments stay where they are.

    opening: what stands between the opening bracket and the first item. The new items have no comma yet.
    """
    if not new:
        return list(items)
    old, last = items[at], at == len(items) - 1
    between = cst.Comma(whitespace_after=_between(items, opening))
    if not last:
        chain, tail = [old, *(one.with_changes(comma=between) for one in new)], list(items[at + 1 :])
        return [*items[:at], *chain, *tail]
    *inner, end = new
    closing = old.comma
    if isinstance(closing, cst.Comma):
        space = closing.whitespace_after
        old = old.with_changes(comma=closing.with_changes(whitespace_after=_joined(space, between.whitespace_after)))
        end = end.with_changes(comma=closing.with_changes(whitespace_after=_bare(space)))
    else:
        old = old.with_changes(comma=between)
        if isinstance(old, cst.Arg):
            end = end.with_changes(whitespace_after_arg=old.whitespace_after_arg)
            old = old.with_changes(whitespace_after_arg=cst.SimpleWhitespace(""))
    return [*items[:at], old, *(one.with_changes(comma=between) for one in inner), end]


def broken(call: cst.Call, indent: str) -> cst.Call:
    """Return the call with one argument a line, itself on a line that begins with the indent."""

    def line(spaces: str) -> cst.ParenthesizedWhitespace:
        return cst.ParenthesizedWhitespace(
            cst.TrailingWhitespace(), indent=False, last_line=cst.SimpleWhitespace(spaces)
        )

    inner, closing = line(f"{indent}    "), line(indent)
    args = [arg.with_changes(comma=cst.Comma(whitespace_after=inner)) for arg in call.args]
    args[-1] = args[-1].with_changes(comma=cst.Comma(whitespace_after=closing))
    return call.with_changes(whitespace_before_args=inner, args=args)


def _between(items: Sequence[Item], opening: Space) -> Space:
    """Return what stands between two items, without comments."""
    if isinstance(opening, cst.ParenthesizedWhitespace):
        return _bare(opening)
    found = [item.comma.whitespace_after for item in items[:-1] if isinstance(item.comma, cst.Comma)]
    return _bare(found[-1]) if found else cst.SimpleWhitespace(" ")


def _bare(space: Space) -> Space:
    """Return the white space without its comments and empty lines."""
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return space
    return cst.ParenthesizedWhitespace(cst.TrailingWhitespace(), [], space.indent, space.last_line)


def _joined(first: Space, second: Space) -> Space:
    """Return the second with the comment that stands at the end of the first's line."""
    if isinstance(first, cst.ParenthesizedWhitespace) and isinstance(second, cst.ParenthesizedWhitespace):
        return second.with_changes(first_line=first.first_line)
    return second
