"""Is the reward only the metric? N3: one round of R-GRPO from one start under several rewards for the list, judged by
metrics that none of them looks at."""

from __future__ import annotations

from functools import partial

import numpy as np

from crs_lite import rewards as R
from crs_lite.evaluate import MISS, evaluate
from crs_lite.logs import SearchRequest
from crs_lite.prepared import Prepared
from crs_lite.rl import RLConfig, Vocabulary
from crs_lite.scoring import Remembering, crs_ranker
from crs_lite.study.experiments.shared import TUNED, Made, later, tested, thoughts_row
from crs_lite.study.recorded import Row
from crs_lite.training import align, distil, explore
from crs_lite.workspace import Stage

WIDE = 50  # how far down the metrics look that no reward sees
NO_CREDIT = (0.0, 0.0, 0.0)


def _scores(ranked: np.ndarray, target: np.ndarray, vocab: Vocabulary, config: RLConfig) -> np.ndarray:
    return R.item_scores(vocab.codes_of(ranked), vocab.sid[target], config.reward.prefix_credit)


def uniform(ranked: np.ndarray, target: np.ndarray, vocab: Vocabulary, config: RLConfig) -> np.ndarray:
    """Every place of the list counts the same: ranked `(..., K)`, target `(...)` -> `(...)`."""
    return _scores(ranked, target, vocab, config).sum(-1)


def top1(ranked: np.ndarray, target: np.ndarray, vocab: Vocabulary, config: RLConfig) -> np.ndarray:
    """The first place alone: `(...)`."""
    return _scores(ranked, target, vocab, config)[..., 0]


def log2(ranked: np.ndarray, target: np.ndarray, vocab: Vocabulary, config: RLConfig) -> np.ndarray:
    """That of R-GRPO: `(...)`."""
    return R.rank_reward(_scores(ranked, target, vocab, config))


def rere(ranked: np.ndarray, target: np.ndarray, vocab: Vocabulary, config: RLConfig) -> np.ndarray:
    """ReRe's reward of an item (1 for the target; where the list holds it, -d_i / sum(d) for a wrong item in place i,
    d_i = 1 / log2(i + 1)), summed over the list: `(...)`. The sum is d_k / sum(d) for a target in place k: the discount
    of R-GRPO, 4.5 times smaller beside the rewards for form."""
    hit = (ranked == target[..., None]).astype(float)
    d = R.rank_weights(ranked.shape[-1])
    held = hit.any(-1, keepdims=True)
    return (hit - np.where(held, (1 - hit) * d / d.sum(), 0.0)).sum(-1)


# name -> (what is seen of the list, partial credit on)
REWARDS = {
    "log2-credit": (log2, True),
    "log2": (log2, False),
    "uniform-credit": (uniform, True),
    "uniform": (uniform, False),
    "top1-credit": (top1, True),
    "top1": (top1, False),
    "rere": (rere, False),
}


def list_rewards(p: Prepared) -> Made:
    """The start, and after one round under each reward: one thought, a wide list, merged thoughts."""
    start = later(distil, p, later(align, p))
    stages = {"start": (start, {})}
    for name, (rank, credit) in REWARDS.items():
        reward = R.RewardConfig() if credit else R.RewardConfig(prefix_credit=NO_CREDIT)
        explored = later(explore, p, start, "rgrpo", f"list-{name}", rank=rank, **TUNED["rgrpo"], reward=reward)
        stages[name] = explored, {"reward": name}
    for name, (stage, about) in stages.items():
        label = f"list reward {name}"
        yield name, partial(tested, p, label, stage, **about)
        yield f"{name}-wide", partial(wide, p, label, stage, **about)
        yield f"{name}-thoughts", partial(thoughts_row, p, label, stage, "test", **about)


def wide(p: Prepared, name: str, stage, **about) -> Row:
    """The row of lists of `WIDE` items after one greedy thought: ranks in them, and `coverage`, the share of the
    catalogue that stands in the first ten of some list."""
    checkpoint: Stage = stage()
    requests: list[SearchRequest] = p.requests("test")
    kept = Remembering(crs_ranker(p, checkpoint.folder, "own", f"{name}, wide"))
    found = evaluate(kept, p.log, requests, WIDE)
    ranks = found.rank_array()
    gain = np.where(ranks < MISS, 1 / np.log2(ranks + 2.0), 0.0)
    return {
        **about, "system": f"{name}, wide", "split": "test", "n": len(requests), "request_ids": found.request_ids,
        "ranks": found.ranks, "NDCG@50": float(gain.mean()),
        "coverage": len(np.unique(kept.lists[:, :10])) / len(p.log.items), "stage": checkpoint.folder.name,
    }  # fmt: skip
