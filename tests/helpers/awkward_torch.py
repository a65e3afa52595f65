"""Awkward PyTorch models: each is right in its own way and has broken some tool that looks at models.

Every builder returns (model, x, y, loss). All learn the same thing, whether the first feature is positive, so that what
is healthy can be told from what is not. `ZOO` lists them with what a check must say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import awkward_structures as structures
import awkward_weights as weights
from awkward_parts import Built


class Awkward(NamedTuple):
    """Name a model and say what a check must say of it."""

    build: Callable[[], Built]
    verdict: str = "healthy"
    """The verdict word; `refused` for a clear error; several allowed words are joined by `|`."""
    finding: str = ""
    """A code that must be among the findings."""
    says: str = ""
    """Words that must be in the report or in the error."""


ZOO: tuple[Awkward, ...] = (
    Awkward(weights.all_frozen, "refused", says="no trainable"),
    Awkward(weights.another_structure_each_batch),
    Awkward(weights.bfloat16),
    Awkward(weights.cell_in_a_loop),
    Awkward(weights.checkpointed),
    Awkward(structures.complex_parameter),
    Awkward(weights.custom_function),
    Awkward(weights.detached_front, "blocked", "GF501"),
    Awkward(structures.dict_input),
    Awkward(structures.dict_output),
    Awkward(weights.einsum_weights),
    Awkward(structures.empty_blocks),
    Awkward(weights.float64),
    Awkward(weights.frozen_backbone),
    Awkward(weights.getattr_tricks),
    Awkward(weights.gradient_free_loss, "refused|blocked"),
    Awkward(weights.hooks_of_the_users_own),
    Awkward(structures.in_place_everything),
    Awkward(structures.in_place_on_a_view),
    Awkward(structures.in_place_residual),
    Awkward(structures.inside_itself),
    Awkward(structures.integer_input),
    Awkward(structures.integer_parameter),
    Awkward(weights.layer_made_in_forward),
    Awkward(weights.lazy_linear, "healthy|refused"),
    Awkward(weights.lstm_tagger),
    Awkward(weights.mixed_devices_of_thought),
    Awkward(structures.module_list_without_forward),
    Awkward(weights.names_with_dots),
    Awkward(weights.no_grad_front, "blocked", "GF501"),
    Awkward(weights.no_parameters, "refused", says="no trainable"),
    Awkward(structures.one_relu_everywhere),
    Awkward(structures.optional_argument),
    Awkward(weights.packed_sequence, "healthy|undecided", says="a packed sequence"),
    Awkward(weights.parameter_list),
    Awkward(weights.pruned),
    Awkward(weights.raw_parameters),
    Awkward(structures.recursive),
    Awkward(structures.scalar_parameter),
    Awkward(weights.scripted, "healthy|undecided|refused"),
    Awkward(structures.sparse_embedding),
    Awkward(weights.spectral_norm),
    Awkward(weights.swish_by_hand),
    Awkward(structures.tied_autoencoder),
    Awkward(structures.tied_by_assignment),
    Awkward(weights.transformer),
    Awkward(structures.tuple_input),
    Awkward(structures.tuple_output),
    Awkward(weights.unused_layer),
    Awkward(structures.used_twice),
    Awkward(weights.weight_norm),
    Awkward(weights.wide_output),
)
