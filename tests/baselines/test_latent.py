"""LatentR3 against the plain computation without padding or cache, and against finite differences."""

import copy

import numpy as np
import pytest
import torch

from crs_lite.baselines import latent
from crs_lite.errors import CRSError


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
def test_latents_behind_padded_prompts_equal_the_plain_computation(toy_model, tokens):
    model, codec = toy_model
    bridge = latent.new_bridge(model).double()
    requests = sorted(codec.log.split("test"), key=lambda r: len(codec.prompt(r)))[
        :: len(codec.log.split("test")) // 3
    ][:3]
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


def test_the_latent_ranker_orders_by_that_likelihood(toy_model):
    model, codec = toy_model
    bridge = latent.new_bridge(model).double()
    requests = codec.log.split("test")[:4]
    ranked = latent.LatentRanker("latent", model, bridge, codec, 2).rank(requests, 24)
    prompt = [codec.prompt(requests[2])] * 24
    state = latent._read(model, prompt, codec.pad, latent.DynamicCache(config=model.config))
    for _ in range(2):
        state.step(model, bridge(state.hidden))
    loss = latent.id_loss(model, state, codec.end_think, torch.as_tensor(codec.sid_ids))
    assert ranked[2].tolist() == loss.argsort().tolist()


def test_the_policy_gradient_of_latents_is_that_of_a_gaussian(toy_model):
    """Against finite differences of the Gaussian's log-density, written out plainly for the first latent."""
    model, codec = toy_model
    bridge, config = latent.new_bridge(model).double(), latent.LatentConfig(tokens=1, group=3)
    prompts = [codec.prompt(r) for r in codec.log.split("test")[:2]]
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


@pytest.mark.slow
def test_both_phases_of_latent_reasoning_learn(toy_model, tmp_path):
    model, codec = toy_model
    model = copy.deepcopy(model).float()
    bridge, requests = latent.new_bridge(model), codec.log.split("train")
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
    test = codec.log.split("test")
    lists = [latent.LatentRanker("l", *pair, codec, 2).rank(test, 10) for pair in ((model, bridge), again)]
    assert (lists[0] == lists[1]).all()


def test_damaged_and_unsound_bridges_are_named(toy_model, tmp_path):
    model = copy.deepcopy(toy_model[0]).float()
    bridge = latent.new_bridge(model)
    latent.save(tmp_path / "m", model, bridge)
    path = tmp_path / "m" / "bridge.safetensors"
    for data in (path.read_bytes()[:-5], b"", b"{}"):
        path.write_bytes(data)
        with pytest.raises(CRSError, match="bridge.safetensors: damaged .*; delete the folder .*m and run again"):
            latent.load(tmp_path / "m")
    with torch.no_grad():
        bridge.map.bias[0] = torch.nan
    with pytest.raises(CRSError, match="the bridge's weights are not finite"):
        latent.save(tmp_path / "n", model, bridge)
    assert not (tmp_path / "n").exists()


def test_without_a_request_it_is_refused(toy_model):
    model, codec = toy_model
    with pytest.raises(CRSError, match="no request to learn from"):
        latent.reinforce(model, None, codec, [], latent.LatentConfig(), 0)
