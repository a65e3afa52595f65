"""A look at half precision: weights in it, autocast, and norms that it could not hold itself."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from torch import nn  # noqa: E402

from unvanish.torch.look import Look  # noqa: E402


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_and_autocast(dtype: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 1))
    x = torch.rand(32, 20)
    with Look(model) as look:
        model(x).square().mean().backward()
    exact = look.profile(0, 0.0)
    with Look(model) as look:
        with torch.autocast("cpu", dtype=dtype):
            output = model(x)
        (output.float().square().mean() * 256.0).backward()
    cast = look.profile(0, 0.0, 256.0)
    assert look.not_checked == ()
    assert cast.dtype == str(dtype).removeprefix("torch.")
    half = model.to(dtype)
    with Look(half) as look:
        (half(x.to(dtype)).float().square().mean() * 256.0).backward()
    for layer in exact.layers[1:]:
        for other in (cast, look.profile(0, 0.0, 256.0)):
            found = other.layer(layer.name)
            assert found.output_gradient_norm == pytest.approx(layer.output_gradient_norm, rel=0.05, abs=0)
            if layer.gradient_norm is not None:
                assert found.gradient_norm == pytest.approx(layer.gradient_norm, rel=0.05, abs=0)


def test_the_norm_of_a_half_precision_gradient_does_not_overflow() -> None:
    """Squares of float16 numbers above 256 are beyond float16."""
    model = nn.Linear(4, 4).half()
    with Look(model) as look:
        (model(torch.ones(2, 4).half()) * 500).sum().backward()
    assert look.profile(0, 0.0).layer("linear").output_gradient_norm == pytest.approx(500 * 8**0.5, rel=1e-3, abs=0)
