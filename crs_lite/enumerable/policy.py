"""A policy of plain tables: it writes a thought word by word, then an ID token by token. Every gradient is
*one-hot minus probabilities*, so a reader can follow each step with a pencil."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crs_lite.enumerable.shop import N_CONTEXTS, SIZES, STOP, TOKENS, WORDS, Generator

START = STOP  # as a state: nothing has been written yet
NOWHERE = N_CONTEXTS  # a 13th context for lessons without any: "these words name this item"
LEVELS = np.cumsum((0, *SIZES))  # where the tokens of each level begin: 0, 3, 5, 9
SHAPES = {
    "words": (N_CONTEXTS, STOP + 1, STOP + 1),  # context, last word (or the start), next word (or the end)
    "category": (N_CONTEXTS + 1, SIZES[0]),  # context, ID token
    "brand": (N_CONTEXTS + 1, SIZES[0], SIZES[1]),  # context, prefix, ID token
    "style": (N_CONTEXTS + 1, SIZES[0] * SIZES[1], SIZES[2]),
    "meaning": (len(WORDS), sum(SIZES)),  # a word of the thought, ID token
}
N_PARAMETERS = sum(int(np.prod(s)) for s in SHAPES.values())


def softmax(x: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class Policy:
    """All parameters in one vector `theta (2565,)`, float64, with a named view of each table (`SHAPES`).

    pi(next word | context, last word) = softmax(words[context, last]).
    p(ID token | context, thought, ID prefix) = softmax(table[context, prefix] + sum of meaning[word] over the thought):
    the context proposes and every word pulls. Which word came first makes no difference to the ID.
    """

    def __init__(self, theta: np.ndarray):
        self.theta, at = theta, 0
        self.tables: dict[str, np.ndarray] = {}
        for name, shape in SHAPES.items():
            size = int(np.prod(shape))
            self.tables[name] = theta[at : at + size].reshape(shape)
            at += size

    @classmethod
    def zeros(cls) -> Policy:
        """All parameters 0: also the form of a gradient."""
        return cls(np.zeros(N_PARAMETERS))

    @classmethod
    def start(cls, generator: Generator, spread: float = 0.1) -> Policy:
        """Small random parameters, uniform in +-spread, in the order of `theta`."""
        return cls(np.array([(2 * generator.uniform() - 1) * spread for _ in range(N_PARAMETERS)]))

    def copy(self) -> Policy:
        """The same parameters in their own memory."""
        return Policy(self.theta.copy())

    def item_logprobs(self, context: int, bags: np.ndarray) -> np.ndarray:
        """log p(item | context, thought) for thoughts given as word counts, bags `(n, 12)` -> `(n, 24)`."""
        pull = bags @ self.tables["meaning"]  # (n, 9)
        levels = [
            log_softmax(self.tables["category"][context] + pull[:, : LEVELS[1]]),  # (n, 3)
            log_softmax(self.tables["brand"][context] + pull[:, None, LEVELS[1] : LEVELS[2]]),  # (n, 3, 2)
            log_softmax(self.tables["style"][context] + pull[:, None, LEVELS[2] :]),  # (n, 6, 4)
        ]
        n = len(bags)
        total = levels[0][:, :, None] + levels[1]
        return (total.reshape(n, -1, 1) + levels[2]).reshape(n, -1)

    def id_probs(self, context: int, thought: Sequence[int], item: int) -> list[np.ndarray]:
        """Probabilities of the tokens on each level, behind the beginning of this item's ID: three vectors."""
        category, brand = TOKENS[item, 0], TOKENS[item, 1] - LEVELS[1]
        rows = (
            self.tables["category"][context],
            self.tables["brand"][context, category],
            self.tables["style"][context, category * SIZES[1] + brand],
        )
        pull = self.tables["meaning"][list(thought)].sum(0)
        return [softmax(row + pull[LEVELS[n] : LEVELS[n + 1]]) for n, row in enumerate(rows)]


def steps(thought: Sequence[int], longest: int = 3) -> list[tuple[int, int]]:
    """The choices that made a thought: (last word or start, word or end). A forced end is no choice."""
    path = [START, *thought, *([STOP] if len(thought) < longest else [])]
    return list(zip(path, path[1:], strict=False))


def add_thought(gradient: Policy, probs: np.ndarray, context: int, thought, weights: Sequence[float]) -> None:
    """gradient += sum over its choices of weight * d log pi(choice) / d theta. probs `(13, 13)` of this context."""
    for (last, word), weight in zip(steps(thought), weights, strict=True):
        row = gradient.tables["words"][context, last]
        row -= weight * probs[last]
        row[word] += weight


def add_item(gradient: Policy, policy: Policy, context: int, thought, item: int, weights: Sequence[float]) -> None:
    """gradient += sum over the ID's three tokens of weight * d log p(token) / d theta."""
    category, brand = TOKENS[item, 0], TOKENS[item, 1] - LEVELS[1]
    rows = (
        gradient.tables["category"][context],
        gradient.tables["brand"][context, category],
        gradient.tables["style"][context, category * SIZES[1] + brand],
    )
    for n, (row, p) in enumerate(zip(rows, policy.id_probs(context, thought, item), strict=True)):
        push = -weights[n] * p
        push[TOKENS[item, n] - LEVELS[n]] += weights[n]
        row += push
        for word in thought:
            gradient.tables["meaning"][word, LEVELS[n] : LEVELS[n + 1]] += push
