"""Keras on JAX: stateless passes, perturbations of zero, and train functions that hand their state on."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import keras
import numpy as np
from jax import numpy as jnp

from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.backends.dependence import depend
from unvanish.keras.backends.groups import groups, order
from unvanish.keras.backends.jax_keeping import Copies, Spare
from unvanish.keras.backends.protocol import Array, Keeper, Looked, Run, as_floats, kept, loss_in, sound, unscaled
from unvanish.keras.current_trace import current_trace
from unvanish.keras.shadow import shadowed
from unvanish.keras.tally import Tally

BEFORE = False
SUMS = "float32"
JOINED = 2**14
"""Tensors of up to so many entries are joined to be summed."""


def differentiator(model: Any, run: Run, variables: Sequence[Any]) -> Callable[[Any, float], Looked]:
    """See `protocol.Backend`. A mark adds zeros, and the gradient with respect to them is the cotangent.

    Compiled once for all batches of a shape, unless the model is not to be compiled; then a gradient of zero that has
    no path cannot be told from one that has.
    """
    others = [v for v in model.variables if id(v) not in {id(known) for known in variables}]
    compiled: dict[Any, tuple[Any, list[Any], list[bool]]] = {}

    def backward(weights: Any, zeros: Any, rest: Any, batch: Any, scale: Any) -> Any:
        state = list(zip(others, rest, strict=True))
        forward = functools.partial(_forward, run, variables, state, batch)
        loss, pull, marked = jax.vjp(forward, weights, zeros, has_aux=True)
        return pull(jnp.asarray(scale, loss.dtype)), loss, marked

    def prepared(weights: Any, rest: Any, batch: Any, scale: Any) -> tuple[Any, list[Any], list[bool]]:
        state = list(zip(others, rest, strict=True))
        _, marked = jax.eval_shape(lambda w: _forward(run, variables, state, batch, w, None), weights)
        zeros = [jnp.zeros(shape.shape, shape.dtype) for shape in marked]
        if model.run_eagerly or not model.jit_compile:
            return backward, zeros, []
        traced = jax.jit(backward).trace(weights, zeros, rest, batch, scale)
        return traced.lower().compile(), zeros, depend(traced.jaxpr, -1)

    def look(batch: Any, scale: float) -> Looked:
        weights, rest = ([v.value for v in group] for group in (variables, others))
        shapes = jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), batch)
        arguments = (weights, rest, batch, jnp.asarray(scale, jnp.float32))
        key = jax.tree.structure(shapes), tuple(jax.tree.leaves(shapes))
        if key not in compiled:
            compiled[key] = prepared(*arguments)
        function, zeros, paths = compiled[key]
        gradients, loss, marked = function(weights, zeros, *arguments[1:])
        found = [
            as_floats(g) if path else None
            for g, path in itertools.zip_longest(itertools.chain(*gradients), paths, fillvalue=True)
        ]
        values = [as_floats(value) for value in marked]
        ours = [kept(g, scale) for g in found[: len(weights)]]
        cotangents = [unscaled(g, scale) for g in found[len(weights) :]]
        return Looked(float(loss), ours, values, cotangents, paths_known=bool(paths))

    return look


def _forward(run: Run, variables: Sequence[Any], state: list[Any], batch: Any, weights: Any, zeros: Any) -> Any:
    """Return (loss, marked values); zeros: what each mark adds, None to find out their shapes."""
    marked: list[Any] = []

    def mark(value: Any, *, alone: bool) -> tuple[Any, int | None]:  # noqa: ARG001  # a sum is an identity
        if not (isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)):
            return value, None
        marked.append(value if zeros is None else value + zeros[len(marked)])
        return marked[-1], len(marked) - 1

    mapping = [*zip(variables, weights, strict=True), *state]
    with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
        return run(mark, batch), marked


def slope(function: Callable[[Any], Any], z: Array) -> Array | None:
    """See `protocol.Backend`."""
    value, pull = jax.vjp(function, jnp.asarray(z))
    return as_floats(pull(jnp.ones_like(value))[0])


def pullback(function: Callable[[Any], Any], x: Any, cotangent: Array) -> Array:
    """See `protocol.Backend`."""
    value, pull = jax.vjp(function, x)
    return as_floats(pull(jnp.asarray(cotangent, value.dtype))[0])


def gradient_sums(gradient: Any) -> Any:
    """See `protocol.Backend`; in float32, rows first so that nothing rounds.

    Compiled by itself: in a loop that compiles nothing each call of a `cond` would be compiled anew.
    """
    return _alone(gradient)


def _sums_of_one(gradient: Any) -> Any:
    """Return the sums.

    A plain sum takes a tenth of the time of one after division by the largest magnitude, which is taken where the plain
    one is not sound. The barrier keeps the gradient that is looked at from being computed in another way than the one
    that is applied.
    """
    gradient = jax.lax.optimization_barrier(gradient)
    gradient = _single(gradient)
    quick = _sum(jnp.square(gradient))
    plain = [jnp.ones_like(quick), quick, jnp.zeros_like(quick)]
    return jax.lax.cond(sound(quick), lambda: jnp.stack(plain), lambda: _exact(gradient))


def _exact(gradient: Any) -> Any:
    largest = jnp.max(jnp.abs(gradient))
    scale = jnp.where(jnp.isfinite(largest) & (largest > 0), largest, jnp.ones_like(largest))
    nonfinite = jnp.sum(~jnp.isfinite(gradient)).astype(scale.dtype)
    return jnp.stack([scale, _sum(jnp.square(gradient / scale)), nonfinite])


_alone = jax.jit(_sums_of_one)


def sums_of(values: Sequence[Any], zeros: Sequence[Any] | None = None) -> Any:
    """See `protocol.Backend`; small tensors are joined, and decide together whether plain sums are taken.

    A branch costs as much as the sums of several small kernels. Large ones decide for themselves: one decision for all
    would keep all of them in memory until the last is known.
    """
    found = _groups(values)
    joined = [_joined(values, group) for group in found]
    table = _sums(joined)
    if zeros is not None:
        counts = jnp.concatenate([_counted(_joined(zeros, group)) for group in found])
        table = jnp.concatenate([table, counts.astype(table.dtype)[:, None]], axis=1)
    return _in_order(table, found)


def moved_of(before: Sequence[Any], after: Sequence[Any]) -> Any:
    """See `protocol.Backend`."""
    found = _groups(before)
    old, new = ([_joined(values, group) for group in found] for values in (before, after))
    table = _sums([*old, *(b - a for a, b in zip(old, new, strict=True))])
    return _in_order(jnp.concatenate(jnp.split(table, 2), axis=1), found)


def _sums(joined: list[Any]) -> Any:
    small = [stack for stack in joined if stack[0].size <= JOINED]
    parts = iter(_together(small) if small else [])
    return jnp.concatenate([next(parts) if s[0].size <= JOINED else gradient_sums(s[0])[None] for s in joined])


def _in_order(table: Any, found: list[list[int]]) -> Any:
    places = order(found)
    return table if places is None else table[np.array(places)]


def _groups(values: Sequence[Any]) -> list[list[int]]:
    """Return which tensors are joined; none where they lie on several devices, between which nothing is moved."""
    return groups(values, JOINED) if keras.distribution.distribution() is None else [[i] for i in range(len(values))]


def _sums_of_small(stacks: list[Any]) -> list[Any]:
    quick = [_row_sums(jnp.square(stack)) for stack in stacks]
    all_sound = jnp.all(sound(jnp.concatenate(quick)))

    def plain() -> list[Any]:
        return [jnp.stack([jnp.ones_like(q), q, jnp.zeros_like(q)], axis=1) for q in quick]

    found: list[Any] = jax.lax.cond(all_sound, plain, lambda: [jax.vmap(_exact)(stack) for stack in stacks])
    return found


_together = jax.jit(_sums_of_small)


def _zeros(stack: Any) -> Any:
    """Return how many entries of each tensor are zero: rows in float32, which XLA adds up faster than integers.

    Of a large kernel signs are added up: XLA vectorises no comparison, which takes four times as long. That of what is
    no number is none, and then entries are compared.
    """

    def compared() -> Any:
        return _whole(jnp.sum(jnp.where(stack == 0, jnp.ones((), jnp.float32), 0), axis=-1))

    if stack[0].size <= JOINED:
        return compared()
    rows = jnp.sum(jnp.abs(jnp.sign(stack)).astype(jnp.float32), axis=-1)
    return jax.lax.cond(jnp.isnan(jnp.sum(rows)), compared, lambda: stack[0].size - _whole(rows))


_counted = jax.jit(_zeros)


def _whole(rows: Any) -> Any:
    """Return the sum of whole numbers for each tensor, as integers, which float32 holds up to 2^24 alone."""
    return jnp.sum(rows.astype(jnp.int32), axis=tuple(range(1, rows.ndim)))


def _joined(values: Sequence[Any], group: list[int]) -> Any:
    """Return the tensors of a group as one, (tensors, *shape), in float32 at least; copied so that nothing is fused."""
    if len(group) == 1:
        return _single(values[group[0]])[None]
    return jax.lax.optimization_barrier(jnp.stack([_single(values[place]) for place in group]))


def _single(value: Any) -> Any:
    return value.astype(jnp.float32) if value.dtype.itemsize < 4 else value


def _row_sums(stack: Any) -> Any:
    """Return the sum of each tensor, rows first so that nothing rounds."""
    return jax.vmap(_sum)(stack)


def _sum(value: Any) -> Any:
    return jnp.sum(jnp.sum(value, axis=-1)) if value.ndim else value


def view(variable: Any) -> Array:
    """See `protocol.Backend`."""
    return np.asarray(variable.value)


def read(variable: Any) -> Any:
    """See `protocol.Backend`; arrays are immutable."""
    return variable.value


def runs(value: Any, run: int, step: int) -> Any:
    """See `protocol.Backend`."""
    return jnp.reshape(value, (-1, run))[::step]


def copied(value: Any) -> Any:
    """See `protocol.Backend`; tensors are immutable."""
    return value


def still(value: Any) -> Any:
    """See `protocol.Backend`: a barrier, beyond which nothing is fused."""
    return jax.lax.optimization_barrier(value)


def tapped(model: Any, tally: Tally) -> Callable[..., Any]:
    """Return the model's train step, returning ((logs, sums), state).

    The loss is read where the loss tracker takes it: what passes through `compute_loss` is inside of jax.grad, which
    nothing may leave. Gradients are read where `stateless_apply` takes them, outside of its branches for the same
    reason: raw, before clipping. A train step of the user's own that calls neither, or within a transformation of its
    own (`jit`, `cond`, `scan`), gives nan; its loss is then the one that it tells.
    """
    if compat.steps_by_class():
        raise UnsupportedError(
            "the training steps of a Keras model in NNX mode cannot be watched",
            found="keras.config.is_nnx_enabled() is true",
            hint="run it without KERAS_NNX_ENABLED and without nnx_enabled in keras.json",
        )
    train_step = model.train_step

    def step(state: Any, data: Any) -> Any:
        optimizer, tracker = model.optimizer, compat.loss_tracker(model)
        stateless_apply, update_state = optimizer.stateless_apply, tracker.update_state
        found: dict[str, Any] = {}
        outside = current_trace()

        def tapped_update(values: Any, *args: Any, **kwargs: Any) -> Any:
            if current_trace() == outside:
                found.setdefault("loss", values)
            return update_state(values, *args, **kwargs)

        def tapped_apply(optimizer_variables: Any, grads: Any, trainable_variables: Any) -> Any:
            result = stateless_apply(optimizer_variables, grads, trainable_variables)
            if current_trace() != outside:
                return result
            mapping = list(zip(optimizer.variables, optimizer_variables, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                found["scale"] = optimizer.scale_loss(jnp.ones(()))
            known = {id(v): i for i, v in enumerate(compat.optimised(optimizer, model))}
            places = [known.get(id(kernel)) for kernel in tally.kernels]
            found["gradients"] = tally.gradients({key: grads[i] for key, i in known.items()})
            for name, values in (("before", trainable_variables), ("after", result[0])):
                found[name] = tuple(None if i is None else tally.chosen(k, values[i]) for k, i in enumerate(places))
            return result

        with shadowed(optimizer, stateless_apply=tapped_apply), shadowed(tracker, update_state=tapped_update):
            logs, state = train_step(state, data)
        told = loss_in(logs)
        if "loss" not in found and told is not None:  # a train step with a loss of its own
            found["loss"] = told
        return (logs, tally.filled(found)), state

    return step


def passing(model: Any, run: Callable[[Any], Any], variables: Sequence[Any]) -> Callable[[Any, Sequence[Any]], Any]:
    """See `protocol.Backend`; compiled as the model's steps are."""

    def forward(inputs: Any, values: Sequence[Any]) -> Any:
        with keras.StatelessScope(list(zip(variables, values, strict=True)), collect_losses=True):
            return run(inputs)

    return forward if model.run_eagerly or not model.jit_compile else jax.jit(forward)


def keeping(model: Any, tally: Tally, variables: Sequence[Any]) -> Keeper:
    """See `protocol.Backend`."""
    return (Spare if Spare.fits(model, variables) else Copies)(model, tapped(model, tally), variables)


def function(model: Any, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """See `protocol.Backend`."""
    return compute if model.run_eagerly or not model.jit_compile else jax.jit(compute)


def values_after(model: Any, result: Any, variables: Sequence[Any]) -> list[Any]:
    """See `protocol.Backend`; the state has them."""
    known = [*model.trainable_variables, *model.non_trainable_variables]
    places = {id(variable): place for place, variable in enumerate(known)}
    values = [*result[1][0], *result[1][1]]
    return [values[places[id(variable)]] for variable in variables]


def split(result: Any) -> tuple[Any, Any]:
    """Return ((logs, state), sums)."""
    (logs, sums), state = result
    return (logs, state), sums


def logs_of(result: Any) -> Any:
    """See `protocol.Backend`."""
    return result[0]


def counted(model: Any, arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], Callable[[], int]]:
    """See `protocol.Backend`; the variables are not there in mid-training, so that the batches are counted."""
    if model.steps_per_execution == 1:
        return arguments, lambda: 1
    state, iterator = arguments
    taken = 0

    def batches() -> Iterator[Any]:
        nonlocal taken
        for batch in iterator:
            taken += 1
            yield batch

    return (state, batches()), lambda: max(taken, 1)


def hand_back(model: Any, result: Any) -> None:
    """See `protocol.Backend`; what was there was given away to the step (donated)."""
    compat.take_state(model, result[1])


def build_ahead(model: Any, batches: list[Any]) -> None:
    """See `protocol.Backend`; fit builds everything before it traces."""


def train(model: Any, batches: Iterable[Any]) -> None:
    """See `protocol.Backend`; the state goes from step to step, and to the model at the end, whatever happens."""
    state = compat.state_of(model)
    try:
        for batch in batches:
            _, state = model.train_function(state, iter([batch]))
    finally:
        if not any(value.is_deleted() for value in jax.tree.leaves(state)):  # else it was handed back already
            compat.take_state(model, state)


def seed(seed: int) -> None:
    """Seed nothing: JAX has no random state of its own."""


@contextmanager
def untouched(model: Any) -> Iterator[None]:  # noqa: ARG001
    """Put nothing back: JAX has no random state of its own."""
    yield
