"""The numbers of a watched step are the true ones, in every way in which people take a step.

The truth is computed apart from the training: the gradient of the batch-mean loss by `autograd.grad` on a float64 copy
of the model as it was before the step, the update as the difference of the weights in numpy. Relative 1e-5.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from recorded import recorded
from torch import nn
from watched_torch import watched

RELATIVE = 1e-5
STEPS = 3
SAMPLES = 32
TABLE: dict[str, dict[str, float]] = {}

pytestmark = pytest.mark.torch


class Net(nn.Module):
    """A small network with everything that the cases need."""

    def __init__(self, tied=False, sparse=False, width=8):
        super().__init__()
        self.embed = nn.Embedding(20, width, sparse=True) if sparse else None
        self.first = nn.Linear(6 + (width if sparse else 0), width)
        self.hidden = nn.Linear(width, width)
        self.again = nn.Linear(width, width)
        if tied:
            self.again.weight = self.hidden.weight
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        if self.embed is not None:
            x = torch.cat([self.embed((x[:, 0].abs() * 7).long() % 20), x], dim=1)
        return self.head(torch.tanh(self.again(torch.tanh(self.hidden(torch.tanh(self.first(x)))))))


class Case:
    """One way to train: what the truth is computed from is taken down before every step."""

    def __init__(self, **options):
        torch.manual_seed(0)
        self.net = Net(**options)
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(STEPS, SAMPLES, 6, generator=generator)
        self.y = torch.randn(STEPS, SAMPLES, 1, generator=generator)
        self.before: list[nn.Module] = []
        self.after: list[nn.Module] = []

    def loss(self, net, step, part=slice(None)):
        x, y = self.x[step][part], self.y[step][part]
        kind = next(net.parameters()).dtype
        return nn.functional.mse_loss(net(x.to(kind)), y.to(kind))

    def train(self, step_of, kernels):
        """Run the steps; return what was recorded, after comparing it with what `watch` saw of the same steps."""
        with watched(self.net) as kept, recorded(self.net, kernels) as seen:
            for step in range(STEPS):
                self.before.append(copy.deepcopy(self.net))
                step_of(step)
                self.after.append(copy.deepcopy(self.net))
        same(kept, seen, [n for kernel in kernels for n, p in self.net.named_parameters() if p is kernel])
        return seen

    def true_gradients(self, step, names):
        """Return the float64 gradients at the weights before the step; zero where no path leads."""
        net = copy.deepcopy(self.before[step]).double().requires_grad_(True)
        if net.embed is not None:
            net.embed.sparse = False
        owned = dict(net.named_parameters())
        grads = torch.autograd.grad(self.loss(net, step), [owned[name] for name in names], allow_unused=True)
        return [np.zeros(1) if g is None else g.numpy() for g in grads]


def same(kept, seen, names):
    """Both ways to watch share their parts: the numbers are the same, up to the order of sums."""
    assert [word for word in kept.words if word[1] not in ("order", "activations", "left out")] == []
    assert kept.steps == list(seen.recording.steps)
    assert kept.watching.done == STEPS
    assert kept.losses == pytest.approx(seen.recording.losses, rel=1e-12, abs=0)
    layers = {layer: position for position, layer in enumerate(kept.layers)}
    found = [(layers[n.removesuffix(".weight")], i) for i, n in enumerate(names) if n.removesuffix(".weight") in layers]
    assert len(found) >= 3
    for stat in ("gradient_norm", "weight_norm", "update_norm", "gradient_nonfinite"):
        ours, theirs = kept.array(stat), seen.recording.array(stat)
        for here, there in found:
            assert ours[:, here] == pytest.approx(theirs[:, there], rel=1e-12, abs=0, nan_ok=True)


def check(name, case, step_of, names, *, max_norm=None, value=None, frozen=(), at_step=1.0, relative=RELATIVE):
    """Train, compare every number of every step with the truth, and enter the largest deviations into the table.

    at_step: what the clipped gradients are multiplied by where the step reads them; None: not to be compared.
    """
    owned = dict(case.net.named_parameters())
    everyone = [n for n, p in owned.items() if p.requires_grad]
    seen = case.train(step_of, [owned[n] for n in names])
    left = {n: [norm for which, norm in seen.clips.left if which == id(owned[n])] for n in names}
    worst = dict.fromkeys(("raw gradient", "clipped gradient", "update", "weight norm"), 0.0)
    for step in range(STEPS):
        gradients = dict(zip(everyone, case.true_gradients(step, everyone), strict=True))
        total = np.sqrt(sum(np.sum(g**2) for g in gradients.values()))
        factor = min(1.0, max_norm / (total + 1e-6)) if max_norm else 1.0
        before, after = (dict(nets[step].named_parameters()) for nets in (case.before, case.after))
        for position, n in enumerate(names):
            earlier, later = (net[n].detach().double().numpy() for net in (before, after))
            _compare(worst, "weight norm", seen.row("weight_norm", step)[position], np.linalg.norm(earlier))
            _compare(worst, "update", seen.row("update_norm", step)[position], np.linalg.norm(later - earlier))
            if n in frozen:
                continue
            _compare(worst, "raw gradient", seen.row("gradient_norm", step)[position], np.linalg.norm(gradients[n]))
            if at_step is not None:
                applied = gradients[n] * factor if value is None else np.clip(gradients[n], -value, value)
                _compare(worst, "clipped gradient", left[n][step], np.linalg.norm(applied) * at_step)
    if at_step is None:
        del worst["clipped gradient"]
    TABLE[name] = worst
    assert max(worst.values()) < relative, worst
    assert seen.recording.total_steps == STEPS
    assert seen.recording.steps == tuple(range(STEPS))
    return seen


def _compare(worst, column, measured, true):
    deviation = abs(measured - true) / true if true else abs(measured)
    worst[column] = max(worst[column], deviation if np.isfinite(measured) else np.inf)


KERNELS = ("first.weight", "hidden.weight", "head.weight")


def plain(case, opt):
    def step(i):
        opt.zero_grad()
        case.loss(case.net, i).backward()
        opt.step()

    return step


@pytest.mark.parametrize("family", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam", "Adamax"])
def test_plain(family):
    case = Case()
    opt = getattr(torch.optim, family)(case.net.parameters(), lr=0.05)
    seen = check(f"plain {family}", case, plain(case, opt), KERNELS)
    expected = [case.loss(net, i).item() for i, net in enumerate(case.before)]
    assert seen.recording.losses == pytest.approx(expected, rel=1e-6, abs=0)


def accumulated(case, opt, parts=4, scaler=None, max_norm=None, value=None, unscale=True):
    size = SAMPLES // parts

    def step(i):
        opt.zero_grad()
        for part in range(parts):
            loss = case.loss(case.net, i, slice(part * size, (part + 1) * size)) / parts
            (scaler.scale(loss) if scaler else loss).backward()
        if scaler and unscale:
            scaler.unscale_(opt)
        if max_norm:
            nn.utils.clip_grad_norm_(case.net.parameters(), max_norm)
        if value:
            nn.utils.clip_grad_value_(case.net.parameters(), value)
        if scaler:
            scaler.step(opt)
            scaler.update()
        else:
            opt.step()

    return step


def scaler(**options):
    return torch.amp.GradScaler("cpu", init_scale=65536.0, **options)


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation(parts):
    case = Case()
    opt = torch.optim.AdamW(case.net.parameters(), lr=0.01)
    seen = check(f"accumulation x{parts}", case, accumulated(case, opt, parts), KERNELS)
    expected = [case.loss(net, i).item() for i, net in enumerate(case.before)]
    assert seen.recording.losses == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscale", [False, True])
def test_gradient_scaler(fused, unscale):
    case = Case()
    opt = torch.optim.Adam(case.net.parameters(), lr=0.01, fused=fused)
    name = f"GradScaler{' fused' if fused else ''}{', unscale_' if unscale else ''}"
    at_step = 65536.0 if fused and not unscale else 1.0  # a fused optimizer unscales in its own kernel
    seen = check(name, case, accumulated(case, opt, 1, scaler(), unscale=unscale), KERNELS, at_step=at_step)
    expected = [case.loss(net, i).item() for i, net in enumerate(case.before)]
    assert seen.recording.losses == pytest.approx(expected, rel=1e-6, abs=0)


def test_clipping_by_norm():
    case = Case()
    opt = torch.optim.SGD(case.net.parameters(), lr=0.1)
    seen = check("clip_grad_norm_", case, accumulated(case, opt, 1, max_norm=0.01), KERNELS, max_norm=0.01)
    assert list(seen.clips.words) == ["norm 0.01"]


def test_clipping_by_norm_that_takes_nothing():
    case = Case()
    opt = torch.optim.SGD(case.net.parameters(), lr=0.1)
    check("clip_grad_norm_, too wide to bind", case, accumulated(case, opt, 1, max_norm=1e6), KERNELS, max_norm=1e6)


def test_clipping_by_value():
    case = Case()
    opt = torch.optim.SGD(case.net.parameters(), lr=0.1)
    seen = check("clip_grad_value_", case, accumulated(case, opt, 1, value=0.01), KERNELS, value=0.01)
    assert list(seen.clips.words) == ["value 0.01"]


@pytest.mark.parametrize("fused", [False, True])
def test_the_three_together(fused):
    case = Case()
    opt = torch.optim.AdamW(case.net.parameters(), lr=0.01, fused=fused)
    step = accumulated(case, opt, 4, scaler(), max_norm=0.01)
    check(f"x4, GradScaler{' fused' if fused else ''}, clip", case, step, KERNELS, max_norm=0.01)


def test_clipping_before_unscaling():
    case = Case()
    opt = torch.optim.AdamW(case.net.parameters(), lr=0.01)
    step = accumulated(case, opt, 4, scaler(), max_norm=0.01, unscale=False)
    check("x4, GradScaler, clip of scaled", case, step, KERNELS, at_step=None)


def test_lbfgs():
    case = Case()
    opt = torch.optim.LBFGS(case.net.parameters(), lr=0.1, max_iter=4)
    evaluations = []

    def step(i):
        def closure():
            opt.zero_grad()
            loss = case.loss(case.net, i)
            loss.backward()
            evaluations.append(i)
            return loss

        opt.step(closure)

    seen = check("LBFGS", case, step, KERNELS)
    assert len(evaluations) > STEPS
    expected = [case.loss(net, i).item() for i, net in enumerate(case.before)]
    assert seen.recording.losses == pytest.approx(expected, rel=1e-6, abs=0)


def test_optimizer_in_backward():
    case = Case()
    optimizers = {p: torch.optim.Adam([p], lr=0.01, foreach=False) for p in case.net.parameters()}

    def in_backward(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for p in case.net.parameters():
        p.register_post_accumulate_grad_hook(in_backward)
    check("optimizer in backward", case, lambda i: case.loss(case.net, i).backward(), KERNELS)


def test_tied_parameters():
    case = Case(tied=True)
    opt = torch.optim.SGD(case.net.parameters(), lr=0.1)
    check("tied", case, plain(case, opt), KERNELS)


def test_frozen_parameters():
    case = Case()
    case.net.first.weight.requires_grad_(False)
    opt = torch.optim.SGD([p for p in case.net.parameters() if p.requires_grad], lr=0.1)
    seen = check("frozen", case, plain(case, opt), KERNELS, frozen=("first.weight",))
    assert np.isnan(seen.row("gradient_norm")[0])
    assert seen.row("update_norm")[0] == 0


def test_sparse_parameters():
    case = Case(sparse=True)
    sparse = torch.optim.SparseAdam([case.net.embed.weight], lr=0.01)
    dense = torch.optim.SGD([p for n, p in case.net.named_parameters() if n != "embed.weight"], lr=0.1)

    def step(i):
        case.net.zero_grad()
        case.loss(case.net, i).backward()
        sparse.step()
        dense.step()

    check("sparse embedding, two optimizers", case, step, ("embed.weight", *KERNELS))


def test_two_optimizers():
    case = Case()
    body = torch.optim.Adam([*case.net.first.parameters(), *case.net.hidden.parameters(), *case.net.again.parameters()])
    head = torch.optim.SGD(case.net.head.parameters(), lr=0.1)

    def step(i):
        case.net.zero_grad()
        case.loss(case.net, i).backward()
        body.step()
        head.step()

    check("two optimizers", case, step, KERNELS)


def test_half_precision_parameters():
    case = Case()
    case.net.bfloat16()
    opt = torch.optim.SGD(case.net.parameters(), lr=0.1)
    truth: list[dict[str, np.ndarray]] = []

    def step(i):
        opt.zero_grad()
        case.loss(case.net, i).backward()
        truth.append({n: p.grad.double().numpy() for n, p in case.net.named_parameters()})
        opt.step()

    owned = dict(case.net.named_parameters())
    seen = case.train(step, [owned[n] for n in KERNELS])
    worst = dict.fromkeys(("raw gradient", "clipped gradient", "update", "weight norm"), 0.0)
    for i in range(STEPS):
        for position, n in enumerate(KERNELS):
            earlier, later = (
                dict(m.named_parameters())[n].detach().double().numpy() for m in (case.before[i], case.after[i])
            )
            _compare(worst, "raw gradient", seen.row("gradient_norm", i)[position], np.linalg.norm(truth[i][n]))
            _compare(worst, "clipped gradient", seen.row("gradient_norm", i)[position], np.linalg.norm(truth[i][n]))
            _compare(worst, "update", seen.row("update_norm", i)[position], np.linalg.norm(later - earlier))
            _compare(worst, "weight norm", seen.row("weight_norm", i)[position], np.linalg.norm(earlier))
    TABLE["bfloat16 parameters"] = worst
    assert max(worst.values()) < RELATIVE


def test_the_table(capsys):
    """Print what the tests above measured: the largest relative deviation over three steps and all kernels."""
    columns = ("raw gradient", "clipped gradient", "update", "weight norm")
    with capsys.disabled():
        print(f"\n{'largest relative deviation':36}" + "".join(f"{column:>18}" for column in columns))
        for name, worst in TABLE.items():
            numbers = [f"{worst[column]:.1e}" if column in worst else "-" for column in columns]
            print(f"{name:36}" + "".join(f"{number:>18}" for number in numbers))
    assert TABLE
