"""A page as tests read it: its tags, attributes and texts."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "input", "hr", "link"}
ADDRESS = {"src", "href", "action", "data", "poster", "srcset", "xlink:href", "formaction", "background"}


class Page(HTMLParser):
    """Collect tags, attributes and texts; complain about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID and tag != "td":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        if tag != "td":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def values(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def assert_whole_and_self_contained(text: str) -> None:
    """Assert that every tag is closed and that nothing is fetched from anywhere."""
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert page.open == []
    addresses = [value for _, attributes in page.tags for name, value in attributes.items() if name in ADDRESS]
    assert [a for a in addresses if not a.startswith(("#", "data:image/png;base64,"))] == []
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base", "form"}
    assert "@import" not in text
    assert [url for url in re.findall(r"url\(([^)]*)\)", text) if not url.startswith("#")] == []


def assert_strict_policy(text: str) -> None:
    """Assert that only this page's one style and one script may do anything, and that their hashes fit."""
    page = Page(text)
    (policy,) = (a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["img-src"] == "data:"
    assert "unsafe" not in policy
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        assert len(blocks) == 1
        assert parts[source] == f"'sha256-{base64.b64encode(hashlib.sha256(blocks[0].encode()).digest()).decode()}'"
    assert page.values("style") == []
    assert [name for _, attributes in page.tags for name in attributes if name.startswith("on")] == []


def assert_every_reference_has_its_target(text: str) -> None:
    """Assert that ids are unique, and that whatever refers to one finds it."""
    page = Page(text)
    ids = page.values("id")
    assert sorted(ids) == sorted(set(ids))
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | {h[1:] for h in page.values("xlink:href") if h[0] == "#"}
    assert used <= set(ids)
    assert {href[1:] for href in page.values("href")} <= set(ids)
