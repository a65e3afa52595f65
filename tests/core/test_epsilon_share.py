import pytest

from unvanish.core.measures.epsilon_share import epsilon_share


@pytest.mark.parametrize(
    ("gradient", "share"), [(1e-7, 0.5), (1.8e-9, 0.98232), (1e-2, 9.9999e-6), (0.0, 1.0), (1e-12, 0.99999)]
)
def test_share_of_the_denominator(gradient: float, share: float) -> None:
    assert epsilon_share(gradient, 1e-7) == pytest.approx(share, rel=1e-5, abs=0)


def test_no_epsilon_no_share() -> None:
    assert epsilon_share(0.0, 0.0) == 0.0
    assert epsilon_share(1e-9, 0.0) == 0.0


def test_it_is_the_part_of_the_step_that_is_lost() -> None:
    gradient, epsilon = 3e-8, 1e-7
    kept = gradient / (gradient + epsilon)
    assert 1 - epsilon_share(gradient, epsilon) == pytest.approx(kept, rel=1e-12, abs=0)
