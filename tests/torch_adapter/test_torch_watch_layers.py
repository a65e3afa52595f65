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
    assert [kind for _, kind, _ in seen.words] == (["left out"] if name in ("normed", "words") else [])
    assert list(registered(net)) == seen.layers


def told_of(net, x, opt=None):
    opt = torch.optim.SGD(net.parameters(), lr=0.1) if opt is None else opt
    with watched(net, 1) as seen:
        for _ in range(3):
            opt.zero_grad()
            net(x).square().mean().backward()
            opt.step()
    assert all((step, kind) == (0, "left out") for step, kind, _ in seen.words)
    return seen.layers, [text for _, _, text in seen.words]


class Own(nn.Module):
    """Has matrices of its own: one that is used as it is, one that is changed first, one that nothing uses."""

    def __init__(self):
        super().__init__()
        self.plain, self.changed = nn.Parameter(torch.randn(6, 6)), nn.Parameter(torch.randn(6, 6))
        self.shift, self.unused = nn.Parameter(torch.zeros(1, 6)), nn.Linear(6, 6)

    def forward(self, x):
        return (x @ self.plain + self.shift) @ (2 * self.changed)


class Listed(nn.Module):
    """Keeps layers where PyTorch does not find them."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = [nn.Linear(6, 6) for _ in range(2)], nn.Linear(6, 2)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(x)

    def everything(self):
        return [*self.parameters(), *(p for layer in self.hidden for p in layer.parameters())]


@pytest.mark.parametrize("sparse", [False, True])
def test_a_table_that_is_looked_up_is_said_to_have_no_row(sparse):
    net = nn.Sequential(nn.Embedding(11, 6, sparse=sparse), nn.LayerNorm((5, 6)), nn.Linear(6, 2))
    layers, told = told_of(net, torch.randint(0, 11, (3, 5)))
    assert layers == ["2"]
    assert told == ["not in the table: 0 (a table that is looked up)"]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "computed",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.orthogonal,
        nn.utils.weight_norm,
    ],
)
def test_a_kernel_that_is_computed_is_said_to_have_no_row(computed):
    layers, told = told_of(nn.Sequential(computed(nn.Linear(6, 6)), nn.Tanh(), nn.Linear(6, 2)), torch.randn(3, 6))
    assert layers == ["2"]
    assert told == ["not in the table: 0 (weights computed from other parameters)"]


def test_a_matrix_that_no_layer_multiplies_by_as_it_is_is_said_to_have_no_row():
    layers, told = told_of(Own(), torch.randn(3, 6))
    assert layers == ["plain"]
    assert told == ["not in the table: changed, unused (no kernel of a layer in the first pass)"]


def test_of_many_layers_the_first_are_named():
    net = nn.Sequential(*(nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)) for _ in range(9)), nn.Linear(6, 2))
    _, (told,) = told_of(net, torch.randn(3, 6))
    assert told == "not in the table: 0, 1, 2, 3 and 5 more (weights computed from other parameters)"


def test_layers_that_the_optimizer_alone_knows_are_said_to_have_no_row():
    net = Listed()
    layers, (told,) = told_of(net, torch.randn(3, 6), torch.optim.SGD(net.everything(), lr=0.1))
    assert layers == ["head"]
    assert told.startswith("not in the table: 2 matrices that SGD steps and the model does not know")


@pytest.mark.parametrize("frozen", [False, True])
def test_nothing_is_said_of_a_layer_that_has_a_row_or_is_not_trained(frozen):
    net = nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 6), nn.RNNCell(6, 4))
    net[0].weight.requires_grad_(False)
    net[1].weight.requires_grad_(not frozen)
    assert told_of(net[1:], torch.randn(3, 6))[1] == []
    tied = nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 11, bias=False))
    tied[0].weight = tied[1].weight
    assert told_of(tied, torch.randint(0, 11, (3,)))[1] == []
