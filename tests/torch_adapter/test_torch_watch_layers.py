"""The layers of a watched model: in the order of its forward pass, and by the same names where that was not seen."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch_loops import Net
from watched_torch import watched

from unvanish.torch.registered import registered

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def fresh():
    """Forget what other tests compiled: then the first pass is not looked into."""
    torch._dynamo.reset()


class Turned(nn.Module):
    """Registered in another order than it runs in."""

    def __init__(self):
        super().__init__()
        self.last, self.first = nn.Linear(8, 3), nn.Linear(6, 8)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


def test_layers_stand_in_the_order_of_the_forward_pass():
    net = Turned()
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    with watched(net, 1) as seen:
        net(torch.randn(4, 6)).sum().backward()
        opt.step()
    assert seen.layers == ["first", "last"]
    assert seen.sizes == [48, 24]
    assert seen.words == []


def nets():
    """Return networks with the inputs that they take, and that are of every kind of kernel."""
    attention = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)), nn.LayerNorm(6), nn.Linear(6, 2))
    words = nn.Sequential(nn.Embedding(11, 8), nn.Linear(8, 8), nn.LayerNorm((5, 8)))
    return {
        "attention": (attention, torch.randn(2, 5, 8)),
        "conv": (conv, torch.randn(2, 3, 8, 8)),
        "lstm": (nn.LSTM(6, 5, num_layers=2), torch.randn(4, 2, 6)),
        "normed": (normed, torch.randn(3, 6)),
        "one": (nn.Linear(6, 2), torch.randn(3, 6)),
        "plain": (Net(), torch.randn(4, 6)),
        "words": (words, torch.randint(0, 11, (2, 5))),
    }


@pytest.mark.parametrize("name", list(nets()))
def test_layers_that_were_not_seen_at_work_have_the_same_names(name):
    net, x = nets()[name]
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    with watched(net, 1) as seen:
        out = net(x)
        (out[0] if isinstance(out, tuple) else out).sum().backward()
        opt.step()
    assert seen.words == []
    assert list(registered(net)) == seen.layers
