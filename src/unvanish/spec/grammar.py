"""Read a description of a network into a tree; what cannot be read is refused at its place, with what could stand.

network = item {"," item}
item    = atom ["*" times]
atom    = "(" network ")" | "residual" "(" network ["," "scale" "=" number] ")" | word ["(" argument {"," argument} ")"]
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from unvanish.errors import UsageError
from unvanish.spec.words import ACTIVATIONS, LAYERS, OTHER_NAMES, UNKNOWN, Arguments

_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+|\S)")
_SHOWN, _DEEPEST = 60, 50


@dataclass(frozen=True)
class Word:
    """Hold one layer, or an activation, with its arguments; `place`: where it begins in the text."""

    name: str
    arguments: tuple[str, ...]
    places: tuple[int, ...]
    """Where each argument begins."""
    place: int
    times: int = 1


@dataclass(frozen=True)
class Group:
    """Hold items in parentheses, around which the input is added where it is a residual."""

    items: tuple[Word | Group, ...]
    residual: bool
    place: int
    times: int = 1
    scale: float | None = None
    """What a residual's branch is multiplied by; None where it is not."""


def refuse(text: str, place: int, what: str, accepted: Iterable[str] = ()) -> NoReturn:
    """Raise a UsageError that shows the text with a caret under the place, and what could stand there."""
    start = max(0, min(place - _SHOWN // 2, len(text) - _SHOWN))
    shown = "".join(c if c.isprintable() and c.isascii() else " " if c.isspace() else "?" for c in text)
    caret = " " * (len("  found:  ") + place - start) + "^"
    words = tuple(accepted)
    near = _meant(text[place:], words)
    raise UsageError(
        what,
        found=f"{shown[start : start + _SHOWN]}\n{caret}",
        numbers={"accepted": ", ".join(words)} if words else {},
        hint=near or 'a network reads like this: "(dense(64), batch_norm, relu)*10, dense(1)"',
    )


def _meant(rest: str, accepted: Sequence[str]) -> str:
    """Return what was meant by the word that the rest begins with, as a hint; empty where none comes near."""
    found = re.match(r"[A-Za-z_]\w*", rest)
    if found is None:
        return ""
    word = found.group().lower()
    if word in UNKNOWN:
        return f"{word} is not modelled; `unvanish check` measures it in a script"
    near = [OTHER_NAMES[word]] if word in OTHER_NAMES else difflib.get_close_matches(word, accepted, n=1)
    return f"did you mean {near[0]}?" if near and near[0] in accepted else ""


def parse(text: str) -> tuple[Word | Group, ...]:
    """Return the items of the description, in order. Raise UsageError where it cannot be read."""
    return _Reader(text).whole()


class _Reader:
    """Read tokens from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [(m.group(1), m.start(1)) for m in _TOKEN.finditer(text)] + [("", len(text.rstrip()))]
        self.at = self.depth = 0

    @property
    def token(self) -> str:
        return self.tokens[self.at][0]

    @property
    def place(self) -> int:
        return self.tokens[self.at][1]

    def take(self) -> str:
        token = self.token
        self.at += 1
        return token

    def expect(self, token: str, others: Sequence[str] = ()) -> None:
        if self.token != token:
            self.fail(f"expected {token!r}", (token, *others))
        self.take()

    def fail(self, what: str, accepted: Iterable[str]) -> NoReturn:
        seen = repr(self.token) if self.token else "the end of the text"
        refuse(self.text, self.place, f"the network cannot be read: {what}, not {seen}", accepted)

    def whole(self) -> tuple[Word | Group, ...]:
        items = self.items()
        if self.token:
            self.fail("expected ',' or '*' behind a layer", (",", "*"))
        return items

    def items(self, *, of_residual: bool = False) -> tuple[Word | Group, ...]:
        found = [self.item()]
        while self.token == "," and not (of_residual and self.scaled):
            self.take()
            found.append(self.item())
        return tuple(found)

    def item(self) -> Word | Group:
        place, name = self.place, self.token
        if name == "residual" or name == "(":
            return self.group(place)
        if name not in LAYERS and name not in ACTIVATIONS:
            self.fail("expected a layer", (*LAYERS, "residual", "(", *ACTIVATIONS))
        self.take()
        arguments, places = self.arguments(name)
        return Word(name, arguments, places, place, self.times())

    def group(self, place: int) -> Group:
        residual = self.take() == "residual"
        if residual:
            self.expect("(")
        self.depth += 1
        if self.depth > _DEEPEST:
            refuse(self.text, place, f"the network cannot be read: more than {_DEEPEST} parentheses in one another")
        items = self.items(of_residual=residual)
        scale = self.scale() if residual and self.scaled else None
        self.expect(")", (",", "*") if scale is None else ())
        self.depth -= 1
        return Group(items, residual, place, self.times(), scale)

    @property
    def scaled(self) -> bool:
        """Say whether `, scale` comes next."""
        return self.token == "," and self.tokens[self.at + 1][0] == "scale"

    def scale(self) -> float:
        self.take()
        self.take()
        self.expect("=")
        sign = -1.0 if self.token == "-" and self.take() else 1.0
        if not re.fullmatch(r"[\d.].*", self.token):
            self.fail("expected what the branch is multiplied by", ("a number",))
        return sign * float(self.take())

    def arguments(self, name: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        takes = LAYERS.get(name, Arguments(0))
        if not takes.accepted:
            if self.token == "(":
                self.fail(f"{name} takes no arguments", (",", "*"))
            return (), ()
        self.expect("(")
        found: list[str] = []
        places: list[int] = []
        for accepted in takes.accepted:
            places.append(self.place)
            if self.token in ("", ",", ")", "(", "*"):
                self.fail(f"expected an argument of {name}", (accepted,))
            found.append(self.take())
            if len(found) < takes.least:
                self.expect(",")
            elif self.token == "," and len(found) < len(takes.accepted):
                self.take()
            else:
                break
        self.expect(")", (",",) if len(found) < len(takes.accepted) else ())
        return tuple(found), tuple(places)

    def times(self) -> int:
        if self.token != "*":
            return 1
        self.take()
        if not re.fullmatch(r"[1-9]\d{0,5}", self.token, re.ASCII):
            self.fail("expected how often it is repeated", ("a whole number from 1 to 999999",))
        return int(self.take())
