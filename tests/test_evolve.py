"""One round of the loop: what is sorted, what is explored, what is kept."""

import copy
import json
from types import SimpleNamespace

import torch

from crs_lite import evolve
from crs_lite.profiles import get_profile
from crs_lite.ranker import CRSRanker


def test_only_well_formed_thoughts_become_lessons(monkeypatch):
    requests = [SimpleNamespace(target=4), SimpleNamespace(target=7)]
    drawn = [[("good", 4, True), ("with an ID", 4, False)], [("cut", 7, False), ("wrong", 4, True)]]
    monkeypatch.setattr(evolve, "sample_thoughts", lambda *_: drawn)
    assert evolve.collect(None, None, requests, get_profile("smoke"), 0) == [(0, "good")]


def test_requests_are_sorted_by_what_the_model_puts_first(toy_model):
    model, codec = toy_model
    profile = get_profile("smoke", max_reasoning=6, eval_batch=4)
    requests = codec.log.split("test")
    found = evolve.split(model, codec, requests, profile)
    assert sorted(found["right"] + found["wrong"]) == list(range(len(requests)))
    own = CRSRanker("own", model, codec, "own", 6, progress=False).rank(requests, 4)[:, 0]  # as wide as `split`
    assert found["right"] == [i for i, r in enumerate(requests) if own[i] == r.target]
    moved = [r.model_copy(update={"clicked": (int(first),)}) for r, first in zip(requests, own, strict=True)]
    assert evolve.split(model, codec, moved, profile)["wrong"] == []


def test_every_arm_has_the_budget_of_its_profile():
    profile = get_profile("laptop", rl_steps=3, rl_beams=7, rl_kl=0.5, rl_temperature=0.9, max_reasoning=11)
    for arm in ("rgrpo", "grpo", "beam_top1"):
        config = evolve.rl_config(profile, arm)
        assert (config.arm, config.steps, config.beams, config.kl) == (arm, 3, 7, 0.5)
        assert (config.prompts, config.group, config.lr) == (profile.rl_prompts, profile.rl_group, profile.rl_lr)
        assert (config.temperature, config.max_reasoning) == (0.9, 11)
    assert evolve.rl_config(profile, lr=1.0).lr == 1.0


def test_one_of_several_right_thoughts_is_drawn(monkeypatch):
    requests = [SimpleNamespace(target=1)]
    drawn = [[("a", 1, True), ("b", 1, True), ("a", 1, True)]]
    monkeypatch.setattr(evolve, "sample_thoughts", lambda *_: drawn)
    kept = [evolve.collect(None, None, requests, get_profile("smoke"), seed) for seed in range(20)]
    assert {tuple(k) for k in kept} == {((0, "a"),), ((0, "b"),)}
    assert kept == [evolve.collect(None, None, requests, get_profile("smoke"), seed) for seed in range(20)]


def test_exploration_learns_from_prompts_and_targets(toy_kit, tmp_path):
    """Two steps on what is wrong: the history is written down, the weights have moved, the reference has not."""
    log, _, model, codec = toy_kit
    reference = copy.deepcopy(model)
    config = evolve.rl_config(get_profile("smoke", max_reasoning=8), steps=2, prompts=2, group=3, beams=5, lr=1e-2)
    history = evolve.explore(model, reference, codec, log.split("train")[:4], config, 0, tmp_path / "steps.jsonl")
    assert [json.loads(line) for line in (tmp_path / "steps.jsonl").open(encoding="utf-8")] == history and len(
        history
    ) == 2
    gap = [not torch.equal(a, b) for a, b in zip(model.parameters(), reference.parameters(), strict=True)]
    assert any(gap) == any(row["grad_norm"] > 0 for row in history)
