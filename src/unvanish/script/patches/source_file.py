"""A file of the user's own as bytes, text and syntax tree, and the calls in it by their place."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider

from unvanish.core.diagnosis import Site
from unvanish.errors import UnsupportedError
from unvanish.script.patches.commas import broken
from unvanish.script.patches.names import Names

WIDTH = 100
"""Longest line that is written into a file that has no longer ones."""
_BOM = b"\xef\xbb\xbf"
Place = tuple[int, int, int, int]
"""First line, column, last line, column; columns in characters."""


class SourceFile:
    """Hold one file as it was when it was run."""

    def __init__(self, name: str, data: bytes) -> None:
        """name: for messages. Raise UnsupportedError for a file that cannot be read and written without a loss."""
        self.name, self.data = name, data
        self.encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        self._mark = _BOM if data.startswith(_BOM) else b""
        text = data[len(self._mark) :].decode(self._plain)
        try:
            module = cst.parse_module(text)
        except cst.ParserSyntaxError as error:
            raise UnsupportedError(f"{name} cannot be parsed", found=error.message) from None
        if module.code != text:
            raise UnsupportedError(f"{name} cannot be written back as it is", found="unusual line ends")
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        self.module = wrapper.module
        self.parents: Mapping[cst.CSTNode, cst.CSTNode] = wrapper.resolve(ParentNodeProvider)
        self._lines = text.split("\n")
        self._calls: dict[Place, cst.Call] = {}
        for node, place in wrapper.resolve(PositionProvider).items():
            if isinstance(node, cst.Call):
                start, end = place.start, place.end
                self._calls[start.line, start.column, end.line, end.column] = node
        self.names = Names(self.module)

    @property
    def _plain(self) -> str:
        return "utf-8" if self.encoding == "utf-8-sig" else self.encoding

    def encoded(self, module: cst.Module) -> bytes:
        """Return a changed module as bytes: the same mark, encoding and line ends."""
        return self._mark + module.code.encode(self._plain)

    def call_at(self, site: Site) -> cst.Call:
        """Return the call at a site. Raise UnsupportedError where there is none, or where it could be several."""
        if site.column is not None and site.end_line is not None and site.end_column is not None:
            end = self._column(site.end_line, site.end_column)
            found = [self._calls.get((site.line, self._column(site.line, site.column), site.end_line, end))]
        else:
            found = [call for place, call in self._calls.items() if place[0] == site.line]
        if len(found) != 1 or found[0] is None:
            raise UnsupportedError(
                "the call that makes a layer was not found",
                found=f"{site.file}:{site.line}  {site.text}",
                hint="write the layer as a call of its class",
            )
        return found[0]

    def fitted(self, site: Site, old: cst.Call, new: cst.BaseExpression) -> cst.BaseExpression:
        """Return what takes the place of a call, its arguments on lines of their own where its line gets too long."""
        line = self._lines[site.line - 1].rstrip("\r")
        before, after = (self.module.code_for_node(node) for node in (old, new))
        most = max(WIDTH, *(len(one) for one in self._lines))
        if not isinstance(new, cst.Call) or "\n" in before + after or len(line) - len(before) + len(after) <= most:
            return new
        return broken(new, line[: len(line) - len(line.lstrip())])

    def _column(self, line: int, offset: int) -> int:
        """Return the column in characters of an offset in bytes of UTF-8."""
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        return len(text.encode()[:offset].decode(errors="replace"))


def read_sources(sites: Iterable[Site]) -> dict[str, bytes]:
    """Return file -> its bytes for the files of all sites, to be read when the script has just been run."""
    found: dict[str, bytes] = {}
    for file in {site.file for site in sites}:
        try:
            found[file] = Path(file).read_bytes()
        except OSError:
            continue
    return found
