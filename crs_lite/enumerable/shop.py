"""Twenty-four items, twelve contexts, twelve words, and the truth: everything a reader can check by hand.

`book/live/enumerable.js` holds the same tables and the same generator; a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import numpy as np

CATEGORIES = ("lamp", "mug", "chair")
BRANDS = ("Alba", "Brio")
STYLES = ("plain", "dark", "light", "bold")
FILLERS = ("nice", "good", "new")
WORDS = (*CATEGORIES, *BRANDS, *STYLES, *FILLERS)
STOP = len(WORDS)  # the end of a thought: the 13th thing the policy can write
LONGEST = 3  # words in a thought; behind the third the end is forced
SIZES = (len(CATEGORIES), len(BRANDS), len(STYLES))  # tokens on each level of an ID

# An item's ID is its facet values and nothing else: (24, 3), row = item. As token ids the levels are kept apart.
CODES = np.array(list(product(*map(range, SIZES))))
TOKENS = CODES + np.array([0, SIZES[0], SIZES[0] + SIZES[1]])  # (24, 3): the words that name the item's facets, too
N_ITEMS = len(CODES)

# Twelve contexts: what is asked (the category's name) and what the shopper clicked before.
HISTORIES = ("clicked Alba plain", "clicked Alba plain and Brio bold", "clicked Brio dark", "new here")
ASKED = 0.9  # how often the clicked item is of the category asked for; the other two share the rest
# P(brand, style | history): rows Alba, Brio; columns plain, dark, light, bold.
TASTE = np.array(
    [
        [[0.60, 0.10, 0.10, 0.02], [0.06, 0.04, 0.04, 0.04]],
        [[0.42, 0.04, 0.04, 0.04], [0.04, 0.04, 0.04, 0.34]],
        [[0.04, 0.04, 0.04, 0.04], [0.10, 0.46, 0.20, 0.08]],
        [[0.05, 0.05, 0.15, 0.05], [0.15, 0.10, 0.35, 0.10]],
    ]
)
CONTEXTS = tuple(f"“{asked}”, {history}" for asked in CATEGORIES for history in HISTORIES)
N_CONTEXTS = len(CONTEXTS)
TWO_TASTES = 1  # the context “lamp”, clicked Alba plain and Brio bold: the running example

# The teacher reads the click and names its facets. Its planted bias: with a chosen probability it explains with its own
# prior instead, "Alba dark", whatever this shop's shopper clicked. Any word may give way to a filler.
PRIOR = (WORDS.index("Alba"), WORDS.index("dark"))
FILLED = 0.1


def truth() -> np.ndarray:
    """p*(item | context), `(12, 24)`; every row sums to 1."""
    rows = []
    for asked, taste in product(range(SIZES[0]), TASTE):
        category = [ASKED if c == asked else (1 - ASKED) / (SIZES[0] - 1) for c in range(SIZES[0])]
        rows.append(np.concatenate([p * taste.ravel() for p in category]))
    return np.array(rows)


@lru_cache
def thoughts(longest: int = LONGEST) -> tuple[tuple[int, ...], ...]:
    """Every thought of at most `longest` words, the empty one first: 1,885 of three."""
    return tuple(t for n in range(longest + 1) for t in product(range(len(WORDS)), repeat=n))


def lessons(item: int, bias: float) -> dict[tuple[int, ...], float]:
    """The teacher as a distribution: thought -> probability, given the clicked item. bias 0..1."""
    known: dict[tuple[int, ...], float] = {}
    fillers = range(STOP - len(FILLERS), STOP)
    category, *own = TOKENS[item].tolist()
    for chance, named in ((1 - bias, (category, *own)), (bias, (category, *PRIOR))):
        for thought in product(*[(word, *fillers) for word in named]):
            p = chance
            for word in thought:
                p *= FILLED / len(FILLERS) if word in fillers else 1 - FILLED
            known[thought] = known.get(thought, 0.0) + p
    return {thought: p for thought, p in known.items() if p > 0}


def say(thought: Sequence[int]) -> str:
    """A thought as text; "(nothing)" for the empty one."""
    return " ".join(WORDS[w] for w in thought) or "(nothing)"


def name(item: int) -> str:
    """An item as text."""
    return say(TOKENS[item].tolist())


class Generator:
    """Mulberry32 (T. Ettinger, public domain): 32 bits of state, three lines in any language, the same numbers in each.

    Good enough for a page to train with; not for anything that needs more than 2^32 draws.
    """

    def __init__(self, seed: int):
        self.state = seed & 0xFFFFFFFF

    def uniform(self) -> float:
        """The next number of [0, 1)."""
        self.state = (self.state + 0x6D2B79F5) & 0xFFFFFFFF
        t = self.state
        t = ((t ^ (t >> 15)) * (t | 1)) & 0xFFFFFFFF
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        return ((t ^ (t >> 14)) & 0xFFFFFFFF) / 4294967296

    def below(self, cumulative: np.ndarray) -> int:
        """An index drawn by inverting the cumulative weights `(n,)`."""
        return min(int(np.searchsorted(cumulative, self.uniform() * cumulative[-1], side="right")), len(cumulative) - 1)
