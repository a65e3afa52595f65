"""Training that is looked at is the training that would have been: the same weights, buffers and states, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from torch import nn  # noqa: E402

from unvanish.torch.look import Look  # noqa: E402

F = nn.functional


def trained(look: bool, model: Callable[[], Any], options: dict[str, Any]) -> list[Any]:
    """Return the weights, buffers and optimizer state after some steps, a look at every one of them or none."""
    torch.manual_seed(3)
    net = model()
    optimizer = torch.optim.AdamW(net.parameters(), **options)
    losses = []
    for step in range(4):
        x = torch.randn(8, *net.takes)
        optimizer.zero_grad(set_to_none=step % 2 == 0)
        armed = Look(net) if look else None
        if armed is not None:
            armed.__enter__()
        loss = net(x).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        if armed is not None:
            armed.__exit__(None, None, None)
            assert armed.not_checked == ()
            armed.profile(step, float(loss.detach()))
        optimizer.step()
        losses.append(loss.detach())
    state = [v for s in optimizer.state.values() for v in s.values()]
    return [*losses, *net.parameters(), *net.buffers(), *state]


def takes(model: Any, *shape: int) -> Any:
    model.takes = shape
    return model


class Messy(nn.Module):
    takes = (5, 6)

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.attention = nn.Linear(6, 8), nn.Linear(8, 8), nn.MultiheadAttention(8, 2, dropout=0.1)
        self.norm, self.scale = nn.LayerNorm(8), nn.Parameter(torch.ones(8))
        self.rnn = nn.GRU(8, 8, num_layers=2, dropout=0.3)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))

    def forward(self, x):
        h = F.relu_(self.a(x))
        g = self.b(h).mul_(0.5)
        g += h
        h = g
        h = h + self.attention(h, h, h)[0]
        h = F.dropout(self.norm(h) * self.scale, 0.2, self.training, inplace=True)
        h[:, 0] = h[:, 1] * 2
        h = self.normed(h) * torch.sigmoid(h)
        return self.rnn(h)[0].tanh_()


TRAINED: dict[str, Callable[[], Any]] = {
    "conv": lambda: takes(
        nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(True), nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten(),
            nn.Linear(36, 2),
        ),
        3, 8, 8,
    ),
    "in place": Messy,
    "sick": lambda: takes(nn.Sequential(*(part for _ in range(9) for part in (nn.Linear(20, 20), nn.Sigmoid()))), 20),
    "transformer": lambda: takes(nn.TransformerEncoderLayer(8, 2, 16), 5, 8),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}], ids=str)
def test_training_that_is_looked_at_is_the_same_to_the_bit(name: str, options: dict[str, Any]) -> None:
    plain, watched = (trained(look, TRAINED[name], options) for look in (False, True))
    assert len(plain) == len(watched)
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
