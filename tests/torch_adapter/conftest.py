"""What tests of the PyTorch adapter share."""

from __future__ import annotations

import pytest


@pytest.fixture
def every_sample(monkeypatch):
    """Look into every sampled step; forget what other tests compiled."""
    import torch

    from unvanish.watching import pace

    monkeypatch.setattr(pace, "LOOK_STEPS", 1)
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
