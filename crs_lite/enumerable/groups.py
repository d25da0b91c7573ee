"""Exact sums over whole groups: how noisy a group's gradient is, and what a thought is worth to the merged list.

Shapes: G trajectories a group, C different rewards, N thoughts, D parameters that decide the thoughts of one context.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import factorial, log

import numpy as np

from crs_lite import rewards as R
from crs_lite.enumerable import exact
from crs_lite.errors import CRSError

MOST_GROUPS = 200_000


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
        signal = float(self.mean @ self.mean)
        return self.variance / signal if signal else float("inf")


def outcomes(s: exact.Sums, target: int, judge: exact.Judge, credit: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The rewards there are, `(C,)`, and P(thought, reward), `(C, N)`."""
    if judge == "drawn":
        hit = s.prob * s.items[:, target]
        return np.array([0.0, 1.0]), np.stack([s.prob - hit, hit])
    earned = exact.worth(s, target, judge, credit)
    values, which = np.unique(earned.round(12), return_inverse=True)
    return values, s.prob * (which == np.arange(len(values))[:, None])


def group_noise(values: np.ndarray, joint: np.ndarray, score: np.ndarray, group: int, scale: bool = True) -> Noise:
    """Mean and variance of a group's gradient, by enumerating how often each reward occurs among its G trajectories.

    values `(C,)`, joint `(C, N)`, score `(N, D)`. Given its reward, a trajectory's score has a mean and a second
    moment; given all rewards, `rewards.group_advantage` fixes the advantages. Raises `CRSError` where there are too
    many groups.
    """
    real = joint.sum(1) > 1e-300
    values, joint = values[real], joint[real]
    counts = list(combinations_with_replacement(range(len(values)), group)) if _few(len(values), group) else None
    if counts is None:
        raise CRSError(
            f"{len(values)} different rewards in groups of {group} are too many; take credit 0 or G smaller."
        )
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


def luck(s: exact.Sums, target: int) -> dict[str, float]:
    """The variance of GRPO's reward, split: `thought` = Var E[R | thought], `draw` = E Var[R | thought]."""
    hit = s.items[:, target]
    mean = float(s.prob @ hit)
    return {"thought": float(s.prob @ (hit - mean) ** 2), "draw": float(s.prob @ (hit * (1 - hit)))}


# -- the worth of a thought to the merged list ----------------------------------------------------------------------


def all_groups(n: int, group: int) -> np.ndarray:
    """Every group of G thoughts out of n, with order and repetition: `(n^G, G)`."""
    return np.array(list(product(range(n), repeat=group)))


def worth_to_list(
    items: np.ndarray, target: int, judge: exact.Judge = "list", places: int = exact.PLACES
) -> np.ndarray:
    """R(list of all) - R(list of all but i): items `(..., G, 24)` = p(item | thought) -> `(..., G)`."""
    all_but = (1 - np.eye(items.shape[-2])) @ items  # summed, not subtracted: what is equal must stay equal
    with_all = exact.list_worth(exact.best(items.sum(-2, keepdims=True)), target, judge)  # (..., 1)
    return with_all - exact.list_worth(exact.best(all_but), target, judge)


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
