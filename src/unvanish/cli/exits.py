"""Exit codes: 0 healthy, 1 findings, 2 usage, 3 the script failed, 4 undecided, 130 interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unvanish.core.cured import Cured
    from unvanish.core.diagnosis import Diagnosis
    from unvanish.script.outcome import ScriptRun

FAIL_ON = ("error", "warning", "note", "never")


def exit_code(run: ScriptRun, diagnosis: Diagnosis | None, fail_on: str) -> int:
    """Return the exit code: of a script that failed the one that this forces, else of the verdict."""
    if run.exit_code is not None:
        return run.exit_code
    return 3 if diagnosis is None else verdict_code(diagnosis, fail_on)


def cure_code(run: ScriptRun, cured: Cured | None) -> int:
    """Return the exit code of a cure: 0 cured or nothing to cure, 1 no cure helped, 4 undecided, 130 interrupted."""
    if run.exit_code is not None:
        return run.exit_code
    if cured is None:
        return 3
    if cured.cut == "interrupted":
        return 130
    if cured.verdict == "undecided":
        return 4
    return 0 if cured.healthy or cured.verdict in ("cured", "optional") else 1


def verdict_code(diagnosis: Diagnosis, fail_on: str) -> int:
    """Return 1 with a finding at or above the severity, 4 for an undecided verdict, else 0."""
    failing = FAIL_ON[: FAIL_ON.index(fail_on) + 1] if fail_on != "never" else ()
    if any(finding.severity in failing for finding in diagnosis.findings):
        return 1
    return 4 if diagnosis.verdict == "undecided" else 0
