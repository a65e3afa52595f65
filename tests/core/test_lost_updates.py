"""The share of updates that rounding loses, beside numpy's own rounding of drawn numbers."""

import numpy as np
import pytest

from unvanish.core.measures.lost_updates import lost_share

DRAWN = 400_000


def drawn_share(weight: float, update: float, bits: int) -> float:
    """Return the share of drawn float64 pairs for which the sum, rounded to so many bits, is the rounded weight."""
    r = np.random.default_rng(0)
    w = rounded(r.normal(0, weight, DRAWN), bits)
    return float(np.mean(rounded(w + r.normal(0, update, DRAWN), bits) == w))


def rounded(x: np.ndarray, bits: int) -> np.ndarray:
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", 8), ("float16", 11), ("float32", 24)])
@pytest.mark.parametrize("relative", [0.05, 0.25, 1.0, 4.0])
def test_the_share_is_that_of_drawn_numbers(dtype: str, bits: int, relative: float) -> None:
    update = relative * 0.18 * 2.0**-bits
    share = lost_share(0.18, update, dtype)
    assert share == pytest.approx(drawn_share(0.18, update, bits), rel=0.01, abs=0)


def test_numpys_own_float16_agrees() -> None:
    r = np.random.default_rng(1)
    w = r.normal(0, 0.2, DRAWN).astype(np.float16)
    after = (w.astype(np.float64) + r.normal(0, 5e-5, DRAWN)).astype(np.float16)
    assert lost_share(0.2, 5e-5, "float16") == pytest.approx(float(np.mean(after == w)), rel=0.01, abs=0)


def test_the_ends() -> None:
    assert lost_share(0.2, 0.0, "bfloat16") == 0.0
    assert lost_share(0.0, 1e-3, "bfloat16") == 0.0
    assert lost_share(0.2, 1e-12, "bfloat16") == pytest.approx(1.0, rel=1e-6, abs=0)
    assert lost_share(0.2, 1e-3, "int8") is None
