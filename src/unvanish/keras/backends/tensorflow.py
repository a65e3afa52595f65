"""Keras on TensorFlow: gradient tapes, and train functions compiled by tf.function."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from unvanish.keras import compat
from unvanish.keras.backends import stateful
from unvanish.keras.backends.groups import groups, order
from unvanish.keras.backends.protocol import Array, Keeper, Looked, Run, as_floats, kept, sound, unscaled
from unvanish.keras.backends.stateful import logs_of, passing, split, values_after
from unvanish.keras.backends.tensorflow_keeping import Kept

__all__ = ["logs_of", "passing", "split", "values_after"]

BEFORE = False
SUMS = "float64"
JOINED = 2**16
"""Tensors of up to so many entries are joined to be summed."""
LARGE = 2**18
"""Gradients of more entries are summed in float32 where that loses nothing."""


def differentiator(model: Any, run: Run, variables: Sequence[Any]) -> Callable[[Any, float], Looked]:  # noqa: ARG001
    """See `protocol.Backend`; runs eagerly, with a tape as in Keras' own train step.

    On the variables themselves: whatever stood in their place, a layer's tf.function, tape or assignment would keep.
    """

    def look(batch: Any, scale: float) -> Looked:
        marked: list[Any] = []
        weights = [variable.value for variable in variables]
        with tf.GradientTape() as tape:  # which watches the variables that Keras' own would

            def mark(value: Any, *, alone: bool) -> tuple[Any, int | None]:
                if not (tf.is_tensor(value) and value.dtype.is_floating):
                    return value, None
                value = _identity(value) if alone else value
                tape.watch(value)
                marked.append(value)
                return value, len(marked) - 1

            loss = run(mark, batch)
            scaled = loss * tf.cast(scale, loss.dtype)
        found = tape.gradient(scaled, [*marked, *weights])
        gradients = [kept(_array(found.pop()), scale) for _ in weights]  # popped: none is there longer than needed
        values = [as_floats(value) for value in marked]  # not .numpy(), which copies: nothing here is written to
        return Looked(float(loss), gradients[::-1], values, [unscaled(_array(g), scale) for g in found])

    return look


def _identity(value: Any) -> Any:
    copy = tf.identity(value)
    logits = getattr(value, "_keras_logits", None)
    if logits is not None:  # by which Keras' losses look through a sigmoid or a softmax
        copy._keras_logits = logits
    return copy


def _array(gradient: Any) -> Array | None:
    return None if gradient is None else as_floats(tf.convert_to_tensor(gradient))  # which may be IndexedSlices


def slope(function: Callable[[Any], Any], z: Array) -> Array | None:
    """See `protocol.Backend`."""
    tensor = tf.convert_to_tensor(z)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensor)
        value = function(tensor)
    return _array(tape.gradient(value, tensor))


def pullback(function: Callable[[Any], Any], x: Any, cotangent: Array) -> Array:
    """See `protocol.Backend`."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        result = function(x)
    found = _array(tape.gradient(result, x, output_gradients=tf.cast(cotangent, result.dtype)))
    return np.zeros(x.shape) if found is None else found


def gradient_sums(gradient: Any) -> Any:
    """See `protocol.Backend`; float64.

    A float32 sum is several times cheaper on a large kernel; where it may have under- or overflowed, it is not used.
    Each kernel decides for itself: one decision for all would keep all gradients in memory until the last is known.
    """
    gradient = tf.convert_to_tensor(gradient)
    gradient = tf.cast(gradient, tf.float32) if gradient.dtype.size < 4 else gradient
    one = tf.constant(1.0, tf.float64)

    def exact() -> Any:
        finite = tf.reduce_sum(tf.cast(tf.math.is_finite(gradient), tf.float64))
        squares = 2.0 * tf.nn.l2_loss(tf.cast(gradient, tf.float64))
        return tf.stack([one, squares, tf.cast(tf.size(gradient), tf.float64) - finite])

    if (gradient.shape.num_elements() or 0) <= LARGE:
        return exact()
    quick = 2.0 * tf.cast(tf.nn.l2_loss(gradient), tf.float64)
    return tf.cond(sound(quick), lambda: tf.stack([one, quick, tf.zeros_like(quick)]), exact)


def sums_of(values: Sequence[Any], zeros: Sequence[Any] | None = None) -> Any:
    """See `protocol.Backend`; float64. Small tensors are joined: an operation takes longer to begin than to sum one."""
    found = groups(values, JOINED)
    joined = [_joined([values[place] for place in group]) for group in found]
    table = _sums(joined)
    if zeros is not None:
        counts = [_zeros(_joined([zeros[place] for place in group])) for group in found]
        table = tf.concat([table, tf.concat(counts, 0)[:, None]], 1)
    return _in_order(table, found)


def moved_of(before: Sequence[Any], after: Sequence[Any]) -> Any:
    """See `protocol.Backend`."""
    found = groups(before, JOINED)
    old, new = ([_joined([values[place] for place in group]) for group in found] for values in (before, after))
    table = _sums([*old, *(b - a for a, b in zip(old, new, strict=True))])
    return _in_order(tf.concat(tf.split(table, 2), 1), found)


def _sums(joined: list[Any]) -> Any:
    """Return the sums of all rows of these; small ones decide together whether float32 is enough for their squares."""
    small = [rows for rows in joined if rows.shape[1] <= JOINED]
    parts = iter(_sums_of_small(small) if small else [])
    return tf.concat([next(parts) if r.shape[1] <= JOINED else gradient_sums(r[0])[None] for r in joined], 0)


def _sums_of_small(joined: list[Any]) -> list[Any]:
    quick = tf.concat([tf.cast(tf.reduce_sum(tf.square(rows), 1), tf.float64) for rows in joined], 0)

    def exact() -> Any:
        wide = [tf.cast(rows, tf.float64) for rows in joined]
        squares = tf.concat([tf.reduce_sum(tf.square(rows), 1) for rows in wide], 0)
        finite = [tf.reduce_sum(tf.cast(tf.math.is_finite(rows), tf.float64), 1) for rows in joined]
        nonfinite = tf.concat([float(r.shape[1]) - count for r, count in zip(joined, finite, strict=True)], 0)
        return tf.stack([tf.ones_like(squares), squares, nonfinite], 1)

    plain = tf.stack([tf.ones_like(quick), quick, tf.zeros_like(quick)], 1)
    table = tf.cond(tf.reduce_all(sound(quick)), lambda: plain, exact)
    table.set_shape(plain.shape)
    return list(tf.split(table, [int(rows.shape[0]) for rows in joined]))


def _in_order(table: Any, found: list[list[int]]) -> Any:
    places = order(found)
    return table if places is None else tf.gather(table, places)


def _joined(values: Sequence[Any]) -> Any:
    """Return the tensors, of one shape and dtype, as (tensors, entries), in float32 at least."""
    values = [tf.cast(value, tf.float32) if value.dtype.size < 4 else value for value in values]
    return tf.reshape(values[0] if len(values) == 1 else tf.stack(values), (len(values), -1))


def _zeros(rows: Any) -> Any:
    """Return how many entries of each row are zero, a float64; TensorFlow takes longer to add up integers.

    float32 holds whole numbers up to 2^24, so that parts of a long row are added up first.
    """
    count, entries = rows.shape
    part = next(size for size in range(min(entries, 2**12), 0, -1) if entries % size == 0)
    there = tf.reduce_sum(tf.cast(tf.not_equal(tf.reshape(rows, (count, -1, part)), 0), tf.float32), 2)
    return float(entries) - tf.reduce_sum(tf.cast(there, tf.float64), 1)


def view(variable: Any) -> Array:
    """See `protocol.Backend`; not `.numpy()`, which copies."""
    return np.asarray(tf.convert_to_tensor(variable.value))


def read(variable: Any) -> Any:
    """Return the value: by tf.identity, since Keras' conversion to a tensor gives the live variable.

    Never `variable.gather_nd`: it would put the variable for good into a mode in which every read copies it.
    """
    return tf.identity(variable.value)


def tapped(model: Any, tally: Any) -> Callable[..., Any]:
    """See `protocol.Backend`; of several replicas each one sees the gradient of the whole batch."""
    return stateful.tapped(model, tally, together=_together)


def _together(function: Callable[[Sequence[Any]], Any], tensors: Sequence[Any]) -> Any:
    """Return the function of the tensors' sums over the replicas that take a step together.

    Those sums are our own: what the optimizer adds up was clipped already, by each replica for itself. Replicas of one
    process have them, and the function of them, made once for all in one place. A collective sum would be numbered as
    those of the training are: another strategy of the process, whose numbers begin anew, could meet one of ours.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return function(tensors)
    dense = [tf.convert_to_tensor(tensor) for tensor in tensors]
    if not compat.merges():
        return function(context.all_reduce(tf.distribute.ReduceOp.SUM, dense) if dense else dense)

    def added(strategy: Any, parts: Sequence[Any]) -> Any:
        return function([tf.add_n(strategy.experimental_local_results(part)) for part in parts])

    return context.merge_call(added, args=(dense,))


def keeping(model: Any, tally: Any, variables: Sequence[Any]) -> Keeper:
    """See `protocol.Backend`."""
    return Kept(model, tally, variables)


def runs(value: Any, run: int, step: int) -> Any:
    """See `protocol.Backend`; gathered, which takes a sixth of the time of a strided slice."""
    rows = tf.reshape(value, (-1, run))
    return tf.gather(rows, tf.range(0, rows.shape[0], step))


def copied(value: Any) -> Any:
    """See `protocol.Backend`; tensors are immutable."""
    return value


def still(value: Any) -> Any:
    """See `protocol.Backend`."""
    return tf.identity(tf.convert_to_tensor(value))


def function(model: Any, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """See `protocol.Backend`."""
    return compute if model.run_eagerly else tf.function(compute, jit_compile=bool(model.jit_compile))


def counted(model: Any, arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], Callable[[], int]]:
    """See `protocol.Backend`; the steps of one call are a loop of the graph, and the optimizer counts them."""
    if model.steps_per_execution == 1:
        return arguments, lambda: 1
    iterations = model.optimizer.iterations
    before = int(iterations.numpy())  # a variable that replicas have, each its own, is no number to int
    return arguments, lambda: max(int(iterations.numpy()) - before, 1)


def hand_back(model: Any, result: Any) -> None:
    """See `protocol.Backend`; the variables have it already."""


def build_ahead(model: Any, batches: list[Any]) -> None:
    """See `protocol.Backend`: a function is traced a second time when the first trace made variables.

    That takes seconds, for a deep network. The values are those that the first step would have given them.
    """
    if not batches:
        return
    with (
        model.distribute_strategy.scope(),
        contextlib.suppress(Exception),
    ):  # only a shortcut: the first step builds what is missing, or says why not
        compat.build(model, batches[0])


def train(model: Any, batches: Iterable[Any]) -> None:
    """See `protocol.Backend`."""
    for batch in batches:
        model.train_function(iter([batch]))


def seed(seed: int) -> None:
    """Seed nothing: Keras draws without a state of TensorFlow's."""


@contextmanager
def untouched(model: Any) -> Iterator[None]:  # noqa: ARG001
    """Put the seeds of TensorFlow's operations and its global generator back afterwards."""
    from tensorflow.python.eager import context
    from tensorflow.python.ops import stateful_random_ops

    seeds = getattr(context.context(), "_rng", None)
    state = None if seeds is None else seeds.getstate()
    generator = stateful_random_ops.global_generator
    drawn = None if generator is None else np.copy(generator.state.numpy())
    try:
        yield
    finally:
        if seeds is not None:
            seeds.setstate(state)
        stateful_random_ops.global_generator = generator
        if generator is not None:
            generator.state.assign(drawn)
