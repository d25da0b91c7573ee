"""LatentR3: reasoning in a few latent vectors instead of words (Zhang et al. 2025, reinforced latent reasoning).

Kept: latent tokens made from the model's own last hidden state and fed back as input embeddings; a supervised phase
that trains them through the loss of the ID alone; a GRPO-like phase in which Gaussian noise on the latents is the
exploration and the reward is the negative perplexity of the target's ID. Dropped: its attention layer that makes the
latents (ours is one linear map, normalised to the length of an embedding), and its pretrained backbone. In the second
phase only that map learns (our choice): the policy gradient says nothing about how latents are read, and when it may
move the whole tiny model the reader drifts and the reward falls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm
from transformers import DynamicCache, PreTrainedModel

from crs_lite.decode import Tree, at_least_float32, beam_search, empty_cache, force, left_pad
from crs_lite.errors import CRSError
from crs_lite.logs import SearchRequest
from crs_lite.model import backbones
from crs_lite.rewards import group_advantage
from crs_lite.tasks import Codec
from crs_lite.trie import Trie
from crs_lite.unfinished import Keeper, finite


@dataclass(frozen=True)
class LatentConfig:
    """`tokens` latent vectors a request; `noise`: standard deviation of exploration, in units of the latent's own
    length."""

    tokens: int = 2
    noise: float = 0.3
    steps: int = 100
    prompts: int = 16
    group: int = 8
    lr: float = 3e-4


class Bridge(torch.nn.Module):
    """Last hidden state `(..., H)` -> the next latent input `(..., H)`, as long as a word embedding usually is."""

    def __init__(self, embedding: torch.Tensor):
        super().__init__()
        hidden = embedding.shape[1]
        self.map = torch.nn.Linear(hidden, hidden)
        self.norm = torch.nn.LayerNorm(hidden)
        with torch.no_grad():
            self.map.weight.copy_(torch.eye(hidden))
            self.map.bias.zero_()
            self.norm.weight.fill_(embedding.float().std().item())

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden state `(..., H)` -> latent input `(..., H)`."""
        return self.norm(self.map(hidden))


def save(folder: Path, model: PreTrainedModel, bridge: Bridge) -> None:
    """The model, Hugging Face's way, and beside it the bridge. Raises `CRSError` for weights that are not finite."""
    if not all(torch.isfinite(p).all() for p in bridge.parameters()):
        raise CRSError(f"{folder}: the bridge's weights are not finite, so nothing is saved; lower the learning rate.")
    backbones.save(folder, model)
    save_file(bridge.state_dict(), folder / "bridge.safetensors")


def load(folder: Path) -> tuple[PreTrainedModel, Bridge]:
    """What `save` wrote: (model, bridge). Raises `CRSError` for missing or damaged files."""
    model, path = backbones.load_model(folder), folder / "bridge.safetensors"
    bridge = new_bridge(model)
    try:
        bridge.load_state_dict(load_file(path))
    except Exception as e:  # the libraries below raise many kinds; the reader needs one sentence
        raise CRSError(f"{path}: damaged ({e!r:.120}); delete the folder {folder} and run again.") from None
    return model, bridge


def new_bridge(model: PreTrainedModel) -> Bridge:
    """A bridge that begins by passing the hidden state on."""
    return Bridge(model.get_input_embeddings().weight.detach()).to(model.device)


@dataclass
class _State:
    """Behind a prompt and perhaps some latents: the cache, its mask `(B, L)`, and the last hidden state `(B, H)`."""

    cache: DynamicCache
    mask: torch.Tensor
    hidden: torch.Tensor

    def step(self, model: PreTrainedModel, latent: torch.Tensor) -> None:
        """Feed one latent `(B, H)`."""
        position = self.mask.sum(-1, keepdim=True)
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1)
        out = model.model(
            inputs_embeds=latent[:, None],
            attention_mask=self.mask.long(),
            position_ids=position,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.hidden = out.last_hidden_state[:, -1]


def _read(model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad: int, cache: DynamicCache) -> _State:
    ids, mask = left_pad(prompts, pad, model.device)
    position = (mask.long().cumsum(-1) - 1).clamp(min=0)
    out = model.model(
        input_ids=ids, attention_mask=mask.long(), position_ids=position, past_key_values=cache, use_cache=True
    )
    return _State(cache, mask, out.last_hidden_state[:, -1])


def id_loss(model: PreTrainedModel, state: _State, end_think: int, ids: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood of an ID `(B, 4)` behind `</think>`: `(B,)` nats a token."""
    tokens = torch.cat([torch.full_like(ids[:, :1], end_think), ids[:, :-1]], dim=1)
    mask = torch.cat([state.mask, torch.ones_like(tokens, dtype=torch.bool)], dim=1)
    position = state.mask.sum(-1, keepdim=True) + torch.arange(tokens.shape[1], device=ids.device)
    out = model(
        input_ids=tokens, attention_mask=mask.long(), position_ids=position, past_key_values=state.cache, use_cache=True
    )
    logits = at_least_float32(out.logits)
    return (logits.logsumexp(-1) - logits.gather(-1, ids[..., None])[..., 0]).mean(-1)


def supervise(
    model: PreTrainedModel,
    bridge: Bridge,
    codec: Codec,
    requests: Sequence[SearchRequest],
    config: LatentConfig,
    *,
    lr: float,
    seed: int,
    batch_tokens: int,
    keeper: Keeper | None = None,
) -> list[float]:
    """Phase one, in place: one pass, the ID's loss through the latents. Returns the loss of every step. `keeper`: keeps
    the state between steps, and loads what a killed run left."""
    from crs_lite.tasks import token_batches

    sid = torch.as_tensor(codec.sid_ids, device=model.device)
    prompts = [codec.prompt(r) for r in requests]
    batches = token_batches([len(p) + config.tokens + 5 for p in prompts], batch_tokens, seed)
    parameters = [*model.parameters(), *bridge.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    warm = max(1, len(batches) * 3 // 100)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min((n + 1) / warm, 0.5 * (1 + np.cos(np.pi * n / len(batches))))
    )
    parts = {"model": torch.nn.ModuleList([model, bridge]), "optimizer": optimizer, "schedule": schedule}
    losses = (keeper and keeper.load(parts)) or []
    model.train()
    for rows in tqdm(batches[len(losses) :], desc="LatentR3, supervised", mininterval=5):
        state = _read(model, [prompts[i] for i in rows], codec.pad, DynamicCache(config=model.config))
        for _ in range(config.tokens):
            state.step(model, bridge(state.hidden))
        loss = id_loss(model, state, codec.end_think, sid[[requests[i].target for i in rows]]).mean()
        finite(loss, "LatentR3", len(losses))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if keeper:
            keeper.save(parts, losses)
    model.eval()
    return losses


@torch.no_grad()
def explore(
    model: PreTrainedModel,
    bridge: Bridge,
    prompts: Sequence[Sequence[int]],
    ids: torch.Tensor,
    codec: Codec,
    config: LatentConfig,
    generator: torch.Generator | None,
) -> tuple[torch.Tensor, np.ndarray]:
    """G noisy latent chains a prompt: latents `(B*G, tokens, H)`, rewards `(B, G)` = -perplexity of the ID a token."""
    state = _read(model, prompts, codec.pad, DynamicCache(config=model.config))
    state.cache.batch_repeat_interleave(config.group)
    state.mask, state.hidden = (t.repeat_interleave(config.group, 0) for t in (state.mask, state.hidden))
    latents = []
    for _ in range(config.tokens):
        mean = bridge(state.hidden)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        latents.append(mean + config.noise * mean.std(-1, keepdim=True) * noise)
        state.step(model, latents[-1])
    loss = id_loss(model, state, codec.end_think, ids.repeat_interleave(config.group, 0))
    return torch.stack(latents, 1), -loss.exp().view(len(prompts), config.group).cpu().numpy()


def latent_policy_loss(
    model: PreTrainedModel,
    bridge: Bridge,
    prompts: Sequence[Sequence[int]],
    latents: torch.Tensor,
    advantage: torch.Tensor,
    codec: Codec,
    config: LatentConfig,
) -> torch.Tensor:
    """-A log N(latent | mean, sd): latents `(B*G, tokens, H)`, advantage `(B, G)`. The gradient is that of the
    bridge."""
    with torch.no_grad():
        state = _read(model, prompts, codec.pad, DynamicCache(config=model.config))
    state.cache.batch_repeat_interleave(config.group)
    state.mask, state.hidden = (t.repeat_interleave(config.group, 0) for t in (state.mask, state.hidden))
    total = torch.zeros(len(latents), device=latents.device)
    for t in range(config.tokens):
        mean = bridge(state.hidden)
        sd = config.noise * mean.std(-1, keepdim=True).detach()
        total = total + (((latents[:, t] - mean) / sd) ** 2).mean(-1) / 2  # mean, not sum: one step size for any width
        if t < config.tokens - 1:
            with torch.no_grad():
                state.step(model, latents[:, t])
    return (advantage.flatten() * total).mean() / config.tokens


def reinforce(
    model: PreTrainedModel,
    bridge: Bridge,
    codec: Codec,
    requests: Sequence[SearchRequest],
    config: LatentConfig,
    seed: int,
    keeper: Keeper | None = None,
) -> list[dict[str, float]]:
    """Phase two: the bridge learns in place, the model stays. Returns reward, its spread and gradient norm a step.
    `keeper`: as in `supervise`. Raises `CRSError` when there is no request to learn from."""
    if not requests:
        raise CRSError("LatentR3 has no request to learn from; its train split is empty.")
    rng = np.random.default_rng(seed)
    generator = torch.Generator(model.device).manual_seed(seed)
    sid = torch.as_tensor(codec.sid_ids, device=model.device)
    optimizer = torch.optim.AdamW(bridge.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.0)
    parts = {"model": bridge, "optimizer": optimizer, "order": rng, "noise": generator}
    queue, history = (keeper and keeper.load(parts)) or ([], [])
    model.eval()
    for _ in tqdm(range(len(history), config.steps), desc="LatentR3, reinforced", mininterval=5):
        while len(queue) < config.prompts:
            queue += rng.permutation(len(requests)).tolist()
        rows, queue = [requests[i] for i in queue[: config.prompts]], queue[config.prompts :]
        prompts = [codec.prompt(r) for r in rows]
        latents, reward = explore(model, bridge, prompts, sid[[r.target for r in rows]], codec, config, generator)
        advantage = torch.as_tensor(group_advantage(reward)[0], dtype=latents.dtype, device=model.device)
        loss = latent_policy_loss(model, bridge, prompts, latents, advantage, codec, config)
        finite(loss, "LatentR3", len(history))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(bridge.parameters(), 1.0)
        optimizer.step()
        spread = float(reward.std(-1).mean())
        history.append({"reward": float(reward.mean()), "spread": spread, "grad_norm": norm.item()})
        if keeper:
            keeper.save(parts, (queue, history))
    return history


class LatentRanker:
    """Ranks behind the latents, without noise. `tokens = 0` is the same model without latent reasoning."""

    def __init__(self, name: str, model: PreTrainedModel, bridge: Bridge, codec: Codec, tokens: int, batch: int = 64):
        self.name, self.model, self.bridge, self.codec, self.tokens, self.batch = (
            name,
            model.eval(),
            bridge,
            codec,
            tokens,
            batch,
        )
        self.trie = Trie.build(codec.sid_ids).to(model.device)

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """-> item ids `(n, k)`, best first."""
        prompts = [self.codec.prompt(r) for r in requests]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        ranked = np.full((len(requests), k), -1)
        for start in tqdm(range(0, len(order), self.batch), desc=f"rank: {self.name}", mininterval=5):
            rows = order[start : start + self.batch]
            ranked[rows] = self.beams([prompts[i] for i in rows], k)[0][:, 0]
        return ranked

    @torch.no_grad()
    def beams(
        self, prompts: Sequence[Sequence[int]], k: int, chains: int = 1, noise: float = 0.0, generator=None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Items and log-probabilities `(B, chains, k)` behind so many chains of latents: the first as it is, the others
        with Gaussian noise, in units of the latent's own deviation."""
        # Of the two caches only the stock one can be repeated.
        cache = DynamicCache(config=self.model.config) if chains > 1 else empty_cache(self.model)
        state = _read(self.model, prompts, self.codec.pad, cache)
        if chains > 1:
            state.cache.batch_repeat_interleave(chains)
            state.mask, state.hidden = (t.repeat_interleave(chains, 0) for t in (state.mask, state.hidden))
        n = len(prompts) * chains
        loud = noise * (torch.arange(n, device=state.hidden.device) % chains > 0)[:, None]
        for _ in range(self.tokens):
            latent = self.bridge(state.hidden)
            if noise:
                drawn = torch.randn(latent.shape, generator=generator, device=latent.device)
                latent = latent + loud * latent.std(-1, keepdim=True) * drawn
            state.step(self.model, latent)
        logits = state.hidden.new_zeros(n, 1, 1)  # nothing is read from them: `</think>` comes next
        tree = Tree(self.model, state.cache, logits, state.mask[:, None], state.mask.sum(-1, keepdim=True))
        tree = force(tree, [[self.codec.end_think]] * n, self.codec.pad)
        items, logp = (x[:, 0].cpu().numpy() for x in beam_search(tree, self.trie, k))
        return items.reshape(len(prompts), chains, k), logp.reshape(len(prompts), chains, k)
