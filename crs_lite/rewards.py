"""Rewards: pure functions of arrays. The R-GRPO reward is `rank_reward`; everything else stands around it.

Shapes: `(..., K)` is a ranked list, best first; leading axes (say `(B, G)`) are free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RewardConfig:
    """Weights of the parts (paper, R-GRPO total reward; the values are our choice).

    prefix_credit: what an item earns that shares the first 1, 2 or 3 ID tokens with the target. Each must stay
    <= 0.06 at K = 10: then any list that holds the target beats any list that does not (see `rank_reward`).
    min_tokens, max_tokens: the span of reasoning lengths that earns the full length part.
    """

    format: float = 0.1
    length: float = 0.1
    validity: float = 0.1
    rank: float = 1.0
    prefix_credit: tuple[float, float, float] = (0.0, 0.01, 0.03)
    min_tokens: int = 6
    max_tokens: int = 56


def rank_weights(k: int) -> np.ndarray:
    """w_k = 1 / log2(k + 1) for k = 1..K: `(K,)`, w_1 = 1."""
    return 1.0 / np.log2(np.arange(2, k + 2))


def item_scores(lists: np.ndarray, target: np.ndarray, prefix_credit: tuple[float, ...]) -> np.ndarray:
    """Hierarchical item score: 1 for the target, a little for a shared ID prefix, else 0.

    lists `(..., K, 4)` codes of the listed items (negative = no item), target `(..., 4)` -> `(..., K)`.
    """
    same = np.logical_and.accumulate(lists == target[..., None, :], axis=-1).sum(-1)  # length of the shared prefix
    return np.array([0.0, *prefix_credit, 1.0])[same]


def rank_reward(scores: np.ndarray) -> np.ndarray:
    """R_rank = sum_k w_k s_k: item scores `(..., K)` -> `(...)`. With exact match only this is NDCG@K.

    The weights are not normalised to sum 1, so a hit on top is worth 1 beside the other parts of the reward. What keeps
    ten near misses below the target is the size of their credit, see `RewardConfig`; normalising would change no
    comparison."""
    return scores @ rank_weights(scores.shape[-1])


def top1_reward(scores: np.ndarray) -> np.ndarray:
    """What GRPO looks at: 1 if the first item is the target, else 0. `(..., K)` -> `(...)`."""
    return (scores[..., 0] >= 1.0).astype(float)


def format_reward(closed: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """1 where the model closed its reasoning by itself and put no ID token inside it. `(...)` bool -> `(...)`."""
    return (closed & clean).astype(float)


def length_reward(tokens: np.ndarray, low: int, high: int) -> np.ndarray:
    """1 inside [low, high], falling linearly to 0 at 0 and at 2 * high. `(...)` counts -> `(...)`."""
    rise = tokens / max(low, 1)
    fall = 2.0 - tokens / max(high, 1)
    return np.clip(np.minimum(rise, fall), 0.0, 1.0)


def validity_reward(valid: np.ndarray) -> np.ndarray:
    """Share of the list that names catalogue items: `(..., K)` bool -> `(...)`. 1 by construction with a trie."""
    return valid.mean(-1)


def total_reward(parts: dict[str, np.ndarray], config: RewardConfig) -> np.ndarray:
    """The weighted sum of the parts format, length, validity, rank (each logged by itself as well)."""
    return sum(getattr(config, name) * value for name, value in parts.items())


def group_advantage(reward: np.ndarray, eps: float = 1e-4, scale: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """GRPO: how much better a trajectory is than its group, `(B, G)` -> advantage `(B, G)`, informative `(B,)`.

    (R - mean) / (std + eps) with the sample standard deviation (divided by G - 1, as TRL does; needs G >= 2); without
    the division if not `scale` (Dr.GRPO). A group whose rewards are all equal teaches nothing: its advantage is 0 and
    `informative` is False.
    """
    centred = reward - reward.mean(-1, keepdims=True)
    std = reward.std(-1, ddof=1, keepdims=True)
    informative = std[..., 0] > 1e-8
    advantage = centred / (std + eps) if scale else centred
    return np.where(informative[..., None], advantage, 0.0), informative
