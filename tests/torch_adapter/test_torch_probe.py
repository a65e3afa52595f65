"""A probe looks and leaves nothing: no hook, no moved buffer, no drawn random number, no `.grad`."""

from __future__ import annotations

import random
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import numpy as np  # noqa: E402
from torch import nn  # noqa: E402

from unvanish.torch.probe import look_at, probe  # noqa: E402

F = nn.functional


class Swapped(nn.Module):
    """A buffer that is not written to but replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x - self.mean + random.random() + float(np.random.rand())


def net() -> Any:
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), Swapped(), nn.Dropout(0.3), nn.Linear(8, 2)
    )


def batch(seed: int = 0, n: int = 16) -> Any:
    r = np.random.default_rng(seed)
    return torch.as_tensor(r.random((n, 6)), dtype=torch.float32), torch.as_tensor(r.integers(0, 2, n))


def loss_of(model: Any, pair: Any) -> Any:
    return F.cross_entropy(model(pair[0]), pair[1])


def state(model: Any) -> Any:
    return (
        [p.detach().clone() for p in model.parameters()],
        [b.clone() for b in model.buffers()],
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
    )


def shape_of(model: Any) -> Any:
    """Return all that is not a number: identities, modes, hooks, attributes."""
    hooks = [
        [name, len(getattr(m, name))]
        for m in model.modules()
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    ]
    return (
        [id(p) for p in model.parameters()],
        [id(b) for b in model.buffers()],
        [id(p.grad) for p in model.parameters()],
        [m.training for m in model.modules()],
        [p.requires_grad for p in model.parameters()],
        [len(p._backward_hooks or ()) for p in model.parameters()],
        [sorted(m.__dict__) for m in model.modules()],
        hooks,
        torch.nn.modules.module._has_any_global_hook(),
        torch.overrides._get_current_function_mode_stack(),
    )


def same(a: Any, b: Any) -> bool:
    return all(
        (x is None) == (y is None) and (x is None or torch.equal(x, y))
        for one, other in zip(a, b, strict=True)
        for x, y in zip(one, other, strict=True)
    )


def streams() -> Any:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_left_behind(training: bool) -> None:
    model = net().train(training)
    loss_of(model, batch()).backward()
    model[0].bias.requires_grad_(False)
    model[1].eval()
    before = state(model), shape_of(model), streams()
    probe(model, [batch(1), batch(2)], loss_of, 0)
    assert same(before[0], state(model))
    assert before[1:] == (shape_of(model), streams())


def test_nothing_is_left_behind_when_the_loss_raises() -> None:
    model = net()
    before = state(model), shape_of(model), streams()

    def broken(model: Any, pair: Any) -> Any:
        model(pair[0])
        model[0].weight.requires_grad_(False)
        raise RuntimeError("in the loss")

    with pytest.raises(RuntimeError, match="in the loss"):
        probe(model, [batch(1)], broken, 0)
    assert same(before[0], state(model))
    assert before[1:] == (shape_of(model), streams())


def test_nothing_is_left_behind_when_the_model_raises_or_is_interrupted() -> None:
    for error in (ValueError("in the model"), KeyboardInterrupt()):

        def stop(*_: Any, error: BaseException = error) -> None:
            raise error

        model = net()
        model[3].register_forward_pre_hook(stop)
        before = state(model), shape_of(model), streams()
        with pytest.raises(type(error)):
            probe(model, [batch(1)], loss_of, 0)
        assert same(before[0], state(model))
        assert before[1:] == (shape_of(model), streams())


def test_no_hook_of_an_optimizer_runs() -> None:
    model = net()
    stepped = []
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(stepped.append)
    assert probe(model, [batch(1)], loss_of, 0).layer("0").gradient_norm is not None
    assert stepped == []


def test_a_model_in_training_mode_keeps_what_its_owner_froze() -> None:
    model = net()
    model[1].eval()
    model[1].running_mean += 5
    frozen = probe(model, [batch(1)], loss_of, 0).layer("1")
    assert frozen.output_second_moment is not None
    assert frozen.output_second_moment > 10  # with the statistics of the batch it would be 1
    model.eval()
    assert probe(model, [batch(1)], loss_of, 0).layer("1").output_second_moment == pytest.approx(1, rel=0.1, abs=0)


def test_training_goes_on_as_if_there_had_been_no_probe() -> None:
    def trained(look: bool) -> Any:
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)
        model = net()
        optimizer = torch.optim.AdamW(model.parameters())
        for step in range(4):
            if look:
                probe(model, [batch(9)], loss_of, step)
            optimizer.zero_grad(set_to_none=step % 2 == 0)
            loss_of(model, batch(step)).backward()
            optimizer.step()
        return state(model)

    assert same(trained(False), trained(True))


def test_the_look_behind_a_probe_has_the_network() -> None:
    look, profile = look_at(net(), [batch(1)], loss_of, 5)
    assert [layer.name for layer in look.network().layers] == [layer.name for layer in profile.layers]
    assert (profile.step, profile.batches, profile.batch_size, look.seen) == (5, 1, 16, 1)
    assert look.not_checked == ()
