"""RL that asks for variety: an advantage is what a thought adds to the others' (our choice; beside R-GRPO, not in it).

Both arms judge a thought by the merged list (see `merging`), not by its own. `merged`: R(all) - R(all but it), by
beams. `mixture`: the likelihood of the target under the mean of the thoughts, with and without it; four forced tokens,
no beams. Loss and update are those of `rl`.
"""

from __future__ import annotations

import numpy as np
import torch
from transformers import PreTrainedModel

from crs_lite import rewards as R
from crs_lite.decode import Tree, beam_search, plant, sample
from crs_lite.rl import RLConfig, Rollout, Vocabulary, is_clean
from crs_lite.trie import Trie

ARMS = ("merged", "mixture")


def rollout(
    model: PreTrainedModel,
    prompts: list[list[int]],
    targets: np.ndarray,
    trie: Trie,
    vocab: Vocabulary,
    config: RLConfig,
    generator: torch.Generator | None = None,
) -> Rollout:
    """As `rl.rollout`, judged by what each thought adds to the others. Form and length count as they do there, less
    their group's mean; the sum is scaled once a batch, never a group."""
    model.eval()
    drawn = sample(
        plant(model, prompts, vocab.pad),
        config.group,
        vocab.end_think,
        config.max_reasoning,
        config.temperature,
        generator,
    )
    clean = is_clean(drawn.token, drawn.mask, vocab).cpu().numpy()
    tokens, closed = drawn.mask.sum(-1).cpu().numpy(), drawn.closed.cpu().numpy()
    if config.arm == "merged":
        items, logp = beam_search(drawn.tree, trie, config.beams)
        worth = merged_worth(items.cpu().numpy(), logp.double().cpu().numpy(), targets, config.beams)
    else:
        worth = mixture_worth(target_logprob(drawn.tree, vocab.sid[targets]).double().cpu().numpy())
    parts = {
        "format": R.format_reward(closed, clean),
        "length": R.length_reward(tokens, config.reward.min_tokens, config.reward.max_tokens),
        "rank": worth,
    }
    form = config.reward.format * parts["format"] + config.reward.length * parts["length"]
    raw = config.reward.rank * worth + form - form.mean(-1, keepdims=True)
    advantage = batch_scaled(raw)
    heard = (np.abs(raw) > 1e-8).any(-1)
    return Rollout(prompts, drawn.token, drawn.mask, drawn.chosen, drawn.logprob, parts, raw, advantage, heard)


@torch.no_grad()
def target_logprob(tree: Tree, codes: np.ndarray) -> torch.Tensor:
    """log P(ID | prompt, thought) of each prompt's target: codes `(B, 4)` -> `(B, G)`. Uses up the tree."""
    b, g, _ = tree.logits.shape
    total = torch.zeros(b, g, device=tree.logits.device)
    for level in range(codes.shape[1]):
        token = torch.as_tensor(codes[:, level], device=total.device)[:, None].expand(b, g)
        total = total + tree.logits.log_softmax(-1).gather(-1, token[..., None])[..., 0]
        if level < codes.shape[1] - 1:
            tree.logits = tree.feed(token, tree.visible, tree.position)
    return total


def merged_worth(items: np.ndarray, logp: np.ndarray, target: np.ndarray, k: int) -> np.ndarray:
    """What each thought adds to the merged list: R(all) - R(all but it), R = NDCG@k of the merged list, in [-1, 1].

    items (-1: none), logp `(B, G, K)`, target `(B,)` -> `(B, G)`. What the others reach alone does not depend on the
    thought, so this is an unbiased advantage as it stands: no centring. Ties count against the target.
    """
    p = np.where(items >= 0, np.exp(logp), 0.0)
    b, g, _ = items.shape
    worth = np.zeros((b, g))
    for row in range(b):
        found, where = np.unique(items[row], return_inverse=True)
        each = np.zeros((g, len(found)))  # what every thought gives every item
        np.add.at(each, (np.arange(g)[:, None], where.reshape(g, -1)), p[row])
        hit = found == target[row]
        if hit.any():
            total = each.sum(0)
            # Of all, and of all but one: summed anew, for what a subtraction leaves would break ties.
            lists = np.stack([total, *(np.delete(each, i, axis=0).sum(0) for i in range(g))])
            own = lists[:, hit]  # (1 + G, 1)
            rank = ((lists >= own) & ~hit & (found >= 0)).sum(-1)
            value = np.where((rank < k) & (own[:, 0] > 1e-12), 1 / np.log2(rank + 2.0), 0.0)
            worth[row] = value[0] - value[1:]
    return worth


def mixture_worth(logp: np.ndarray, most: float = 1.0) -> np.ndarray:
    """log mean_j p_j - log mean_{j != i} p_j of the target: logp `(..., G)` -> `(..., G)`, within `-most .. most`.

    The likelihood of the mixture with and without a thought. Clipped, for a thought that alone knows the target would
    otherwise count without bound.
    """
    g = logp.shape[-1]
    top = logp.max(-1, keepdims=True)
    p = np.exp(logp - top)
    rest = p.sum(-1, keepdims=True) - p
    with np.errstate(divide="ignore"):
        worth = np.log(p.sum(-1, keepdims=True) / g) - np.log(np.maximum(rest, 0.0) / (g - 1))
    return np.clip(worth, -most, most)


def batch_scaled(advantage: np.ndarray, eps: float = 1e-4) -> np.ndarray:
    """An advantage by the root of its mean square over the whole batch: one scale a step, none a group."""
    return advantage / (np.sqrt(np.mean(advantage**2)) + eps)
