"""Exact sums over every thought and every item: probabilities, lists, values, gradients. No sampling anywhere.

Shapes: N thoughts (1,885 of three words), 24 items, D = 169 parameters that decide the thoughts of one context.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from crs_lite import rewards as R
from crs_lite.enumerable.policy import START, Policy, log_softmax, softmax, steps
from crs_lite.enumerable.shop import CODES, LONGEST, N_CONTEXTS, PRIOR, SIZES, STOP, TOKENS, WORDS, thoughts, truth

Judge = Literal["list", "first", "drawn"]  # R-GRPO's reward, the same beams' first place, GRPO's one drawn ID
PLACES = 6  # K: a beam of six keeps 3, 6, then the best 6 of 24 names, so here beam search is exact


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
    """Reward of lists `(..., K)` for one target -> `(...)`. Two shared ID tokens earn `credit`, one a third of it."""
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
    states, the share that is true of the clicked item. fillers: of all words, the share that states nothing. prior: how
    probable are thoughts that name the teacher's prior.
    """
    p = truth()
    rows = []
    said = np.array([[t.count(w) for w in range(STOP)] for t in thoughts()])  # (N, 12)
    states = said[:, : sum(SIZES)] > 0  # (N, 9)
    for c in range(N_CONTEXTS):
        s = sums(policy, c, places=places)
        stated, words = s.prob @ states, s.prob @ said  # (9,), (12,)
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
                "fillers": float(words[sum(SIZES) :].sum() / words.sum()),
                "prior": float(s.prob @ states[:, list(PRIOR)].all(1)),
            }
        )
    return {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}


def ceiling(places: int = PLACES) -> float:
    """The quality of the list that the truth itself would make."""
    p = truth()
    return float(np.mean([quality(best(row, places), row) for row in p]))
