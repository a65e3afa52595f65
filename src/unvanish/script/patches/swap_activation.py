"""Let the call that applies an activation apply another one."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.edit import SwapActivation
from unvanish.script.patches.plan import Plan, Plans, Target


def plan(edit: SwapActivation, plans: Plans, target: Target) -> None:  # noqa: ARG001  # every edit is planned alike
    """Note the new activation for each of its layers."""
    for name in edit.layers:
        plans[name] = replace(plans.get(name, Plan()), activation=(edit.activation, edit.parameter))
