"""Repeat-last, DSI, LTRGR and LatentR3 against numbers computed another way."""

import copy
import json

import numpy as np
import pytest
import torch
from toy import toy_log

from crs_lite.baselines import generative, latent
from crs_lite.baselines.repeat import RepeatLast
from crs_lite.decode import beam_search, force, plant
from crs_lite.evaluate import evaluate
from crs_lite.model import backbones
from crs_lite.profiles import get_profile
from crs_lite.sid.codes import SemanticIDs
from crs_lite.tasks import Codec
from crs_lite.trie import Trie

LOG = toy_log(12, 8)
CONTEXT = {"budget": 200, "max_skipped": 0}


@pytest.fixture(scope="module")
def shop():
    """-> (model in float64, codec): a random tiny model over the toy shop."""
    x = np.random.default_rng(0).normal(size=(24, 16)).astype(np.float32)
    sids = SemanticIDs.build(x, (4, 4, 4), seed=0)
    profile = get_profile("smoke", hidden=32, layers=2, vocab=400)
    texts = [json.dumps(r.model_dump(), default=str) for r in LOG.requests[:50]]
    model, tokenizer = backbones.build(profile, texts, sids.tokens(), seed=0)
    return model.double().eval(), Codec(LOG, sids, tokenizer, CONTEXT)


def test_repeat_last_by_hand():
    ranker = RepeatLast(LOG)
    request = next(r for r in LOG.split("test") if len({i for p in LOG.history(r, 10) for i in p.clicked}) >= 3)
    clicked = [i for past in LOG.history(request, 10) for i in past.clicked]
    recent = list(dict.fromkeys(reversed(clicked)))
    counts = np.bincount([r.target for r in LOG.split("train")], minlength=24)
    others = sorted((i for i in range(24) if i not in recent), key=lambda i: (-counts[i], i))
    assert ranker.rank([request], 24)[0].tolist() == recent + others
    evaluate(ranker, LOG, LOG.split("test"))  # keeps the contract of a ranker


def test_dsi_reads_nothing_but_the_query(shop):
    _, codec = shop
    blind = generative.no_context(codec, CONTEXT)
    a, b = LOG.split("test")[0], next(r for r in LOG.split("test") if r.user != LOG.split("test")[0].user)
    b = b.model_copy(update={"query": a.query})
    assert (
        blind.context(a).to_json()
        == blind.context(b).to_json()
        == json.dumps({"request": {"query": a.query}}, separators=(",", ":"))
    )
    assert codec.context(a).to_json() != codec.context(b).to_json()


def test_the_score_of_an_id_is_the_score_its_beam_has(shop):
    model, codec = shop
    requests = LOG.split("test")[:3]
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


def test_ranking_its_own_beams_puts_targets_before_wrong_beams(shop):
    model, codec = shop
    model, requests = copy.deepcopy(model).float(), LOG.split("train") * 6
    history = generative.rank_own_beams(
        model, generative.no_context(codec, CONTEXT), requests, lr=3e-3, seed=0, beams=5, batch=16
    )
    first, last = (np.mean([h["violations"] for h in part]) for part in (history[:5], history[-5:]))
    assert first > 0.1 and last < first / 2


def by_hand(model, bridge, prompt, tokens, end_think, ids):
    """Mean NLL of an ID behind latents, one prompt, no padding, no cache: everything embedded and run at once."""
    embed = model.get_input_embeddings()
    x = embed(torch.tensor([prompt]))
    for _ in range(tokens):
        x = torch.cat([x, bridge(model.model(inputs_embeds=x).last_hidden_state[:, -1:])], dim=1)
    x = torch.cat([x, embed(torch.tensor([[end_think, *ids[:-1].tolist()]]))], dim=1)
    logp = model(inputs_embeds=x).logits[0, -len(ids) :].log_softmax(-1)
    return -logp[range(len(ids)), ids].mean()


@pytest.mark.parametrize("tokens", [0, 1, 3])
def test_latents_behind_padded_prompts_equal_the_plain_computation(shop, tokens):
    model, codec = shop
    bridge = latent.new_bridge(model).double()
    requests = sorted(LOG.split("test"), key=lambda r: len(codec.prompt(r)))[:: len(LOG.split("test")) // 3][:3]
    prompts = [codec.prompt(r) for r in requests]
    assert len({len(p) for p in prompts}) > 1
    ids = torch.as_tensor(codec.sid_ids)[[r.target for r in requests]]
    state = latent._read(model, prompts, codec.pad, latent.DynamicCache(config=model.config))
    for _ in range(tokens):
        state.step(model, bridge(state.hidden))
    ours = latent.id_loss(model, state, codec.end_think, ids)
    plain = torch.stack(
        [by_hand(model, bridge, p, tokens, codec.end_think, i) for p, i in zip(prompts, ids, strict=True)]
    )
    assert torch.allclose(ours, plain, atol=1e-6)


def test_the_latent_ranker_orders_by_that_likelihood(shop):
    model, codec = shop
    bridge = latent.new_bridge(model).double()
    requests = LOG.split("test")[:4]
    ranked = latent.LatentRanker("latent", model, bridge, codec, 2).rank(requests, 24)
    prompt = [codec.prompt(requests[2])] * 24
    state = latent._read(model, prompt, codec.pad, latent.DynamicCache(config=model.config))
    for _ in range(2):
        state.step(model, bridge(state.hidden))
    loss = latent.id_loss(model, state, codec.end_think, torch.as_tensor(codec.sid_ids))
    assert ranked[2].tolist() == loss.argsort().tolist()


def test_the_policy_gradient_of_latents_is_that_of_a_gaussian(shop):
    """Against finite differences of the Gaussian's log-density, written out plainly for the first latent."""
    model, codec = shop
    bridge, config = latent.new_bridge(model).double(), latent.LatentConfig(tokens=1, group=3)
    prompts = [codec.prompt(r) for r in LOG.split("test")[:2]]
    ids = torch.as_tensor(codec.sid_ids)[[3, 5]]
    z, reward = latent.explore(model, bridge, prompts, ids, codec, config, torch.Generator().manual_seed(0))
    assert reward.shape == (2, 3) and (reward < -1).all() and (reward.std(-1) > 0).all()
    advantage = torch.tensor([[1.0, -0.5, -0.5], [0.3, 0.2, -0.5]], dtype=torch.float64)
    loss = latent.latent_policy_loss(model, bridge, prompts, z, advantage, codec, config)
    loss.backward()
    with torch.no_grad():
        hidden = torch.stack([model.model(input_ids=torch.tensor([p])).last_hidden_state[0, -1] for p in prompts])
        sd = config.noise * bridge(hidden).std(-1, keepdim=True)

        def density() -> float:
            mean = bridge(hidden)
            gap = (z[:, 0].view(2, 3, -1) - mean[:, None]) / sd[:, None]
            return (advantage * (gap**2).mean(-1) / 2).mean().item()

        assert loss.item() == pytest.approx(density(), rel=1e-9)
        for i in (0, 7):
            bridge.map.bias[i] += 1e-5
            up = density()
            bridge.map.bias[i] -= 2e-5
            slope = (up - density()) / 2e-5
            bridge.map.bias[i] += 1e-5
            assert bridge.map.bias.grad[i].item() == pytest.approx(slope, rel=1e-4, abs=1e-9)


def test_both_phases_of_latent_reasoning_learn(shop, tmp_path):
    model, codec = shop
    model = copy.deepcopy(model).float()
    bridge, requests = latent.new_bridge(model), LOG.split("train")
    losses = latent.supervise(
        model, bridge, codec, requests * 8, latent.LatentConfig(), lr=3e-3, seed=0, batch_tokens=2048
    )
    assert np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3])
    before = copy.deepcopy(model.state_dict())
    config = latent.LatentConfig(steps=40, prompts=8, group=6, lr=3e-3)
    history = latent.reinforce(model, bridge, codec, requests, config, seed=0)
    assert np.mean([h["reward"] for h in history[-5:]]) > np.mean([h["reward"] for h in history[:5]])
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    latent.save(tmp_path / "m", model, bridge)
    again = latent.load(tmp_path / "m")
    test = LOG.split("test")
    lists = [latent.LatentRanker("l", *pair, codec, 2).rank(test, 10) for pair in ((model, bridge), again)]
    assert (lists[0] == lists[1]).all()
