"""Every awkward model gets its verdict, keeps its values, and is left without a trace."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import awkward_torch  # noqa: E402

import unvanish  # noqa: E402

ZOO = awkward_torch.ZOO


def state(model):
    """Return everything of the model that a check must not change, as comparable values."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        {name: value.clone() for name, value in model.state_dict(keep_vars=False).items() if torch.is_tensor(value)},
        {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()},
        {name: (m.training, *(len(getattr(m, hook, ())) for hook in hooks)) for name, m in model.named_modules()},
        torch.get_rng_state(),
    )


def assert_same(before, after):
    for name, value in before[0].items():
        assert torch.equal(value, after[0][name]), name
    assert before[1] == after[1]
    assert before[2] == after[2]
    assert torch.equal(before[3], after[3])


def test_the_zoo_is_large_enough_and_in_order():
    names = [awkward.build.__name__ for awkward in ZOO]
    assert len(names) >= 40
    assert names == sorted(set(names))


LAZY = ("layer_made_in_forward", "lazy_linear")
"""What these are after a first call, they cannot be before it."""


@pytest.mark.parametrize("awkward", ZOO, ids=lambda awkward: awkward.build.__name__)
def test_an_awkward_model_gets_its_verdict(awkward):
    torch.manual_seed(0)
    model, x, y, loss = awkward.build()
    lazy = awkward.build.__name__ in LAZY
    before = None if lazy else state(model)
    try:
        diagnosis = unvanish.check(model, x, y, loss=loss, steps=20)
    except unvanish.UnvanishError as error:
        word, text, codes = "refused", str(error), set()
        assert "found:" in text
        assert "try:" in text
    else:
        word, text, codes = diagnosis.verdict, str(diagnosis), {f.code for f in diagnosis.findings}
        known = [name for name, _ in model.named_parameters(remove_duplicate=False)]
        assert lazy or [p.name for p in diagnosis.network.parameters] == known
    assert word in awkward.verdict.split("|"), text
    assert not awkward.finding or awkward.finding in codes, text
    assert awkward.says in text
    if before is not None:
        assert_same(before, state(model))
