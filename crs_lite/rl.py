"""GRPO and R-GRPO in one short loop; they differ in the rollout and the reward, in nothing else.

One step: sample a group of G trajectories for each of B prompts, judge them, turn rewards into advantages within
each group, and push up the log-probability of what was better than its group.

- `rgrpo` (paper, R-GRPO): a trajectory is reasoning only; trie-constrained beams judge it by the whole ranked list.
- `grpo`: a trajectory is reasoning and a sampled ID; it is judged by whether that one ID is the target.
- `beam_top1`: beams as in R-GRPO, but rewarded for the first place only. It separates the two changes of R-GRPO.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import pad as pad_tensor
from torch.utils.checkpoint import checkpoint
from tqdm import tqdm
from transformers import PreTrainedModel

from crs_lite import rewards as R
from crs_lite.decode import beam_search, draw, left_pad, plant, sample
from crs_lite.errors import CRSError
from crs_lite.files import write_json_lines
from crs_lite.model.distributed import n_processes, process_mean, process_number
from crs_lite.model.precision import Precision
from crs_lite.tasks import Codec
from crs_lite.trie import Trie

Arm = Literal["grpo", "rgrpo", "beam_top1", "merged", "mixture"]  # the last two: see `variety`
Loss = Literal["grpo", "dapo", "dr_grpo"]
SKIPPED = 20  # float16 steps that may overflow in a row
ROOM = 10**8  # tokens x layers x width that a pass keeps for its backward pass, about 7 GB (our choice: half a T4)


@dataclass(frozen=True)
class RLConfig:
    """One RL stage. `prompts` (B) times `group` (G) trajectories a step, `beams` (K) items in each list."""

    arm: Arm = "rgrpo"
    loss: Loss = "grpo"  # how tokens are weighed: see `token_weight`
    dtype: str = "float32"
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
    """The few ids the loop needs. `sid (N, 4)`: token ids of every item, row = item; `control`: tokens that have no
    place inside reasoning."""

    pad: int
    end_think: int
    sid: np.ndarray
    control: tuple[int, ...] = ()

    @classmethod
    def of(cls, codec: Codec) -> Vocabulary:
        """The vocabulary of a codec."""
        return cls(codec.pad, codec.end_think, codec.sid_ids, (codec.bos, codec.eos, codec.pad, codec.think))

    @cached_property
    def _item(self) -> dict[tuple[int, ...], int]:
        return {tuple(row): item for item, row in enumerate(self.sid.tolist())}

    def items_of(self, codes: np.ndarray) -> np.ndarray:
        """Token ids `(..., 4)` -> items `(...)`, -1 where they name none."""
        rows = codes.reshape(-1, codes.shape[-1]).tolist()
        return np.array([self._item.get(tuple(c), -1) for c in rows]).reshape(codes.shape[:-1])

    def codes_of(self, items: np.ndarray) -> np.ndarray:
        """Token ids of items `(...)` -> `(..., 4)`; -1 where there is no item."""
        return np.where((items >= 0)[..., None], self.sid[np.maximum(items, 0)], -1)


@dataclass
class Rollout:
    """What one step learns from. completion, mask, chosen, old_logprob `(B, G, C)`; parts: name -> `(B, G)`; advantage
    `(B, G)`. `mask`: the token is there; `chosen`: the policy chose it, so it is an action and carries loss."""

    prompts: list[list[int]]
    completion: torch.Tensor
    mask: torch.Tensor
    chosen: torch.Tensor
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
    rank: Callable[..., np.ndarray] | None = None,
) -> Rollout:
    """Sample a group per prompt and judge it, by `rank` or else `rank_part`. targets `(B,)` item ids. See `decode`."""
    model.eval()
    tree = plant(model, prompts, vocab.pad)
    drawn = sample(tree, config.group, vocab.end_think, config.max_reasoning, config.temperature, generator)
    completion, mask, chosen, logprob = drawn.token, drawn.mask, drawn.chosen, drawn.logprob
    clean = is_clean(completion, mask, vocab).cpu().numpy()
    about = mask.sum(-1).cpu().numpy(), drawn.closed.cpu().numpy(), clean  # each (B, G)
    if config.arm == "grpo":
        answer, answer_logprob = sample_answer(drawn.tree, vocab.sid.shape[1], config.temperature, generator)
        completion, mask, chosen, logprob = _append(completion, mask, chosen, logprob, answer, answer_logprob)
        ranked = vocab.items_of(answer.cpu().numpy())[..., None]  # a list of one, (B, G, 1)
    else:
        ranked = beam_search(drawn.tree, trie, config.beams)[0].cpu().numpy()  # (B, G, K)
    parts = list_parts(ranked, targets[:, None], *about, vocab, config, rank)
    reward = R.total_reward(parts, config.reward)
    advantage, informative = R.group_advantage(reward, scale=config.scale_advantage)
    return Rollout(prompts, completion, mask, chosen, logprob, parts, reward, advantage, informative)


def variety_of(roll: Rollout) -> dict[str, float]:
    """How much the policy still varies: `entropy`, the mean surprise of a chosen token in nats (an unbiased estimate
    of its entropy at temperature 1), and `distinct`, the share of a group's trajectories that differ, 1 / G to 1."""
    chosen = roll.chosen.sum().clamp(min=1)
    written = (roll.completion * roll.mask).tolist()  # (B, G, C)
    return {
        "entropy": float(-(roll.old_logprob * roll.chosen).sum() / chosen),
        "distinct": float(np.mean([len({tuple(one) for one in group}) / len(group) for group in written])),
    }


def is_clean(token: torch.Tensor, mask: torch.Tensor, vocab: Vocabulary) -> torch.Tensor:
    """token, mask `(..., T)` -> `(...)`: no ID token and no control token inside the reasoning (its end is none)."""
    bad = torch.as_tensor([*np.unique(vocab.sid).tolist(), *vocab.control], device=token.device)
    return ~(torch.isin(token, bad) & mask).any(-1)


def list_parts(
    ranked: np.ndarray,
    target: np.ndarray,
    tokens: np.ndarray,
    closed: np.ndarray,
    clean: np.ndarray,
    vocab: Vocabulary,
    config: RLConfig,
    rank: Callable[..., np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """The parts of the reward: ranked `(..., K)` item ids (-1: none), target `(...)`, and of the reasoning its number
    of tokens, whether the model closed it, and whether it is free of ID tokens, each `(...)` -> name -> `(...)`."""
    return {
        "format": R.format_reward(closed, clean),
        "length": R.length_reward(tokens, config.reward.min_tokens, config.reward.max_tokens),
        "validity": R.validity_reward(ranked >= 0),
        "rank": (rank or rank_part)(ranked, target, vocab, config),
    }


def rank_part(ranked: np.ndarray, target: np.ndarray, vocab: Vocabulary, config: RLConfig) -> np.ndarray:
    """What the arm's reward sees of a list: ranked `(..., K)`, target `(...)` -> `(...)`. R-GRPO looks at all of it."""
    whole_list = config.arm == "rgrpo"
    credit = config.reward.prefix_credit if whole_list else (0.0, 0.0, 0.0)
    scores = R.item_scores(vocab.codes_of(ranked), vocab.sid[target], credit)
    return R.rank_reward(scores) if whole_list else R.top1_reward(scores)


@torch.no_grad()
def sample_answer(tree, depth: int, temperature: float, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Four more tokens per branch, sampled from the full vocabulary: `(B, G, 4)` tokens and log-probabilities."""
    tokens, logprobs = [], []
    for level in range(depth):
        logp = tree.logits.log_softmax(-1)
        token = draw(tree.logits, temperature, generator)
        tokens.append(token)
        logprobs.append(logp.gather(-1, token[..., None])[..., 0])
        if level < depth - 1:
            tree.logits = tree.feed(token, tree.visible, tree.position)
    return torch.stack(tokens, -1), torch.stack(logprobs, -1)


def _append(completion, mask, chosen, logprob, answer, answer_logprob):
    """Put the answer right behind each ragged completion: `(B, G, C)` -> `(B, G, C + 4)`."""
    extra = answer.shape[-1]
    at = mask.sum(-1, keepdim=True) + torch.arange(extra, device=mask.device)
    completion, mask, chosen, logprob = (pad_tensor(t, (0, extra)) for t in (completion, mask, chosen, logprob))
    mask, chosen = mask.scatter(-1, at, True), chosen.scatter(-1, at, True)
    return completion.scatter(-1, at, answer), mask, chosen, logprob.scatter(-1, at, answer_logprob)


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
    )  # fmt: skip
    # The first token of every block is predicted by the last prompt column, the others by their left neighbour.
    before = torch.where(step == 0, 0, torch.arange(width, device=device))
    logits = out.logits.gather(1, before[..., None].expand(-1, -1, out.logits.shape[-1])).float()
    logp = logits.gather(-1, tokens[:, p:, None])[..., 0] - logits.logsumexp(-1)
    return torch.zeros(b, g * c, device=device).scatter(1, slot, logp * live).view(b, g, c)


def token_weight(mask: torch.Tensor, config: RLConfig, longest: int) -> torch.Tensor:
    """How much each token counts in the loss: mask `(B, G, C)` of chosen tokens -> weights `(B, G, C)`, 0 elsewhere.

    grpo: every trajectory counts the same, so a token of a long one counts less (DeepSeekMath). dapo: every token of
    the step counts the same. dr_grpo: every token counts 1 / `longest`, whatever its trajectory's length.
    """
    mask = mask.float()
    if config.loss == "grpo":
        return mask / mask.sum(-1, keepdim=True).clamp(min=1) / mask[..., 0].numel()
    if config.loss == "dapo":
        return mask / process_mean(mask.sum()).clamp(min=1)
    return mask / (mask[..., 0].numel() * longest)


def policy_loss(
    logprob: torch.Tensor,
    old_logprob: torch.Tensor,
    reference: torch.Tensor | None,
    advantage: torch.Tensor,
    weight: torch.Tensor,
    config: RLConfig,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Clipped policy-gradient loss with a KL penalty (GRPO; DeepSeekMath, eq. 3): tensors `(B, G, C)`, advantage `(B,
    G)`.

    The weighted sum over all tokens (see `token_weight`). Silent groups (all advantages 0) carry no loss, and no KL
    either unless `kl_on_silent_groups`.
    """
    ratio = (logprob - old_logprob).exp()
    a = advantage[..., None]
    gain = torch.minimum(ratio * a, ratio.clamp(1 - config.clip, 1 + config.clip) * a)
    heard = (advantage != 0).any(-1, keepdim=True)[..., None].float()  # (B, 1, 1)
    per_token, kl = -gain, torch.zeros_like(logprob)
    if reference is not None and config.kl > 0:
        gap = reference - logprob
        kl = gap.exp() - gap - 1  # the k3 estimator: unbiased, never negative
        per_token = per_token + config.kl * kl * (1.0 if config.kl_on_silent_groups else heard)
    clipped = ((ratio.detach() - 1).abs() > config.clip).float()
    logs = {name: (value.detach() * weight).sum().item() for name, value in (("kl", kl), ("clipped", clipped))}
    return (per_token * weight).sum(), logs


def update(
    model, reference, optimizer, roll: Rollout, vocab: Vocabulary, config: RLConfig, precision: Precision | None = None
) -> dict[str, float]:
    """One or more gradient steps on a rollout. `reference`: the frozen policy of the KL term, or None."""
    device = roll.completion.device
    precision = precision or Precision(config.dtype, device)
    advantage = torch.as_tensor(roll.advantage, dtype=torch.float32, device=device)
    longest = config.max_reasoning + (vocab.sid.shape[1] if config.arm == "grpo" else 0)
    # Silent groups count in the weights, so a step with few informative groups is a small step; they cost no time.
    weight = token_weight(roll.chosen, config, longest)
    rows = torch.as_tensor(np.flatnonzero(roll.informative | config.kl_on_silent_groups), device=device)
    prompts = [roll.prompts[int(i)] for i in rows]
    completion, mask, old, weight = (t[rows] for t in (roll.completion, roll.mask, roll.old_logprob, weight))

    tokens = max(map(len, prompts), default=0) + int(mask.flatten(1).sum(-1).max()) if len(rows) else 1  # of a row
    n = max(1, ROOM // (tokens * model.config.num_hidden_layers * model.config.hidden_size))

    def logprobs(of: PreTrainedModel) -> torch.Tensor:
        with precision.autocast():
            if len(prompts) <= n:
                return packed_logprobs(of, prompts, completion, mask, vocab.pad)
            # What does not fit is computed n rows at a time, and once more for the backward pass.
            parts = [(prompts[i : i + n], completion[i : i + n], mask[i : i + n]) for i in range(0, len(prompts), n)]
            again = partial(checkpoint, packed_logprobs, use_reentrant=False)
            return torch.cat([again(of, *part, vocab.pad) for part in parts])

    reference_logprob = None
    if reference is not None and config.kl > 0 and len(rows):
        with torch.no_grad():
            reference_logprob = logprobs(reference)
    model.eval()  # dropout would make the policy that learns another one than the policy that acted
    logs = {"kl": 0.0, "clipped": 0.0}
    for _ in range(config.inner_epochs):
        if len(rows):
            logprob = logprobs(model)
            start = logprob.detach() if config.inner_epochs == 1 else old  # one epoch: the ratio is 1 by definition
            loss, logs = policy_loss(logprob, start, reference_logprob, advantage[rows], weight, config)
        elif n_processes() > 1:  # nothing to learn here, but the other processes wait for our share
            loss = sum(p.sum() for p in model.parameters() if p.requires_grad) * 0.0
        else:
            return {**logs, "grad_norm": 0.0}
        logs["grad_norm"] = precision.step(loss, model, optimizer, config.max_grad_norm)
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
    roll_out: Callable[..., Rollout] = rollout,
    keeper=None,
) -> list[dict[str, float]]:
    """The loop. examples: (prompt ids, target item); each epoch visits them in a new order. Returns one row a step.
    `keeper`: keeps the state between steps, and loads what a killed run left (see `unfinished`).

    Under several processes each takes its share of a step's prompts, which must divide evenly; rows speak of that
    share. Raises `CRSError` when they do not, when there is no example, and at the first step whose gradient is not
    finite (in float16, whose steps are skipped when they overflow, at the 20th in a row).
    """
    rank, n = process_number(), n_processes()
    if config.prompts % n:
        raise CRSError(
            f"{config.prompts} prompts a step cannot be shared by {n} processes; make rl_prompts a multiple of {n}."
        )
    if not examples:
        raise CRSError("RL has no example to learn from; explore requests that the model gets wrong.")
    rng = np.random.default_rng(seed)
    generator = torch.Generator(model.device).manual_seed(seed + rank)
    precision = Precision(config.dtype, model.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.0)
    parts = {"model": model, "optimizer": optimizer, "scaler": precision.scaler, "order": rng, "sampling": generator}
    queue, history, skipped = (keeper and keeper.load(parts)) or ([], [], 0)
    trie = trie.to(model.device)
    ahead = range(len(history), config.steps)
    for step in tqdm(ahead, desc=f"RL ({config.arm})", mininterval=5, disable=rank > 0):
        while len(queue) < config.prompts:
            queue += rng.permutation(len(examples)).tolist()
        batch, queue = [examples[i] for i in queue[: config.prompts]], queue[config.prompts :]
        batch = batch[rank::n]
        started = perf_counter()
        roll = roll_out(model, [p for p, _ in batch], np.array([t for _, t in batch]), trie, vocab, config, generator)
        rolled = perf_counter()
        logs = update(model, reference, optimizer, roll, vocab, config, precision)
        skipped = 0 if np.isfinite(logs["grad_norm"]) else skipped + 1
        if skipped >= (SKIPPED if config.dtype == "float16" else 1):
            raise CRSError(f"RL step {step}: the gradient is not finite; lower rl_lr or begin from a sound checkpoint.")
        row = {
            "step": step,
            "reward": float(roll.reward.mean()),
            **{name: float(part.mean()) for name, part in roll.parts.items()},
            "silent_groups": float(1 - roll.informative.mean()),
            **variety_of(roll),
            "tokens": float(roll.mask.sum(-1).float().mean()),
            **logs,
            "seconds_rollout": rolled - started,
            "seconds_update": perf_counter() - rolled,
        }
        history.append(row)
        if on_step:
            on_step(step, row)
        if keeper:
            keeper.save(parts, (queue, history, skipped))
    if log_file and rank == 0:
        write_json_lines(log_file, history)
    model.eval()
    return history
