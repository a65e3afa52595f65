"""What to try where a script imports a module that is not there: a package to install, or a file of the user's own."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from unvanish.script.outcome import Command


def hint_of(module: str, script: Path, command: Command) -> str:
    """Return what to try. module: the name that was not found, without a dot."""
    file = _elsewhere(module, script)
    if file is not None:
        folder = shlex.quote(str(file.parent))
        return f"{file} is there, where Python does not look: PYTHONPATH={folder} in front of the command"
    install = f"{shlex.quote(sys.executable)} -m pip install {module}"
    if command == "replay":
        return (
            f"{module}.py beside {script.name}, as it was when the run was watched; if {module} is a package, in the "
            f"Python of unvanish: {install}"
        )
    return (
        f"the script runs in the Python of unvanish: {install}; if {module} is a file of yours, it is looked for "
        f"beside {script.name}"
    )


def _elsewhere(module: str, script: Path) -> Path | None:
    """Return where such a file or folder lies, in the working directory or above the script; None where it does not."""
    folders = Path.cwd(), script.absolute().parent.parent
    places = (folder / name for folder in folders for name in (f"{module}.py", f"{module}/__init__.py"))
    found = next((place for place in places if place.is_file()), None)
    return found.parent if found is not None and found.name == "__init__.py" else found
