"""Contracts with PyTorch: each private name, and each public one whose use is less than obvious."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from torch import nn  # noqa: E402

import unvanish.torch  # noqa: E402
from unvanish.torch import compat  # noqa: E402
from unvanish.torch.look import Look  # noqa: E402

F = nn.functional


def test_the_room_of_the_same_name_does_not_hide_the_framework() -> None:
    assert torch.__file__ != unvanish.torch.__file__
    assert sys.modules["unvanish.torch.look"].torch is torch  # type: ignore[attr-defined]
    assert torch.tensor([1.0]).sum() == 1


def test_the_room_imports_no_compiler_and_no_other_framework() -> None:
    code = (
        "import sys, unvanish.torch.probe; "
        "print([m for m in ('torch._dynamo', 'keras', 'tensorflow', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_compiled_model_knows_its_original() -> None:
    model = nn.Linear(2, 2)
    assert compat.uncompiled(torch.compile(model)) is model
    assert compat.uncompiled(model) is model
    assert compat.compiler_is_loaded()


def test_views_know_their_base_and_tensors_their_version() -> None:
    x = torch.zeros(4)
    view = x.view(2, 2)
    assert compat.base_of(view) is x
    assert compat.base_of(x) is None
    before = compat.version_of(x)
    view.add_(1)
    assert compat.version_of(x) == before + 1


def test_the_opened_attention_is_the_attention() -> None:
    opened = compat.opened(F.multi_head_attention_forward)
    attention, x = nn.MultiheadAttention(8, 2), torch.randn(5, 3, 8)

    def run(function: Any) -> Any:
        return function(
            x, x, x, 8, 2, attention.in_proj_weight, attention.in_proj_bias, None, None, False, 0.0,
            attention.out_proj.weight, attention.out_proj.bias,
        )[0]  # fmt: skip

    assert torch.equal(run(opened), run(F.multi_head_attention_forward))
    assert "has_torch_function" in F.multi_head_attention_forward.__code__.co_names


def test_a_hook_on_a_node_reads_and_changes_nothing() -> None:
    x = torch.randn(3, requires_grad=True)
    y = torch.sigmoid(x)
    seen: list[Any] = []
    first = y.grad_fn.register_prehook(lambda grads: seen.append(grads[0]))
    second = y.grad_fn.register_hook(lambda into, out: seen.append(into[0]))
    y.sum().backward()
    assert torch.equal(seen[0], torch.ones(3))
    assert torch.equal(seen[1], x.grad)
    for handle in (first, second):
        assert handle.hooks_dict_ref() is not None
        handle.remove()


def test_a_transformer_keeps_its_fast_path_in_inference() -> None:
    """It is left when the layer itself has hooks; ours are on the root alone, and only around its training pass."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(layer).eval()
    x = torch.randn(3, 5, 8)
    with torch.no_grad():
        plain = model(x)
        with Look(model):
            assert torch.equal(model(x), plain)


def test_leaving_removes_every_hook_from_the_graph_too() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    x = torch.randn(2, 4)
    with Look(model) as look:
        loss = model(x).sum()
    loss.backward()
    assert look.not_checked == ("no backward pass of the model was seen",)
    assert look.profile(0, 0.0).layer("0").output_gradient_norm is None


def test_clipping_goes_through_the_functions_that_are_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """`clip_grad_norm_` looks its helper up by name at every call, also where it was imported earlier."""
    from torch.nn.utils import clip_grad_norm_

    called: list[str] = []
    owner, name = compat.CLIP_BY_NORM[0]
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **kwargs: (called.append(name), original(*args, **kwargs)))
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.full((3,), 2.0)
    clip_grad_norm_([weight], 0.5)
    assert called == [name]
    assert float(weight.grad.norm()) == pytest.approx(0.5, rel=1e-5, abs=0)


@pytest.mark.parametrize(("owner", "name"), [*compat.CLIP_BY_NORM, *compat.CLIP_BY_VALUE])
def test_the_clipping_functions_are_where_they_are_wrapped(owner: Any, name: str) -> None:
    assert callable(vars(owner)[name])


def test_what_all_batch_normalisations_are() -> None:
    kinds = (nn.BatchNorm1d(2), nn.BatchNorm2d(2), nn.BatchNorm3d(2), nn.SyncBatchNorm(2), nn.LazyBatchNorm1d())
    assert all(isinstance(module, compat.BATCH_NORM) for module in kinds)
    assert not isinstance(nn.LayerNorm(2), compat.BATCH_NORM)


def test_a_layer_of_keras_is_told_from_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    monkeypatch.delitem(sys.modules, "keras", raising=False)
    assert not compat.belongs_to_keras(nn.Linear(2, 2))
    keras = types.ModuleType("keras")
    keras.Layer = nn.Linear  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras", keras)
    assert compat.belongs_to_keras(nn.Linear(2, 2))
    assert not compat.belongs_to_keras(nn.ReLU())


def test_global_optimizer_hooks_may_give_other_arguments() -> None:
    """A step that is given a closure has that closure replaced by the hook."""
    from unvanish.torch.hooks import Hooks

    weight, order = nn.Parameter(torch.ones(1)), []
    optimizer = torch.optim.LBFGS([weight], max_iter=2)

    def closure() -> torch.Tensor:
        order.append("closure")
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss

    with Hooks(lambda _: order.append("before"), lambda _: order.append("after")):
        optimizer.step(closure)
        optimizer.step(closure=closure)
    assert order[:2] == ["closure", "before"]
    assert order.count("before") == order.count("after") == 2


def test_making_an_optimizer_imports_the_compiler() -> None:
    """So that its import says nothing about what a training compiles."""
    code = (
        "import sys, torch; torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1); "
        "from unvanish.torch import compat; print(compat.compiler_is_loaded(), compat.compiler_at_work())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_what_is_compiled_is_known() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert not compat.holds_compiled(model)
    assert compat.holds_compiled(torch.compile(model))
    assert compat.holds_compiled(nn.Sequential(torch.compile(model)))
    model[1].compile()
    assert compat.holds_compiled(model)


def test_a_function_that_the_compiler_passes_by() -> None:
    seen: list[Any] = []

    def inner(x: Any) -> Any:
        return x * 2

    def outer(x: Any) -> Any:
        seen.append(compat.compiler_at_work())
        return inner(x) + 1

    compat.passed_by(outer)
    graphs: list[Any] = []
    fast = torch.compile(outer, backend=lambda graph, _: graphs.append(graph) or graph.forward)
    assert float(fast(torch.ones(()))) == 3
    assert seen == [True]
    assert [node.target.__name__ for node in graphs[0].graph.nodes if node.op == "call_function"] == ["mul"]
    torch._dynamo.reset()


def test_norms_of_many_tensors_at_once() -> None:
    tensors = [torch.tensor([3.0, 4.0]), torch.tensor([[5.0, 12.0]])]
    assert [float(n) for n in compat.foreach_norm(tensors)] == [5.0, 13.0]
    wide = compat.foreach_norm([t.bfloat16() for t in tensors], torch.float64)
    assert [(n.dtype, float(n)) for n in wide] == [(torch.float64, 5.0), (torch.float64, 13.0)]
    assert compat.foreach_norm([]) == []


def test_that_anything_was_compiled_is_known() -> None:
    """Making an optimizer compiles nothing; torch.compile counts by whatever name, until the compiler is reset."""
    torch._dynamo.reset()
    weight = nn.Parameter(torch.ones(1))
    torch.optim.SGD([weight], lr=0.1)
    with torch.compiler.set_stance("force_eager"):
        torch.compiler.disable(lambda: None)()
    assert not compat.anything_compiled()
    torch.compile(nn.ReLU(), backend="eager")
    assert compat.anything_compiled()
    torch._dynamo.reset()
    assert not compat.anything_compiled()
