"""A training of two processes whose gradients are averaged: each of them sees what one process would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.torch, pytest.mark.soak]

PROGRAM = """
import json, sys
import torch
import torch.distributed as dist
from torch import nn
import torch.distributed.fsdp
import unvanish

rank, size, folder, watched = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4] == "watched"
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
x, y = torch.randn(5, 16, 6), torch.randn(5, 16, 1)
model, sharded = net, sys.argv[5] == "sharded"
if size > 1:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{watched}-{sharded}", rank=rank, world_size=size)
    model = torch.distributed.fsdp.fully_shard(net) if sharded else nn.parallel.DistributedDataParallel(net)
opt = torch.optim.Adam(model.parameters(), lr=0.05)
part = slice(rank * 16 // size, (rank + 1) * 16 // size)

def train():
    for step in range(5):
        opt.zero_grad()
        nn.functional.mse_loss(model(x[step][part]), y[step][part]).backward()
        opt.step()

facts = {}
if watched:
    with unvanish.watch(model, every=1 + rank, folder=f"{folder}/{rank}") as watch:
        train()
    recording = watch.recording
    stats = {stat: recording.array(stat).tolist() for stat in ("gradient_norm", "update_norm", "weight_norm")}
    words = [event.kind for event in recording.events]
    facts = {"words": words, "steps": recording.steps, "layers": recording.layers, "stats": stats}
else:
    train()
facts["weights"] = [(p.full_tensor() if sharded else p).tolist() for p in net.parameters()]
print(json.dumps(facts))
if size > 1:
    dist.destroy_process_group()
"""


def run(folder: Path, size: int, watched: str, form: str = "whole") -> list[dict[str, object]]:
    """Return what each of so many processes printed."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    started = [
        subprocess.Popen(
            [sys.executable, str(program), str(rank), str(size), str(folder), watched, form],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    return [json.loads(process.communicate(timeout=300)[0].splitlines()[-1]) for process in started]


def test_two_processes_see_the_gradient_of_the_whole_batch(tmp_path):
    """One samples every step, the other every second: nothing that they do has to be agreed on."""
    (alone,) = run(tmp_path, 1, "watched")
    plain, seen = run(tmp_path, 2, "plain"), run(tmp_path, 2, "watched")
    assert [facts["weights"] for facts in seen] == [facts["weights"] for facts in plain]
    assert [facts["steps"] for facts in seen] == [[0, 1, 2, 3, 4], [0, 2, 4]]
    for rank, facts in enumerate(seen):
        assert facts["layers"] == alone["layers"] == ["0", "2", "4"]
        for stat, rows in facts["stats"].items():
            expected = np.array(alone["stats"][stat])[:: 1 + rank]
            assert np.array(rows) == pytest.approx(expected, rel=1e-4, abs=0), stat


def test_of_a_model_that_is_shared_out_each_process_sees_its_part(tmp_path):
    """Nobody waits for anybody: one samples every step, the other every second. The parts make the whole."""
    (alone,) = run(tmp_path, 1, "watched")
    plain, seen = run(tmp_path, 2, "plain", "sharded"), run(tmp_path, 2, "watched", "sharded")
    assert [facts["weights"] for facts in seen] == [facts["weights"] for facts in plain]
    assert [facts["words"] for facts in seen] == [["order", "activations", "shard"]] * 2
    for stat, rows in alone["stats"].items():
        parts = [np.array(facts["stats"][stat]) for facts in seen]
        together = np.hypot(parts[0][::2], parts[1])
        assert together == pytest.approx(np.array(rows)[::2], rel=1e-4, abs=0), stat
