"""A killed stage goes on where it was, and ends with the bytes of one that nobody disturbed."""

import copy
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import resumable
import torch

from crs_lite import unfinished
from crs_lite.baselines import generative, latent
from crs_lite.unfinished import Keeper
from crs_lite.workspace import UNFINISHED

TESTS = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def interval(monkeypatch):
    monkeypatch.setattr(unfinished, "SECONDS", 0.0)  # `resumable.run` sets it too: here it is put back


def killed_at(at):
    def die(n):
        if n == at:
            raise resumable.Death

    return die


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """kind -> what it ends with."""
    found = {}

    def of(kind):
        if kind not in found:
            found[kind] = resumable.outcome(resumable.run(kind, tmp_path_factory.mktemp(kind)).folder)
        return found[kind]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rl", "sft", "lora"])
@pytest.mark.parametrize("luck", range(3))
def test_deaths_at_random_steps_change_no_byte(tmp_path, undisturbed, kind, luck, capsys):
    rng = np.random.default_rng(luck)
    for _ in range(2):
        with pytest.raises(resumable.Death):
            resumable.run(kind, tmp_path, killed_at(int(rng.integers(2, 5 if kind == "rl" else 8))))
    capsys.readouterr()
    stage = resumable.run(kind, tmp_path)
    assert "going on with what was left unfinished" in capsys.readouterr().out
    assert resumable.outcome(stage.folder) == undisturbed(kind)
    assert UNFINISHED not in undisturbed(kind)["names"] and len(undisturbed(kind)["rows"]) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rl", "sft"])
def test_deaths_in_bfloat16_passes_change_no_byte(tmp_path, undisturbed, kind):
    """What is kept is float32, so nothing is lost between two lives."""
    for at in (4, 2):
        with pytest.raises(resumable.Death):
            resumable.run(f"{kind} rounded", tmp_path, killed_at(at))
    ended = resumable.outcome(resumable.run(f"{kind} rounded", tmp_path).folder)
    assert ended == undisturbed(f"{kind} rounded") and ended["weights"] != undisturbed(kind)["weights"]


@pytest.mark.slow
def test_a_death_at_every_step_ends_in_time_and_changes_no_byte(tmp_path, undisturbed):
    """Each life makes one step: the state of the step before is there, and none is made twice."""
    for _ in range(7):
        with pytest.raises(resumable.Death):
            resumable.run("rl", tmp_path, killed_at(2))
    assert resumable.outcome(resumable.run("rl", tmp_path, killed_at(2)).folder) == undisturbed("rl")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rl", "sft", "lora"])
def test_a_real_kill_changes_no_byte(tmp_path, undisturbed, kind):
    command = [sys.executable, str(TESTS / "resumable.py"), kind, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    done = subprocess.run([*command, "5"], env=environment, capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert (tmp_path / f"{kind}.partial" / UNFINISHED / unfinished.FILE).exists()
    assert resumable.outcome(resumable.run(kind, tmp_path).folder) == undisturbed(kind)


def test_another_key_begins_anew(tmp_path, capsys):
    with pytest.raises(resumable.Death):
        resumable.run("rl", tmp_path, killed_at(3))
    made = []
    with pytest.raises(resumable.Death):
        resumable.run("rl", tmp_path, lambda n: made.append(n) or killed_at(8)(n), size=2)
    assert len(made) == 8 and "going on" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut", "garbage", "flipped"])
def test_a_damaged_state_is_thrown_away_with_one_sentence(tmp_path, undisturbed, capsys, how):
    with pytest.raises(resumable.Death):
        resumable.run("rl", tmp_path, killed_at(4))
    path = tmp_path / "rl.partial" / UNFINISHED / unfinished.FILE
    data = path.read_bytes()
    flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    path.write_bytes({"cut": data[: len(data) // 2], "garbage": b"x" * 100, "flipped": flipped}[how])
    capsys.readouterr()
    stage = resumable.run("rl", tmp_path)
    said = [line for line in capsys.readouterr().out.splitlines() if "thrown away" in line]
    assert len(said) == 1 and "damaged" in said[0] and str(path.parent) in said[0]
    assert resumable.outcome(stage.folder) == undisturbed("rl")


def margins(model, bridge, codec, requests, keeper):
    return generative.rank_own_beams(model, codec, requests, lr=3e-3, seed=0, beams=5, batch=4, keeper=keeper)


def supervised(model, bridge, codec, requests, keeper):
    options = dict(lr=3e-3, seed=0, batch_tokens=400, keeper=keeper)
    return latent.supervise(model, bridge, codec, requests, latent.LatentConfig(), **options)


def reinforced(model, bridge, codec, requests, keeper):
    config = latent.LatentConfig(steps=6, prompts=4, group=3, lr=3e-3)
    return latent.reinforce(model, bridge, codec, requests, config, 0, keeper)


@pytest.mark.parametrize(
    "learn, of, step",
    [(margins, generative, "margin_losses"), (supervised, latent, "id_loss"), (reinforced, latent, "explore")],
)
def test_baselines_that_die_change_no_byte(tmp_path, toy_model, monkeypatch, capsys, learn, of, step):
    """A death in the middle of a step, twice: losses and weights are those of a training that nobody disturbed."""
    start, codec = toy_model
    requests = codec.log.split("train")[:24]

    def live(die, folder):
        torch.manual_seed(0)
        model, steps, real = copy.deepcopy(start).float(), [], getattr(of, step)

        def dying(*given, **named):
            steps.append(1)
            die(len(steps))
            return real(*given, **named)

        bridge = latent.new_bridge(model)
        with monkeypatch.context() as patch:
            patch.setattr(of, step, dying)
            history = learn(model, bridge, codec, requests, Keeper(folder))
        return history, {
            name: p.detach().clone() for name, p in torch.nn.ModuleList([model, bridge]).named_parameters()
        }

    history, weights = live(lambda n: None, tmp_path / "undisturbed")
    assert len(history) >= 5  # deaths 3 and 2 are in its middle
    for at in (3, 2):
        with pytest.raises(resumable.Death):
            live(killed_at(at), tmp_path / "killed")
    again, resumed = live(lambda n: None, tmp_path / "killed")
    assert capsys.readouterr().out.count("going on with what was left unfinished") == 2
    assert again == history and weights.keys() == resumed.keys()
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
