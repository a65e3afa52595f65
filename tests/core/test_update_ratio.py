import numpy as np
import pytest

from unvanish.core.measures.update_ratio import update_ratio


def test_ratio_of_norms_entry_by_entry() -> None:
    found = update_ratio(np.array([[1e-3, 2.0], [0.0, 3e-12]]), np.array([[1.0, 4.0], [2.0, 3.0]]))
    assert found == pytest.approx(np.array([[1e-3, 0.5], [0.0, 1e-12]]), rel=1e-12, abs=0)


def test_weights_that_are_zero_have_no_ratio() -> None:
    found = update_ratio(np.array([1.0, 1.0]), np.array([0.0, 2.0]))
    assert np.isnan(found[0])
    assert found[1] == 0.5


def test_nothing_is_changed() -> None:
    update, weight = np.ones(3), np.full(3, 2.0)
    update_ratio(update, weight)
    assert update.tolist() == [1.0] * 3
    assert weight.tolist() == [2.0] * 3


@pytest.mark.filterwarnings("error")
def test_what_is_infinite_has_no_ratio_and_warns_of_nothing() -> None:
    assert np.isnan(update_ratio(np.array([np.inf]), np.array([np.inf]))).all()
    assert update_ratio(np.array([1e300]), np.array([1e-300])).tolist() == [np.inf]
