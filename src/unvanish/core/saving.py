"""A record written to a file, in the form that the file's ending names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from unvanish.errors import UsageError

Form = Callable[[], str | bytes]


def save(path: str | Path, *, page: Form, json: Form, text: Form, more: Mapping[str, Form] | None = None) -> Path:
    """Write the page, the JSON or the text to the file, as .html, .json or .txt says; return the path.

    more: other endings, and what is written for them.

    Raise UsageError for another ending, and where the file cannot be written.
    """
    path = Path(path)
    forms = {".html": page, ".json": json, ".txt": text, **(more or {})}
    if path.suffix.lower() not in forms:
        raise UsageError(
            f"a report cannot be written as {path.suffix or path.name!r}",
            found=f"the file name {path.name!r}",
            numbers={"endings": ", ".join(forms)},
            hint=f"{path.stem}.html",
        )
    try:
        content = forms[path.suffix.lower()]()
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    except OSError as error:
        raise UsageError(
            f"cannot write {path}",
            found=error.strerror or str(error),
            numbers={"folder": path.absolute().parent},
            hint="name a file in a folder that exists and can be written",
        ) from None
    return path
