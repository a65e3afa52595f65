"""A model whose class has a train step of its own, written as Keras' guides write it for each backend."""

from __future__ import annotations

from typing import Any

import keras


def squared(model: Any, x: Any, y: Any) -> Any:
    return keras.ops.mean(keras.ops.square(y - model(x, training=True)))


class OwnOnTensorflow(keras.Model):
    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = squared(self, x, y)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"mine": loss}


class OwnOnTorch(keras.Model):
    def train_step(self, data: Any) -> Any:
        import torch

        x, y = (keras.ops.convert_to_tensor(part) for part in data)
        self.zero_grad()
        loss = squared(self, x, y)
        loss.backward()
        variables = list(self.trainable_weights)
        with torch.no_grad():
            self.optimizer.apply([v.value.grad for v in variables], variables)
        return {"mine": loss}


class OwnOnJax(keras.Model):
    def train_step(self, state: Any, data: Any) -> Any:
        import jax

        trained, others, optimizer, metrics = state
        x, y = data

        def loss_of(values: Any) -> Any:
            output, _ = self.stateless_call(values, others, x, training=True)
            return keras.ops.mean(keras.ops.square(y - output))

        loss, gradients = jax.value_and_grad(loss_of)(trained)
        trained, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trained)
        return {"mine": loss}, (trained, others, optimizer, metrics)


Own = {"jax": OwnOnJax, "tensorflow": OwnOnTensorflow, "torch": OwnOnTorch}[keras.backend.backend()]


class EnclosedOnTensorflow(OwnOnTensorflow):
    """Take the step in a function that is compiled by itself, as many scripts do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        import tensorflow as tf

        super().__init__(*args, **kwargs)
        self._enclosed = tf.function(super().train_step)

    def train_step(self, data: Any) -> Any:
        return self._enclosed(data)


class EnclosedOnJax(OwnOnJax):
    """Take the step in a function that is compiled by itself."""

    def train_step(self, state: Any, data: Any) -> Any:
        import jax

        return jax.jit(super().train_step)(state, data)


class BranchingOnTensorflow(keras.Model):
    """Take the step in a branch, where the loss is a number."""

    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)

        def taken() -> Any:
            self.optimizer.apply(gradients, self.trainable_variables)
            return tf.constant(True)

        tf.cond(tf.math.is_finite(loss), taken, lambda: tf.constant(False))
        return {"mine": loss}


class BranchingOnJax(keras.Model):
    """Take the step in a branch, where the loss is a number."""

    def train_step(self, state: Any, data: Any) -> Any:
        import jax
        from jax import numpy as jnp

        trained, others, optimizer, metrics = state
        x, y = data

        def loss_of(values: Any) -> Any:
            output, _ = self.stateless_call(values, others, x, training=True)
            return self.compute_loss(x, y, output)

        loss, gradients = jax.value_and_grad(loss_of)(trained)
        trained, optimizer = jax.lax.cond(
            jnp.isfinite(loss),
            lambda: self.optimizer.stateless_apply(optimizer, gradients, trained),
            lambda: (list(trained), list(optimizer)),
        )
        return {"mine": loss}, (trained, others, optimizer, metrics)


Enclosed = {
    "jax": [EnclosedOnJax, BranchingOnJax],
    "tensorflow": [EnclosedOnTensorflow, BranchingOnTensorflow],
    "torch": [],
}[keras.backend.backend()]
