"""Exact sums: over every thought, every list, every item, and, for small groups, every group. No sampling anywhere.

Shapes: N thoughts (1,885 of three words), 24 items, D = 169 parameters that decide the thoughts of one context.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement, product
from math import factorial, log
from typing import Literal

import numpy as np

from crs_lite import rewards as R
from crs_lite.enumerable.policy import START, Policy, log_softmax, softmax, steps
from crs_lite.enumerable.shop import CODES, LONGEST, N_CONTEXTS, PRIOR, SIZES, STOP, TOKENS, WORDS, thoughts, truth
from crs_lite.errors import CRSError

Judge = Literal["list", "first", "drawn"]  # R-GRPO's reward, the same beams' first place, GRPO's one drawn ID
PLACES = 6  # K: a beam of six keeps 3, 6, then the best 6 of 24 names, so here beam search is exact
MOST_GROUPS = 200_000


@lru_cache
def choices(longest: int = LONGEST) -> np.ndarray:
    """How often each thought makes each choice: `(N, 13, 13)`, [thought, last word or start, word or end]."""
    count = np.zeros((len(thoughts(longest)), STOP + 1, STOP + 1))
    for n, thought in enumerate(thoughts(longest)):
        for last, word in steps(thought, longest):
            count[n, last, word] += 1
    return count


@lru_cache
def bags(longest: int = LONGEST) -> tuple[np.ndarray, np.ndarray]:
    """Thoughts without their order: word counts `(455, 12)`, and of each thought the row of its bag `(N,)`."""
    count = np.array([np.bincount(t, minlength=len(WORDS)) for t in (list(t) for t in thoughts(longest))])
    return np.unique(count, axis=0, return_inverse=True)


@dataclass(frozen=True)
class Sums:
    """What a policy does in one context: prob `(N,)` of every thought, items `(N, 24)` = p(item | context, thought),
    lists `(N, K)`, the items that beams put first behind each thought, best first; greedy: the number of the thought
    that always takes the likeliest word."""

    prob: np.ndarray
    items: np.ndarray
    lists: np.ndarray
    greedy: int

    @property
    def merged(self) -> np.ndarray:
        """p(item | context) = sum over thoughts of pi(thought) p(item | thought), `(24,)`."""
        return self.prob @ self.items


def best(items: np.ndarray, places: int = PLACES) -> np.ndarray:
    """The likeliest items `(..., 24)` -> `(..., K)`, best first, equal ones in the catalogue's order."""
    return np.argsort(-items, axis=-1, kind="stable")[..., :places]


def greedy_thought(word_logits: np.ndarray, longest: int = LONGEST) -> tuple[int, ...]:
    """word_logits `(13, 13)` of one context -> the thought of the likeliest choices."""
    thought: tuple[int, ...] = ()
    while len(thought) < longest:
        word = int(word_logits[thought[-1] if thought else START].argmax())
        if word == STOP:
            break
        thought += (word,)
    return thought


def sums(policy: Policy, context: int, longest: int = LONGEST, places: int = PLACES) -> Sums:
    """Everything the policy can do in one context."""
    logits = policy.tables["words"][context]
    prob = np.exp(np.einsum("nij,ij->n", choices(longest), log_softmax(logits)))
    unordered, row = bags(longest)
    items = np.exp(policy.item_logprobs(context, unordered))
    greedy = thoughts(longest).index(greedy_thought(logits, longest))
    return Sums(prob, items[row], best(items, places)[row], greedy)


def scores(policy: Policy, context: int, longest: int = LONGEST) -> np.ndarray:
    """d log pi(thought) / d words[context], flat: `(N, 169)`. Its mean under pi is 0."""
    count = choices(longest)
    return (count - count.sum(-1, keepdims=True) * softmax(policy.tables["words"][context])).reshape(len(count), -1)


# -- what things are worth ------------------------------------------------------------------------------------------


def list_worth(lists: np.ndarray, target: int, judge: Judge, credit: float = 0.0) -> np.ndarray:
    """Reward of lists `(..., K)` for one target -> `(...)`. `credit`: for two shared ID tokens; for one, a third of it."""
    scored = R.item_scores(CODES[lists], CODES[target], (credit / 3, credit) if judge == "list" else (0.0, 0.0))
    return R.rank_reward(scored) if judge == "list" else R.top1_reward(scored)


def worth(s: Sums, target: int, judge: Judge, credit: float = 0.0) -> np.ndarray:
    """What each thought earns on average, `(N,)`: with beams for certain, with a drawn ID by its probability of
    hitting."""
    return s.items[:, target] if judge == "drawn" else list_worth(s.lists, target, judge, credit)


def value(s: Sums, target: int, judge: Judge, credit: float = 0.0) -> float:
    """The expected reward of one trajectory, exactly."""
    return float(s.prob @ worth(s, target, judge, credit))


def gradient(policy: Policy, context: int, target: int, judge: Judge, credit: float = 0.0) -> np.ndarray:
    """d value / d words[context], `(169,)`: the sum over all thoughts of pi * worth * score."""
    s = sums(policy, context)
    return (s.prob * worth(s, target, judge, credit)) @ scores(policy, context)


def quality(lists: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """NDCG@K of lists `(..., K)`, averaged over what the shopper may click, wanted `(24,)` -> `(...)`."""
    return wanted[lists] @ R.rank_weights(lists.shape[-1])


def entropy(p: np.ndarray) -> float:
    """In bits."""
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def measure(policy: Policy, places: int = PLACES) -> dict[str, float]:
    """The state of a policy, each an average over the twelve contexts.

    one, thought, merged, direct: quality of the greedy thought's list, of a sampled thought's list on average, of the
    merged list, of the list without a thought. entropy: of the thoughts, bits. true_words: of the facets that a thought
    states, the share that is true of the clicked item. prior: how probable are thoughts that name the teacher's prior.
    """
    p = truth()
    rows = []
    states = np.array([[w in t for w in range(STOP)] for t in thoughts()])[:, : sum(SIZES)]  # (N, 9)
    for c in range(N_CONTEXTS):
        s = sums(policy, c, places=places)
        stated = s.prob @ states  # (9,)
        is_true = np.array([p[c][(TOKENS == w).any(1)].sum() for w in range(sum(SIZES))])
        of_thought = quality(s.lists, p[c])
        rows.append(
            {
                "one": float(of_thought[s.greedy]),
                "thought": float(s.prob @ of_thought),
                "merged": float(quality(best(s.merged, places), p[c])),
                "direct": float(of_thought[0]),
                "entropy": entropy(s.prob),
                "true_words": float(stated @ is_true / stated.sum()),
                "prior": float(s.prob @ states[:, list(PRIOR)].all(1)),
            }
        )
    return {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}


def ceiling(places: int = PLACES) -> float:
    """The quality of the list that the truth itself would make."""
    p = truth()
    return float(np.mean([quality(best(row, places), row) for row in p]))


# -- how noisy a group is -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noise:
    """A group's gradient estimate (1/G) sum of advantage * score: its mean `(D,)`, and the sum of its D variances.

    silent: the probability that all G rewards are equal. Not scaled, the mean is (1 - 1/G) times the exact gradient."""

    mean: np.ndarray
    variance: float
    silent: float

    @property
    def groups_needed(self) -> float:
        """How many groups must be averaged until noise is no larger than signal: variance / |mean|^2."""
        return self.variance / float(self.mean @ self.mean)


def outcomes(s: Sums, target: int, judge: Judge, credit: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The rewards there are, `(C,)`, and P(thought, reward), `(C, N)`."""
    if judge == "drawn":
        hit = s.prob * s.items[:, target]
        return np.array([0.0, 1.0]), np.stack([s.prob - hit, hit])
    earned = worth(s, target, judge, credit)
    values, which = np.unique(earned.round(12), return_inverse=True)
    return values, s.prob * (which == np.arange(len(values))[:, None])


def group_noise(values: np.ndarray, joint: np.ndarray, score: np.ndarray, group: int, scale: bool = True) -> Noise:
    """Mean and variance of a group's gradient, by enumerating how often each reward occurs among its G trajectories.

    values `(C,)`, joint `(C, N)`, score `(N, D)`. Given its reward, a trajectory's score has a mean and a second moment;
    given all rewards, `rewards.group_advantage` fixes the advantages. Raises `CRSError` where there are too many groups.
    """
    real = joint.sum(1) > 1e-300
    values, joint = values[real], joint[real]
    counts = list(combinations_with_replacement(range(len(values)), group)) if _few(len(values), group) else None
    if counts is None:
        raise CRSError(f"{len(values)} different rewards in groups of {group} are too many; take credit 0 or G smaller.")
    chance = joint.sum(1)
    mean = joint @ score / chance[:, None]  # (C, D)
    spread = joint @ (score**2).sum(1) / chance - (mean**2).sum(1)  # (C,): sum of variances given the reward
    kinds = np.array(counts)  # (groups, G)
    advantage, informative = R.group_advantage(values[kinds], scale=scale)
    tally = (kinds[..., None] == np.arange(len(values))).sum(1)  # (groups, C)
    ways = factorial(group) / np.prod([[factorial(n) for n in row] for row in tally], axis=1)
    p = ways * np.prod(chance**tally, axis=1)
    given = np.einsum("xg,xgd->xd", advantage, mean[kinds]) / group
    total = p @ given
    within = (advantage**2 * spread[kinds]).sum(1) / group**2
    return Noise(total, float(p @ (within + (given**2).sum(1)) - total @ total), float(p[~informative].sum()))


def _few(kinds: int, group: int) -> bool:
    """Whether the multisets of `group` out of `kinds` can be listed."""
    number = 1.0
    for n in range(1, group + 1):
        number *= (kinds + n - 1) / n
    return number <= MOST_GROUPS


def luck(s: Sums, target: int) -> dict[str, float]:
    """The variance of GRPO's reward, split: `thought` = Var E[R | thought], `draw` = E Var[R | thought]."""
    hit = s.items[:, target]
    mean = float(s.prob @ hit)
    return {"thought": float(s.prob @ (hit - mean) ** 2), "draw": float(s.prob @ (hit * (1 - hit)))}


# -- the worth of a thought to the merged list ----------------------------------------------------------------------


def all_groups(n: int, group: int) -> np.ndarray:
    """Every group of G thoughts out of n, with order and repetition: `(n^G, G)`."""
    return np.array(list(product(range(n), repeat=group)))


def worth_to_list(items: np.ndarray, target: int, judge: Judge = "list", places: int = PLACES) -> np.ndarray:
    """R(list of all) - R(list of all but i): items `(..., G, 24)` = p(item | thought) -> `(..., G)`."""
    total = items.sum(-2, keepdims=True)
    with_all = list_worth(best(total, places), target, judge)  # (..., 1)
    return with_all - list_worth(best(total - items, places), target, judge)


def worth_to_likelihood(p: np.ndarray) -> np.ndarray:
    """log mean_j p_j - log mean_{j != i} p_j: p `(..., G)` = p(target | thought) -> `(..., G)`."""
    group = p.shape[-1]
    total = p.sum(-1, keepdims=True)
    return np.log(total / group) - np.log((total - p) / (group - 1))


def likelihood_bound(prob: np.ndarray, p: np.ndarray, group: int) -> float:
    """E log mean of G of the p: what `worth_to_likelihood` climbs. It lies below log E p and nears it as G grows."""
    number = all_groups(len(prob), group)
    return float(prob[number].prod(-1) @ np.log(p[number].mean(-1)))


def total_log(prob: np.ndarray, p: np.ndarray) -> float:
    """log p(target | context) = log E p: the likelihood of the mixture itself."""
    return log(float(prob @ p))

