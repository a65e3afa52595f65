"""GF305 and GF402: what half precision loses, of the updates and of the gradient."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules import gf305_update_lost_to_rounding as gf305
from unvanish.rules import gf402_gradient_underflows_dtype as gf402
from unvanish.testing.specimen_edits import edit_profiles
from unvanish.testing.specimens import SPECIMENS


def finding(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Finding), verdict
    return verdict


def with_dtype(seen: Observation, dtype: str) -> Observation:
    parameters = tuple(replace(parameter, dtype=dtype) for parameter in seen.network.parameters)
    return replace(seen, network=replace(seen.network, parameters=parameters))


def test_lost_updates_are_told_with_what_loses_them() -> None:
    found = finding(gf305.judge(SPECIMENS["bfloat16_weights"]()))
    assert (found.severity, found.verdict) == ("warning", None)
    assert found.evidence["update_rms"] == pytest.approx(2e-4, rel=1e-3, abs=0)  # Adam: the rate, epsilon aside
    assert found.evidence["significant_bits"] == 8
    assert found.evidence["lost_share"] > 0.5
    assert "bfloat16 weights of 0.15 lie 1e-3 apart" in found.why
    learns = finding(gf305.judge(SPECIMENS["bfloat16_weights_that_learn"]()))
    assert learns.severity == "note"


@pytest.mark.parametrize(("rate", "lost"), [(1e-3, False), (6e-4, False), (2e-4, True), (5e-5, True)])
def test_the_step_decides(rate: float, lost: bool) -> None:
    seen = SPECIMENS["bfloat16_weights"]()
    verdict = gf305.judge(replace(seen, optimizer=replace(seen.optimizer, learning_rate=rate)))
    assert isinstance(verdict, Finding) == lost


def test_eight_times_as_many_numbers_hold_eight_times_smaller_updates() -> None:
    """float16 has three bits more than bfloat16."""
    seen = with_dtype(SPECIMENS["bfloat16_weights"](), "float16")
    coarse = finding(gf305.judge(SPECIMENS["bfloat16_weights"]()))
    assert isinstance(gf305.judge(seen), Clear)
    fine = finding(gf305.judge(replace(seen, optimizer=replace(seen.optimizer, learning_rate=2e-4 / 8))))
    assert fine.evidence["lost_share"] == pytest.approx(coarse.evidence["lost_share"], rel=0.02, abs=0)


def test_entries_without_a_gradient_have_no_update_to_lose() -> None:
    """Of three quarters that are zero the others carry twice the RMS."""
    seen = edit_profiles(SPECIMENS["bfloat16_weights"](), lambda _, x: replace(x, gradient_zero_share=0.75))
    found = gf305.judge(seen)
    assert found.evidence["update_rms"] == pytest.approx(4e-4, rel=1e-3, abs=0)


def test_without_dtypes_or_steps_nothing_is_said_of_rounding() -> None:
    seen = SPECIMENS["bfloat16_weights"]()
    unknown = replace(seen, network=replace(seen.network, parameters=()))
    assert isinstance(gf305.judge(unknown), Undecided)
    silent = edit_profiles(seen, lambda _, x: replace(x, gradient_rms=0.0, gradient_norm=0.0))
    silent = replace(silent, recording=replace(silent.recording, steps=(), losses=(), rows={}))
    assert isinstance(gf305.judge(silent), Undecided)


def test_underflow_is_told_with_the_smallest_number() -> None:
    found = finding(gf402.judge(SPECIMENS["float16_underflow"]()))
    assert (found.severity, found.verdict) == ("warning", None)
    assert found.evidence["layers_affected"] == 12
    assert found.evidence["layers_zero"] == 4
    assert found.evidence["smallest_number"] == float(np.finfo(np.float16).smallest_subnormal)
    assert found.cures[0].name == "scale-loss"


def test_the_share_that_is_kept_bounds_what_rounding_leaves() -> None:
    """Of numbers of any distribution, rounded by numpy: a quarter at most where their RMS is half the smallest one."""
    r = np.random.default_rng(0)
    for drawn in (r.normal(size=100_000), r.laplace(size=100_000), r.standard_t(3, size=100_000)):
        for scale in (1e-8, 2e-8, 3e-8):
            kept = (drawn * scale).astype(np.float16).astype(np.float64)
            rms = math.sqrt(np.mean(kept**2))
            assert np.mean(kept != 0) <= (rms / gf402.SMALLEST) ** 2 * (1 + 1e-9)


@pytest.mark.parametrize(("rms", "expected"), [(2.9e-8, Finding), (3.1e-8, Clear)])
def test_half_of_the_smallest_number_is_the_limit(rms: float, expected: type[Verdict]) -> None:
    seen = SPECIMENS["float16_in_range"]()
    edited = edit_profiles(seen, lambda _, x: replace(x, preactivation_gradient_rms=rms))
    assert isinstance(gf402.judge(edited), expected)


def test_exact_zeros_alone_are_not_underflow() -> None:
    """A path that is cut leaves zeros before it, and healthy gradients behind it."""
    seen = SPECIMENS["float16_in_range"]()
    cut = edit_profiles(seen, lambda i, x: replace(x, preactivation_gradient_rms=0.0) if i < 9 else x)
    assert isinstance(gf402.judge(cut), Clear)


@pytest.mark.parametrize(("rms", "expected"), [(5.9e-8, Finding), (6.0e-8, Clear)])
def test_zeros_behind_the_smallest_numbers_are_underflow(rms: float, expected: type[Verdict]) -> None:
    seen = SPECIMENS["float16_in_range"]()
    zeros = edit_profiles(seen, lambda i, x: replace(x, preactivation_gradient_rms=0.0 if i < 9 else rms))
    verdict = gf402.judge(zeros)
    assert isinstance(verdict, expected)
    if isinstance(verdict, Finding):
        assert "exactly zero behind" in verdict.why


def test_gradients_that_were_not_measured_are_undecided() -> None:
    seen = SPECIMENS["float16_in_range"]()
    unseen = edit_profiles(seen, lambda _, x: replace(x, preactivation_gradient_rms=None))
    assert isinstance(gf402.judge(unseen), Undecided)
