"""Training loops of every kind around one small network, and a capture to look at them with."""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.optim import optimizer as optimizers

from unvanish.torch.capture import Capture
from unvanish.watching.session import Plan

STEPS = 12


def capture(script=None, **plan):
    return Capture(Plan(**plan), lambda *_: None, Path(__file__) if script is None else script)


def patched():
    return (
        nn.Module.__init__,
        nn.Module.__call__,
        torch.autograd.backward,
        torch.amp.GradScaler.scale,
        torch.amp.GradScaler.step,
        nn.utils.clip_grad_value_,
        nn.utils.clip_grad._clip_grads_with_norm_,
        functional.cross_entropy,
        len(optimizers._global_optimizer_pre_hooks),
        len(optimizers._global_optimizer_post_hooks),
        len(nn.modules.module._global_forward_hooks),
        len(nn.modules.module._global_forward_pre_hooks),
    )


def data(n=16):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 6, generator=generator), torch.randint(0, 3, (n,), generator=generator)


class Net(nn.Module):
    """Everything that keeps a state of its own or draws random numbers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.2)
        self.hidden = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.hidden(self.drop(torch.tanh(self.norm(self.first(x))))))


def plain(net, x, y):
    opt = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(STEPS):
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        opt.step()
    return opt


def autocast(net, x, y):
    opt = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(STEPS):
        opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.CrossEntropyLoss()(net(x), y)
        loss.backward()
        opt.step()
    return opt


def scaled(net, x, y):
    opt, scaler = torch.optim.SGD(net.parameters(), lr=0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(STEPS):
        opt.zero_grad()
        loss = functional.cross_entropy(net(x), y)
        scaler.scale(loss * (float("inf") if step == 5 else 1.0)).backward()
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        scaler.step(opt)
        scaler.update()
    return opt


def accumulated(net, x, y):
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(STEPS):
        opt.zero_grad()
        for part in range(4):
            rows = slice(4 * part, 4 * part + 4)
            (functional.cross_entropy(net(x[rows]), y[rows]) / 4).backward()
        opt.step()
    return opt


def clipped(net, x, y):
    opt = torch.optim.RMSprop(net.parameters(), lr=0.01)
    for _ in range(STEPS):
        opt.zero_grad(set_to_none=False)
        functional.cross_entropy(net(x), y).backward()
        nn.utils.clip_grad_norm_(net.parameters(), max_norm=0.05)
        nn.utils.clip_grad_value_(net.parameters(), 0.01)
        opt.step()
    return opt


def lbfgs(net, x, y):
    opt = torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=3)

    def closure():
        opt.zero_grad()
        loss = functional.cross_entropy(net(x), y)
        loss.backward()
        return loss

    for _ in range(STEPS):
        opt.step(closure)
    return opt


def two_optimizers(net, x, y):
    body = torch.optim.Adam([p for n, p in net.named_parameters() if not n.startswith("head")], lr=0.01)
    head = torch.optim.SGD(net.head.parameters(), lr=0.1)
    for _ in range(STEPS):
        net.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        body.step()
        head.step()
    return body


def scheduled(net, x, y):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, 0.2, total_steps=STEPS)
    for _ in range(STEPS):
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        opt.step()
        schedule.step()
    return opt


def evaluated(net, x, y):
    """A validation pass after every step, and one batch before the training."""
    opt = torch.optim.Adam(net.parameters(), lr=0.01)
    net(x)
    for _ in range(STEPS):
        net.train()
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        opt.step()
        net.eval()
        with torch.no_grad():
            functional.cross_entropy(net(x), y)
    return opt


def in_backward(net, x, y):
    each = {p: torch.optim.SGD([p], lr=0.1) for p in net.parameters()}

    def step(p):
        each[p].step()
        each[p].zero_grad()

    for p in net.parameters():
        p.register_post_accumulate_grad_hook(step)
    for _ in range(STEPS):
        functional.cross_entropy(net(x), y).backward()
    return each[net.head.weight]


def compiled(net, x, y, backend="aot_eager"):
    fast = torch.compile(net, backend=backend)
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(STEPS):
        opt.zero_grad()
        functional.cross_entropy(fast(x), y).backward()
        opt.step()
    return opt


def compiled_to_machine_code(net, x, y):
    return compiled(net, x, y, "inductor")


LOOPS = (
    plain,
    autocast,
    scaled,
    accumulated,
    clipped,
    lbfgs,
    two_optimizers,
    scheduled,
    evaluated,
    in_backward,
    compiled,
)
