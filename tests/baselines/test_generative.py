"""DSI and LTRGR: prompts hold the query alone, a score is that of a beam, margins are learnt."""

import copy
import json

import numpy as np
import pytest
import torch

from crs_lite.baselines import generative
from crs_lite.decode import beam_search, force, plant
from crs_lite.trie import Trie

CONTEXT = {"budget": 200, "max_skipped": 0}


def test_dsi_reads_nothing_but_the_query(toy_model):
    _, codec = toy_model
    blind = generative.no_context(codec, CONTEXT)
    a, b = (
        codec.log.split("test")[0],
        next(r for r in codec.log.split("test") if r.user != codec.log.split("test")[0].user),
    )
    b = b.model_copy(update={"query": a.query})
    assert (
        blind.context(a).to_json()
        == blind.context(b).to_json()
        == json.dumps({"request": {"query": a.query}}, separators=(",", ":"))
    )
    assert codec.context(a).to_json() != codec.context(b).to_json()


def test_the_score_of_an_id_is_the_score_its_beam_has(toy_model):
    model, codec = toy_model
    requests = codec.log.split("test")[:3]
    prompts = [codec.prompt(r) for r in requests]
    tree = force(plant(model, prompts, codec.pad), [[codec.end_think]] * 3, codec.pad)
    items, scores = beam_search(tree, Trie.build(codec.sid_ids), 24)
    ids = torch.as_tensor(codec.sid_ids)[items[:, 0, 5]]
    ours = generative.id_logprob(model, [[*p, codec.end_think] for p in prompts], ids, codec.pad)
    assert torch.allclose(ours, scores[:, 0, 5], atol=1e-5)


def test_margin_losses_by_hand():
    right, best, other = torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -4.0]), torch.tensor([-3.0, -1.0])
    # best wrong: 0.5 and 0; random wrong: 0 and 2
    assert generative.margin_losses(right, best, other, 1.0).item() == pytest.approx((0.5 + 0 + 0 + 2) / 2)


def test_ranking_its_own_beams_puts_targets_before_wrong_beams(toy_model):
    model, codec = toy_model
    model, requests = copy.deepcopy(model).float(), codec.log.split("train") * 6
    history = generative.rank_own_beams(
        model, generative.no_context(codec, CONTEXT), requests, lr=3e-3, seed=0, beams=5, batch=16
    )
    first, last = (np.mean([h["violations"] for h in part]) for part in (history[:5], history[-5:]))
    assert first > 0.1 and last < first / 2
