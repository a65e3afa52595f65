"""What is known of a model before its first step, without a batch."""

from __future__ import annotations

from typing import Any

from unvanish.core.network import Network
from unvanish.core.observation import DataInfo, Observation
from unvanish.core.recording import Recording
from unvanish.keras import compat
from unvanish.keras.describe import describe
from unvanish.keras.info import loss_info, optimizer_info


def start_of(model: Any) -> Observation | None:
    """Return it, without a profile; None for a model whose forward pass is not known as a graph."""
    if not compat.has_graph(model):
        return None
    network: Network = describe(model, {id(variable) for variable in model.trainable_variables})
    return Observation(
        network=network,
        profiles=(),
        recording=Recording(layers=(), sizes=(), steps=(), losses=(), rows={}),
        optimizer=optimizer_info(model.optimizer),
        loss=loss_info(model.loss, None, network),
        data=DataInfo(samples=None),
    )
