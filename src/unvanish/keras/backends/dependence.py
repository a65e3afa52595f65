"""Which results of a traced JAX function depend on one of its arguments at all: a zero by structure is no small one."""

from __future__ import annotations

from typing import Any

_CALLS = frozenset({"checkpoint", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "jit", "pjit"})
"""Primitives whose inner function is looked into. Of any other (a scan, a cond) every result depends on every input."""


def depend(closed: Any, argument: int) -> list[bool]:
    """Return, for each result of the function (a ClosedJaxpr), whether it depends on the argument of that number."""
    jaxpr = closed.jaxpr
    given = [False] * len(jaxpr.invars)
    given[argument] = True
    return _results(jaxpr, given)


def _results(jaxpr: Any, given: list[bool]) -> list[bool]:
    touched = {variable for variable, is_touched in zip(jaxpr.invars, given, strict=True) if is_touched}

    def is_touched(atom: Any) -> bool:
        return not hasattr(atom, "val") and atom in touched  # a literal has a value, and no name

    for equation in jaxpr.eqns:
        inputs = [is_touched(atom) for atom in equation.invars]
        if not any(inputs):
            continue
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if equation.primitive.name in _CALLS and inner is not None:
            results = _results(getattr(inner, "jaxpr", inner), inputs)
        else:
            results = [True] * len(equation.outvars)
        touched.update(v for v, result in zip(equation.outvars, results, strict=True) if result)
    return [is_touched(atom) for atom in jaxpr.outvars]
