"""Two processes do what one does with the same global batch; a whole run goes through with both."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy
from safetensors.torch import load_file

from crs_lite.files import write_json_lines
from crs_lite.model import distributed
from crs_lite.study import results

TESTS = Path(__file__).resolve().parents[1]
# "--multi_gpu" is accelerate's word for one torch process per worker; without a GPU they talk by gloo.
LAUNCH = (
    "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no "
    "--dynamo_backend no --main_process_port 0"
).split()


WAYS = {"one": ([], "2"), "two": (LAUNCH, "1")}  # two processes do what one does that takes two batches a step


def start(launch: list[str], script: str, *words: str) -> str:
    """Run a script of this folder, alone or launched; returns what it printed."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, *launch, str(TESTS / script), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """(log, weights) of one process that accumulates two batches a step, and of two processes that take one each."""
    out = []
    for name, (launch, accumulate) in WAYS.items():
        folder = tmp_path_factory.mktemp(name)
        start(launch, "two_processes.py", str(folder), accumulate)
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


# -- a whole run --------------------------------------------------------------------------------------------

BUDGETS = (
    "hidden=32 layers=1 vocab=400 context_budget=200 sid_sizes=4,4,4 train_requests=400 align_item_epochs=8 "
    "align_context_epochs=4 batch_tokens=600 distil_requests=0 sft_epochs=3 rl_steps=2 rl_prompts=4 rl_group=3 "
    "rl_beams=5 collect_requests=120 collect_samples=6 max_reasoning=40 valid_requests=20 eval_requests=20 "
    "intervened=4 teacher=hindsight"
).split()
TRAINED = ("align", "direct", "distil", "round0-rgrpo", "round0-sft", "round0-sft-from-rl")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """name -> (run folder, notes of the processes, what was printed): ids, align, distil, RL, consolidation, scores."""
    out, log = {}, toy.toy_log(40, 12)
    files = tmp_path_factory.mktemp("files")
    rows = {
        "items": [{"item_id": i.key, "title": i.title, "brand": i.brand, "category": i.category} for i in log.items],
        "users": [{"user_id": u.key, **u.profile} for u in log.users],
        "searches": [
            {"user_id": log.users[r.user].key, "time": r.time, "query": r.query, "place": r.place, "split": r.split,
             "shown": [log.items[i].key for i in r.shown], "clicked": [log.items[i].key for i in r.clicked]}
            for r in log.requests
        ],
    }  # fmt: skip
    words = ["run", "--profile", "smoke", "--log", "mylog"]
    for option, of in rows.items():
        write_json_lines(files / f"{option}.jsonl", of)
        words += [f"--{option}", str(files / f"{option}.jsonl")]
    for name, (launch, accumulate) in WAYS.items():
        notes = tmp_path_factory.mktemp(name)
        folder = notes / "run"
        folder.mkdir()
        toy.shipped_vectors(folder / "embeddings-minilm.safetensors", log)
        said = start(launch, "one_of_two.py", str(notes), accumulate, *words, "--out", str(folder), "--set", *BUDGETS)
        out[name] = (folder, [f.read_text(encoding="utf-8") for f in sorted(notes.glob("weights-*.txt"))], said)
    return out


def manifest(folder: Path, stage: str) -> dict:
    return json.loads((folder / stage / "manifest.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_whole_run_goes_through_with_two_processes(runs):
    folder, notes, said = runs["two"]
    made = results.load(folder / "results.json")
    assert made["processes"] == 2 and [r["name"] for r in made["stages"]][-1] == "consolidation from RL"
    assert "processes" not in results.load(runs["one"][0] / "results.json")
    assert said.count("results: ") == 1  # one voice is enough
    assert all(manifest(folder, name)["processes"] == 2 for name in TRAINED)
    assert made["stage_info"]["round0-collect"]["kept"] > 0 and made["stage_info"]["round0-sft"]["examples"] > 0
    assert len(made["rl_steps"]) == 2
    assert not list(folder.glob("*.partial*"))


@pytest.mark.slow
def test_both_processes_hold_the_same_weights_after_every_stage(runs):
    """To the bit: who averages gradients must never drift apart."""
    first, second = runs["two"][1]
    assert [line.split()[0] for line in first.splitlines()] == ["backbone", *TRAINED]
    assert first.splitlines()[1:] == second.splitlines()  # the backbone is begun by one of them
    assert len({line.split()[1] for line in first.splitlines()}) == 7


@pytest.mark.slow
def test_what_two_processes_share_with_one(runs):
    """Equal: keys, IDs, the fresh model, what needs no training. As good as equal: supervised losses. RL draws other
    thoughts, since each process has its own luck."""
    one, two = runs["one"][0], runs["two"][0]
    stages = sorted(f.parent.name for f in one.glob("*/manifest.json"))
    assert stages == sorted(f.parent.name for f in two.glob("*/manifest.json")) and len(stages) > 16
    assert manifest(one, "ids")["files"] == manifest(two, "ids")["files"]
    for stage in ("backbone", "score-baselines"):
        a, b = manifest(one, stage), manifest(two, stage)
        assert a["key"] == b["key"] and a["files"] == b["files"], stage
    for stage in ("align", "direct", "distil"):
        assert manifest(one, stage)["key"] == manifest(two, stage)["key"]
        losses = [
            [row["loss"] for row in json.loads((f / stage / "log.json").read_text(encoding="utf-8")) if "loss" in row]
            for f in (one, two)
        ]
        assert len(losses[0]) >= 1 and losses[1] == pytest.approx(losses[0], rel=0.05), stage
    a, b = (results.load(f / "results.json") for f in (one, two))
    assert a["baselines"] == b["baselines"] and len(a["rl_steps"]) == len(b["rl_steps"])


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
