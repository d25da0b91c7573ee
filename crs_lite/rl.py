"""GRPO and R-GRPO in one short loop; they differ in the rollout and the reward, in nothing else.

One step: sample a group of G trajectories for each of B prompts, judge them, turn rewards into advantages within
each group, and push up the log-probability of what was better than its group.

- `rgrpo` (paper, R-GRPO): a trajectory is reasoning only; trie-constrained beams judge it by the whole ranked list.
- `grpo`: a trajectory is reasoning and a sampled ID; it is judged by whether that one ID is the target.
- `beam_top1`: beams as in R-GRPO, but rewarded for the first place only. It separates the two changes of R-GRPO.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import pad as pad_tensor
from tqdm import tqdm
from transformers import PreTrainedModel

from . import rewards as R
from .decode import beam_search, left_pad, plant, sample
from .trie import Trie

Arm = Literal["grpo", "rgrpo", "beam_top1"]


@dataclass(frozen=True)
class RLConfig:
    """One RL stage. `prompts` (B) times `group` (G) trajectories a step, `beams` (K) items in each list."""

    arm: Arm = "rgrpo"
    steps: int = 100
    prompts: int = 16
    group: int = 8
    beams: int = 10
    lr: float = 5e-5
    temperature: float = 1.0
    kl: float = 0.02
    clip: float = 0.2
    inner_epochs: int = 1
    max_reasoning: int = 64
    max_grad_norm: float = 1.0
    scale_advantage: bool = True
    kl_on_silent_groups: bool = False
    reward: R.RewardConfig = R.RewardConfig()


@dataclass(frozen=True)
class Vocabulary:
    """The few ids the loop needs. `sid (N, 4)`: token ids of every item, row = item."""

    pad: int
    end_think: int
    sid: np.ndarray

    def codes_of(self, items: np.ndarray) -> np.ndarray:
        """Token ids of items `(...)` -> `(..., 4)`; -1 where there is no item."""
        return np.where((items >= 0)[..., None], self.sid[np.maximum(items, 0)], -1)


@dataclass
class Rollout:
    """What one step learns from. completion, mask, old_logprob `(B, G, C)`; parts: name -> `(B, G)`; advantage `(B, G)`."""

    prompts: list[list[int]]
    completion: torch.Tensor
    mask: torch.Tensor
    old_logprob: torch.Tensor
    parts: dict[str, np.ndarray]
    reward: np.ndarray
    advantage: np.ndarray
    informative: np.ndarray


def rollout(
    model: PreTrainedModel,
    prompts: list[list[int]],
    targets: np.ndarray,
    trie: Trie,
    vocab: Vocabulary,
    config: RLConfig,
    generator: torch.Generator | None = None,
) -> Rollout:
    """Sample a group per prompt and judge it. targets `(B,)` item ids. Runs in evaluation mode: see `decode`."""
    model.eval()
    tree = plant(model, prompts, vocab.pad)
    drawn = sample(tree, config.group, vocab.end_think, config.max_reasoning, config.temperature, generator)
    completion, mask, logprob = drawn.token, drawn.mask, drawn.logprob
    thoughts = (completion * mask).cpu().numpy()
    tokens = mask.sum(-1).cpu().numpy()  # (B, G)
    goal = vocab.sid[targets][:, None]  # (B, 1, 4)
    if config.arm == "grpo":
        answer, answer_logprob = _sample_answer(drawn.tree, vocab.sid.shape[1], config.temperature, generator)
        completion, mask, logprob = _append(completion, mask, logprob, answer, answer_logprob)
        codes = answer.cpu().numpy()[..., None, :]  # a list of one, (B, G, 1, 4)
        valid = _in_catalogue(codes, vocab.sid)
        score = R.top1_reward(R.item_scores(codes, goal, (0.0, 0.0, 0.0)))
    else:
        items, _ = beam_search(drawn.tree, trie, config.beams)
        items = items.cpu().numpy()  # (B, G, K)
        valid = items >= 0
        exact = config.arm == "beam_top1"
        scores = R.item_scores(vocab.codes_of(items), goal, (0.0, 0.0, 0.0) if exact else config.reward.prefix_credit)
        score = R.top1_reward(scores) if exact else R.rank_reward(scores)
    clean = ~np.isin(thoughts, vocab.sid).any(-1)
    parts = {
        "format": R.format_reward(drawn.closed.cpu().numpy(), clean),
        "length": R.length_reward(tokens, config.reward.min_tokens, config.reward.max_tokens),
        "validity": R.validity_reward(valid),
        "rank": score,
    }
    reward = R.total_reward(parts, config.reward)
    advantage, informative = R.group_advantage(reward, scale=config.scale_advantage)
    return Rollout(prompts, completion, mask, logprob, parts, reward, advantage, informative)


@torch.no_grad()
def _sample_answer(tree, depth: int, temperature: float, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Four more tokens per branch, sampled from the full vocabulary: `(B, G, 4)` tokens and log-probabilities."""
    tokens, logprobs = [], []
    for level in range(depth):
        logp = tree.logits.log_softmax(-1)
        token = torch.multinomial((tree.logits / temperature).softmax(-1).flatten(0, 1), 1, generator=generator)
        token = token.view(tree.logits.shape[:2])
        tokens.append(token)
        logprobs.append(logp.gather(-1, token[..., None])[..., 0])
        if level < depth - 1:
            tree.logits = tree.feed(token, tree.visible, tree.position)
    return torch.stack(tokens, -1), torch.stack(logprobs, -1)


def _append(completion, mask, logprob, answer, answer_logprob):
    """Put the answer right behind each ragged completion: `(B, G, C)` -> `(B, G, C + 4)`."""
    extra = answer.shape[-1]
    at = mask.sum(-1, keepdim=True) + torch.arange(extra, device=mask.device)
    completion, mask, logprob = (pad_tensor(t, (0, extra)) for t in (completion, mask, logprob))
    return completion.scatter(-1, at, answer), mask.scatter(-1, at, True), logprob.scatter(-1, at, answer_logprob)


def _in_catalogue(codes: np.ndarray, sid: np.ndarray) -> np.ndarray:
    """Which of the codes `(..., 4)` name an item: `(...)` bool."""
    known = set(map(tuple, sid.tolist()))
    flat = codes.reshape(-1, codes.shape[-1]).tolist()
    return np.array([tuple(c) in known for c in flat]).reshape(codes.shape[:-1])


def packed_logprobs(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], completion: torch.Tensor, mask: torch.Tensor, pad: int
) -> torch.Tensor:
    """Log-probabilities of G completions per prompt in one sequence each: prompt once, then G blocks.

    completion, mask `(B, G, C)` -> `(B, G, C)`, 0 where masked. Each block sees the prompt and itself; positions
    restart behind the prompt. A row costs P + the sum of its G lengths, where the plain way costs G*(P + C).
    """
    (b, g, c), device = completion.shape, completion.device
    prompt, real = left_pad(prompts, pad, device)
    p = prompt.shape[1]
    # Close the gaps that short completions leave: the real tokens of a row to the front, in their order.
    filled = mask.flatten(1)
    width = int(filled.sum(-1).max())
    slot = filled.int().argsort(dim=-1, descending=True, stable=True)[:, :width]  # (B, W) -> index in G*C
    live = filled.gather(1, slot)
    block, step = slot // c, slot % c  # which completion, which token of it
    tokens = torch.cat([prompt, completion.flatten(1).gather(1, slot)], dim=1)

    columns = torch.cat([real, live], dim=1)  # (B, P + W): is the column a real token
    owner = torch.cat([torch.full_like(prompt, -1), block], dim=1)
    causal = torch.ones(p + width, p + width, dtype=torch.bool, device=device).tril()
    same = (owner[:, :, None] == owner[:, None]) | (owner[:, None] == -1)
    see = (causal & same & columns[:, None]) | torch.eye(p + width, dtype=torch.bool, device=device)
    position = (real.cumsum(-1) - 1).clamp(min=0)
    behind = position[:, -1:] + 1 + step
    out = model(
        input_ids=tokens, attention_mask=see[:, None], position_ids=torch.cat([position, behind], dim=1),
        use_cache=False, logits_to_keep=width + 1,
    )
    # The first token of every block is predicted by the last prompt column, the others by their left neighbour.
    before = torch.where(step == 0, 0, torch.arange(width, device=device))
    logits = out.logits.gather(1, before[..., None].expand(-1, -1, out.logits.shape[-1])).float()
    logp = logits.gather(-1, tokens[:, p:, None])[..., 0] - logits.logsumexp(-1)
    return torch.zeros(b, g * c, device=device).scatter(1, slot, logp * live).view(b, g, c)


def policy_loss(
    logprob: torch.Tensor,
    old_logprob: torch.Tensor,
    reference: torch.Tensor | None,
    advantage: torch.Tensor,
    mask: torch.Tensor,
    config: RLConfig,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Clipped policy-gradient loss with a KL penalty (GRPO; DeepSeekMath, eq. 3): tensors `(B, G, C)`, advantage `(B, G)`.

    Mean over the tokens of a trajectory, then over trajectories. Silent groups (all advantages 0) carry no loss,
    and no KL either unless `kl_on_silent_groups`.
    """
    mask = mask.float()
    ratio = (logprob - old_logprob).exp()
    a = advantage[..., None]
    gain = torch.minimum(ratio * a, ratio.clamp(1 - config.clip, 1 + config.clip) * a)
    heard = (advantage != 0).any(-1, keepdim=True)[..., None].float()  # (B, 1, 1)
    per_token = -gain
    kl = torch.zeros_like(logprob)
    if reference is not None and config.kl > 0:
        gap = reference - logprob
        kl = gap.exp() - gap - 1  # the k3 estimator: unbiased, never negative
        per_token = per_token + config.kl * kl * (1.0 if config.kl_on_silent_groups else heard)
    weight = mask / mask.sum(-1, keepdim=True).clamp(min=1)
    loss = (per_token * weight).sum(-1).mean()
    clipped = ((ratio.detach() - 1).abs() > config.clip).float()
    return loss, {"kl": (kl.detach() * weight).sum(-1).mean().item(), "clipped": (clipped * weight).sum(-1).mean().item()}


def update(model, reference, optimizer, roll: Rollout, vocab: Vocabulary, config: RLConfig) -> dict[str, float]:
    """One or more gradient steps on a rollout. `reference`: the frozen policy of the KL term, or None."""
    device = roll.completion.device
    advantage = torch.as_tensor(roll.advantage, dtype=torch.float32, device=device)
    heard = roll.informative | config.kl_on_silent_groups
    if not heard.any():
        return {"kl": 0.0, "clipped": 0.0, "grad_norm": 0.0}
    rows = torch.as_tensor(np.flatnonzero(heard), device=device)  # silent groups cost nothing
    prompts = [roll.prompts[int(i)] for i in rows]
    completion, mask, old = (t[rows] for t in (roll.completion, roll.mask, roll.old_logprob))
    if reference is not None and config.kl > 0:
        with torch.no_grad():
            reference_logprob = packed_logprobs(reference, prompts, completion, mask, vocab.pad)
    else:
        reference_logprob = None
    model.train()
    logs: dict[str, float] = {}
    for _ in range(config.inner_epochs):
        logprob = packed_logprobs(model, prompts, completion, mask, vocab.pad)
        start = logprob.detach() if config.inner_epochs == 1 else old  # one epoch: the ratio is 1 by definition
        loss, logs = policy_loss(logprob, start, reference_logprob, advantage[rows], mask, config)
        # Silent groups count in the mean, so a step with few informative groups is a small step.
        (loss * len(rows) / len(roll.prompts)).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        logs["grad_norm"] = float(norm)
        if torch.isfinite(norm):
            optimizer.step()
        optimizer.zero_grad()
    return logs


def train(
    model: PreTrainedModel,
    reference: PreTrainedModel | None,
    examples: Sequence[tuple[list[int], int]],
    trie: Trie,
    vocab: Vocabulary,
    config: RLConfig,
    seed: int,
    log_file: Path | None = None,
    on_step: Callable[[int, dict], None] | None = None,
) -> list[dict[str, float]]:
    """The loop. examples: (prompt ids, target item); each epoch visits them in a new order. Returns one row a step."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator(model.device).manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.0)
    queue: list[int] = []
    history = []
    trie = trie.to(model.device)
    for step in tqdm(range(config.steps), desc=f"RL ({config.arm})", mininterval=5):
        while len(queue) < config.prompts:
            queue += rng.permutation(len(examples)).tolist()
        batch, queue = [examples[i] for i in queue[: config.prompts]], queue[config.prompts :]
        started = perf_counter()
        roll = rollout(model, [p for p, _ in batch], np.array([t for _, t in batch]), trie, vocab, config, generator)
        rolled = perf_counter()
        logs = update(model, reference, optimizer, roll, vocab, config)
        row = {
            "step": step,
            "reward": float(roll.reward.mean()),
            **{name: float(part.mean()) for name, part in roll.parts.items()},
            "silent_groups": float(1 - roll.informative.mean()),
            "tokens": float(roll.mask.sum(-1).float().mean()),
            **logs,
            "seconds_rollout": rolled - started,
            "seconds_update": perf_counter() - rolled,
        }
        history.append(row)
        if on_step:
            on_step(step, row)
    if log_file:
        log_file.write_text("\n".join(json.dumps(row) for row in history) + "\n")
    model.eval()
    return history
