"""The learned baselines as stages: from the same alignment, on the same requests, each in a folder of its own."""

import json

import numpy as np
import pytest
import torch

from crs_lite.baselines import latent
from crs_lite.baselines.generative import HIDDEN
from crs_lite.model import backbones
from crs_lite.study import learned_baselines
from crs_lite.study.learned_baselines import Latent, QueryOnly
from crs_lite.training import align


def depends(stage) -> dict:
    return json.loads((stage.folder / "manifest.json").read_text(encoding="utf-8"))["depends"]


def test_each_starts_from_the_stage_before_it(make, hollow):
    p = make("shared")
    aligned, words, thoughts = align(p), QueryOnly(p), Latent(p)
    dsi = words.dsi(aligned)
    taught = thoughts.supervised(aligned)
    assert depends(dsi)["start"] == depends(taught)["start"] == aligned.key
    assert depends(words.ltrgr(dsi))["start"] == dsi.key
    assert depends(thoughts.reinforced(taught))["start"] == taught.key
    assert depends(dsi)["hide"] == sorted(HIDDEN)
    assert hollow == ["align", "dsi", "latent", "ltrgr", "latent-rl"]


def test_changed_budgets_have_folders_and_keys_of_their_own(make, hollow):
    p = make("shared")
    aligned, words, thoughts = align(p), QueryOnly(p), Latent(p)
    dsi, taught = words.dsi(aligned), thoughts.supervised(aligned)
    made = [words.ltrgr(dsi), words.ltrgr(dsi, lr=1e-4), words.ltrgr(dsi, lr=1e-4, generation=10.0)]
    assert [s.folder.name for s in made] == ["ltrgr", "ltrgr-lr=0.0001", "ltrgr-lr=0.0001-generation=10.0"]
    rl = [thoughts.reinforced(taught), thoughts.reinforced(taught, noise=1.0)]
    assert [s.folder.name for s in rl] == ["latent-rl", "latent-rl-noise=1.0"]
    assert len({s.key for s in (*made, *rl)}) == 5
    assert depends(made[0])["lr"] == p.profile.sft_lr and depends(rl[1])["config"]["noise"] == 1.0


def test_they_learn_from_the_requests_that_the_teacher_explains(make, monkeypatch):
    """DSI's prompts hold the query alone; LTRGR and both phases of LatentR3 get the same requests and the RL budget."""
    p, asked = make("shared"), {}
    monkeypatch.setattr(learned_baselines, "supervised", lambda p, name, start, depends, lessons, lr: lessons())
    queries = QueryOnly(p)
    lessons = queries.dsi(p.fresh)
    assert len(lessons) == len(p.taught)
    for request, example in zip(p.taught, lessons, strict=True):
        text = p.codec.decode(example.ids)
        assert text == f'<bos>{{"request":{{"query":"{request.query}"}}}}<think></think>' + (
            p.codec.sids.to_string(request.target) + "<eos>"
        )

    def keep(name):
        return lambda model, *given, **options: asked.setdefault(name, (given, options)) and []

    monkeypatch.setattr(learned_baselines, "rank_own_beams", keep("ltrgr"))
    monkeypatch.setattr(latent, "supervise", keep("supervise"))
    monkeypatch.setattr(latent, "reinforce", keep("reinforce"))
    thoughts = Latent(p)
    queries.ltrgr(p.fresh, generation=10.0)
    thoughts.reinforced(thoughts.supervised(p.fresh))
    assert asked["ltrgr"][0][1] == p.taught and asked["ltrgr"][1]["generation"] == 10.0
    assert asked["supervise"][0][2] == p.taught and asked["supervise"][1]["lr"] == p.profile.distil_lr
    assert asked["reinforce"][0][2] == p.taught
    config = asked["reinforce"][0][3]
    assert (config.steps, config.prompts, config.group) == (2, 2, 3)


def test_their_rankers_keep_the_contract(make):
    p = make("shared")
    words, thoughts = QueryOnly(p), Latent(p)
    model = backbones.load_model(p.fresh.folder)
    bridge = latent.new_bridge(model)
    with torch.no_grad():
        bridge.norm.weight.mul_(3.0)
    folder = p.work.root / "latent-by-hand"
    folder.mkdir()
    latent.save(folder, model, bridge)
    same_query = [p.test[0], p.test[0].model_copy(update={"user": p.test[1].user, "place": None, "time": 0})]
    lists = words.ranker(p.fresh.folder).rank(same_query, 10)
    assert lists[0].tolist() == lists[1].tolist()  # nothing but the query is read
    lists = thoughts.ranker(folder).rank(p.test[:3], 24)
    assert all(sorted(row) == list(range(24)) for row in lists.tolist())
    plain = latent.LatentRanker("plain", model, latent.new_bridge(model), p.codec, 2).rank(p.test[:3], 24)
    assert not np.array_equal(lists, plain)  # the bridge of the folder was used


@pytest.mark.parametrize("name", ["DSI", "LTRGR", "LatentR3", "latent-SFT"])
def test_they_were_all_trained_in_the_toy_study(toy_study, name):
    row = toy_study.rows["main"][name]
    assert row["stage_minutes"] > 0 and len(row["ranks"]) == row["n"]
