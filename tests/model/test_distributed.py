"""Two processes do what one does with the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from crs_lite.model import distributed

TESTS = Path(__file__).resolve().parents[1]
# "--multi_gpu" is accelerate's word for one torch process per worker; without a GPU they talk by gloo.
LAUNCH = (
    "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no "
    "--dynamo_backend no --main_process_port 0"
).split()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """(log, weights) of one process that accumulates two batches a step, and of two processes that take one each."""
    out = []
    for name, launch, accumulate in (("one", [], "2"), ("two", LAUNCH, "1")):
        folder = tmp_path_factory.mktemp(name)
        command = [sys.executable, *launch, str(TESTS / "two_processes.py"), str(folder), accumulate]
        environment = {
            **os.environ,
            "PYTHONPATH": str(TESTS.parent),
            "OMP_NUM_THREADS": "1",
            "ACCELERATE_USE_CPU": "true",
            "CUDA_VISIBLE_DEVICES": "",
        }
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        out.append(
            (json.loads((folder / "log.json").read_text(encoding="utf-8")), load_file(folder / "weights.safetensors"))
        )
    return out


@pytest.mark.slow
def test_sft_has_the_same_loss_curve(both):
    (one, one_weights), (two, two_weights) = both
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["loss"]) > 10 and one["loss"][-1] < one["loss"][0]
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
    for name, w in one_weights.items():
        if name.startswith("sft"):
            assert (w - two_weights[name]).norm() <= 1e-3 * w.norm(), name


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["grpo", "dapo", "dr_grpo"])
def test_rl_has_the_same_gradient(both, loss):
    (_, one), (_, two) = both
    names = [name for name in one if name.startswith(f"{loss} ")]
    scale = max(one[name].norm() for name in names)
    assert scale > 0
    for name in names:
        assert (one[name] - two[name]).norm() <= 1e-5 * scale, name


def test_one_process_is_the_first_and_waits_for_nobody():
    distributed.start()
    distributed.wait()
    assert (distributed.process_number(), distributed.n_processes()) == (0, 1)
    value = torch.tensor([1.0, 2.0])
    assert distributed.process_mean(value) is value


def test_gradients_become_their_mean_over_all_processes(monkeypatch):
    """A second process has twice our gradients; a weight without one counts as zero, a frozen one stays as it is."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.Linear(1, 1, bias=False))
    frozen = torch.nn.Parameter(torch.ones(1), requires_grad=False)
    model.register_parameter("frozen", frozen)
    model[0].weight.grad = torch.tensor([[2.0, 4.0]])
    monkeypatch.setattr(distributed, "n_processes", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda value: value.add_(2 * value))
    distributed.average_gradients(model)
    assert model[0].weight.grad.tolist() == [[3.0, 6.0]]
    assert model[1].weight.grad.tolist() == [[0.0]] and frozen.grad is None
