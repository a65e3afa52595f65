"""What is typed nearly right is answered with what was meant."""

from pathlib import Path
from typing import Any

import pytest

from unvanish.cli.main import run
from unvanish.errors import UnvanishError, UsageError
from unvanish.rules.page import find
from unvanish.testing.diagnoses import sick

LOOP = """
import torch
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for step in range(60):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(torch.ones(8, 4)), torch.zeros(8, 1))
    loss.backward()
    optimizer.step()
    print("step", step, flush=True)
"""


def test_facts_are_no_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("facts.json", "facts.py"):
        facts = tmp_path / name
        facts.write_text(sick().to_json())
        assert run(["check", str(facts)]) == 2
        told = capsys.readouterr().err
        assert f"error: {name} is not a script" in told
        assert f"unvanish report {facts}" in told


@pytest.mark.parametrize(("typed", "meant"), [("vanish", "vanishing"), ("explode", "exploding"), ("gf10", "GF101")])
def test_a_word_that_is_nearly_a_verdict_or_a_rule_is_named(typed: str, meant: str) -> None:
    with pytest.raises(UsageError) as raised:
        find(typed)
    assert meant in raised.value.found
    assert raised.value.hint.startswith("unvanish explain ")


def test_a_command_that_is_nearly_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chek", "train.py"]) == 2
    assert "No such command 'chek'. Did you mean 'check'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x.html", "x.json", "x.txt"])
def test_a_report_that_cannot_be_written_says_so_in_four_parts(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as raised:
        sick().save(tmp_path / "nodir" / name)
    assert raised.value.what == f"cannot write {tmp_path / 'nodir' / name}"
    assert raised.value.found == "No such file or directory"
    assert raised.value.numbers == {"folder": tmp_path / "nodir"}
    assert "a folder that exists" in raised.value.hint


@pytest.mark.torch
def test_a_module_of_pytorch_is_refused_with_and_without_a_loss() -> None:
    torch = pytest.importorskip("torch")
    import unvanish

    x: Any = torch.zeros(64, 3)
    for more in ({}, {"loss": torch.nn.MSELoss()}, {"loss": "mse", "optimizer": None}):
        with pytest.raises(UnvanishError, match="cannot try cures on models of PyTorch"):
            unvanish.cure(torch.nn.Linear(3, 1), x, x[:, :1], **more)


@pytest.mark.torch
def test_a_loop_is_refused_after_its_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from unvanish.curing import cure_script
    from unvanish.trial.plan import Plan

    monkeypatch.chdir(tmp_path)
    script = tmp_path / "loop.py"
    script.write_text(LOOP)
    with pytest.raises(UnvanishError, match=r"cannot try cures on what loop\.py trains"):
        cure_script(script, plan=Plan(), progress=lambda *_: None)
    steps = (tmp_path / ".unvanish" / "loop" / "output.txt").read_text().count("step ")
    assert steps <= 1
