"""A step that TensorFlow compiled for any batch size: what the forecast of it takes for granted is said."""

from pathlib import Path

import keras
import loops
import pytest
import tensorflow as tf
from loops import batch, sequential

from unvanish.keras.describing import USUAL, Capture
from unvanish.watching.session import Enough, Plan

pytestmark = pytest.mark.keras


def described(train):
    with Capture(Plan(), lambda *_: None, Path(loops.__file__)) as seen, pytest.raises(Enough):
        train()
    return seen


def test_a_compiled_step_of_unknown_batch_size_says_so():
    def untold():
        model = sequential(loss=None)
        optimizer, loss = keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()

        @tf.function
        def epoch(stream):
            for x, y in stream:
                with tf.GradientTape() as tape:
                    value = loss(y, model(x, training=True))
                gradients = tape.gradient(value, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

        epoch(tf.data.Dataset.from_tensor_slices(batch()).batch(8))

    found = described(untold).observation
    assert found.data.batch_size == USUAL
    assert found.data.input_second_moment is None
    assert any("size of the batches" in note for note in found.not_checked)
