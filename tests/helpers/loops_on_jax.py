"""The loops that a script may have on Keras' JAX backend."""

import jax
import keras
from jax import numpy as jnp
from loops import STEPS, batch, sequential


def state_of(model, optimizer):
    groups = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    return tuple([variable.value for variable in group] for group in groups)


def hand_back(model, optimizer, state):
    groups = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
    return model


def parts(loss=None, optimizer=None, model=None):
    """Return (model, optimizer, step); the step takes and returns a state, as in Keras' guide for JAX."""
    model = sequential(loss=None) if model is None else model
    model.own_optimizer = optimizer = optimizer or keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    loss = loss or keras.losses.BinaryCrossentropy()

    def compute(trained, others, x, y, own):
        output, others = model.stateless_call(trained, others, x, training=True)
        value = loss(y, output)
        with keras.StatelessScope(state_mapping=list(zip(optimizer.variables, own, strict=True))):
            return optimizer.scale_loss(value), (others, value)

    def step(state, x, y):
        trained, others, own = state
        (_, (others, value)), gradients = jax.value_and_grad(compute, has_aux=True)(trained, others, x, y, own)
        trained, own = optimizer.stateless_apply(own, gradients, trained)
        return value, (trained, others, own)

    return model, optimizer, step


def by_step(compiled, **made):
    model, optimizer, step = parts(**made)
    step, state = compiled(step), state_of(model, optimizer)
    for _ in range(STEPS):
        _, state = step(state, *batch())
    return hand_back(model, optimizer, state)


def by_jit(**made):
    return by_step(jax.jit, **made)


def by_operations():
    """Nothing is compiled."""
    return by_step(lambda step: step)


def by_giving_away():
    """The step is given the arrays of the state for good, those of the model's own variables first."""
    return by_step(lambda step: jax.jit(step, donate_argnums=0))


def by_compiling_ahead():
    model, optimizer, step = parts()
    state = state_of(model, optimizer)
    step = jax.jit(step).lower(state, *batch()).compile()
    for _ in range(STEPS):
        _, state = step(state, *batch())
    return hand_back(model, optimizer, state)


def by_scan():
    """All steps are taken by one call of a compiled function."""
    model, optimizer, step = parts()
    x, y = (jnp.stack([part] * STEPS) for part in batch())

    @jax.jit
    def train(state, x, y):
        return jax.lax.scan(lambda state, data: step(state, *data)[::-1], state, (x, y))[0]

    return hand_back(model, optimizer, train(state_of(model, optimizer), x, y))


def by_a_compiled_gradient(apply="stateless"):
    """The gradients leave the compiled function, and the step is taken outside."""
    model, optimizer, loss = sequential(loss=None), keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()
    model.own_optimizer = optimizer
    optimizer.build(model.trainable_variables)

    @jax.jit
    @jax.grad
    def gradient(trained, others, x, y):
        return loss(y, model.stateless_call(trained, others, x, training=True)[0])

    for _ in range(STEPS):
        trained, others, own = state_of(model, optimizer)
        found = gradient(trained, others, *batch())
        if apply == "stateless":
            trained, own = optimizer.stateless_apply(own, found, trained)
            hand_back(model, optimizer, (trained, others, own))
        else:
            optimizer.apply(found, model.trainable_variables)
    return model


def by_apply():
    """The optimizer changes the variables itself."""
    return by_a_compiled_gradient("in place")


def by_a_loss_of_its_own():
    return by_jit(loss=lambda y, p: -(y * jnp.log(p) + (1 - y) * jnp.log(1 - p)).mean())


LOOPS = {
    "jitted": by_jit,
    "operations": by_operations,
    "giving away": by_giving_away,
    "compiled ahead": by_compiling_ahead,
    "scan": by_scan,
    "compiled gradient": by_a_compiled_gradient,
    "apply": by_apply,
    "loss unknown": by_a_loss_of_its_own,
}
UNPROBED = {"loss unknown"}
"""Loops whose loss only they know."""
UNTOLD = {"loss unknown"}
"""Those of which not even its value is known."""
BY_SGD = set()
PATCHED = (
    (keras.Model, "stateless_call"),
    (keras.optimizers.Optimizer, "stateless_apply"),
    (keras.optimizers.LossScaleOptimizer, "stateless_apply"),
)
