"""`unvanish.watch(model, stop_on="error")` leaves the loop at the first error that is found in it."""

import copy
import time

import pytest
import torch

import unvanish
from unvanish.errors import UsageError

pytestmark = pytest.mark.torch
PLANNED = 20_000


def trained(model, spoilt_at, steps=PLANNED, **settings):
    """Return the watch, and how many steps were taken within its context."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    generator, taken = torch.Generator().manual_seed(7), 0
    with unvanish.watch(model, **settings) as watch:
        for step in range(steps):
            x = torch.randn(4, 6, generator=generator)
            if step == spoilt_at:
                x[0] = torch.nan
            loss = torch.nn.functional.mse_loss(model(x), x[:, :1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            taken += 1
            if step > (spoilt_at or 0):
                time.sleep(1e-3)  # as a step that is worth watching takes
    return watch, taken


def network(activation=torch.nn.Tanh, layers=1):
    torch.manual_seed(1)
    hidden = [part for _ in range(layers) for part in (torch.nn.Linear(6, 6), activation())]
    return torch.nn.Sequential(*hidden, torch.nn.Linear(6, 1))


@pytest.mark.parametrize("every", [1, "auto"])
def test_the_loop_is_left_soon_after_a_value_that_is_no_number(every, tmp_path, capsys):
    watch, taken = trained(network(), 9, every=every, stop_on="error", folder=tmp_path)
    assert 10 <= taken < PLANNED
    stopped = [event for event in watch.recording.events if event.kind == "stopped"]
    assert len(stopped) == 1
    assert stopped[0].step >= 9
    assert "the training is stopped" in capsys.readouterr().err


def test_it_is_left_at_what_a_rule_finds_and_no_step_is_half_taken(tmp_path):
    model = network(torch.nn.Sigmoid, 11)
    plain = copy.deepcopy(model)
    watch, taken = trained(model, None, every=1, stop_on="error", folder=tmp_path)
    assert taken < PLANNED
    assert watch.recording.total_steps == taken
    trained(plain, None, steps=taken, every=1, folder=tmp_path)
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_it_the_loop_goes_on(tmp_path):
    assert trained(network(), 3, steps=20, every=1, folder=tmp_path)[1] == 20


def test_what_the_loop_raises_by_itself_is_raised(tmp_path):
    with pytest.raises(ZeroDivisionError), unvanish.watch(network(), stop_on="error", folder=tmp_path):
        _ = 1 / 0


def test_a_training_can_be_stopped_on_an_error_alone():
    with pytest.raises(UsageError, match="stop_on=True"):
        unvanish.watch(network(), stop_on=True)
