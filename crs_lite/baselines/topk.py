"""The k best of a row of scores, the same way for every baseline: ties go to the lower item id."""

from __future__ import annotations

import numpy as np


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """`scores (N,)` -> `(k,)` int64 ids, best first; `-inf` means not ranked; `-1` pads the end."""
    out = np.full(k, -1, dtype=np.int64)
    n = min(k, len(scores))
    if n == 0:
        return out
    floor = np.partition(scores, -n)[-n]  # the n-th best score: everything below it can be left unsorted
    able = np.flatnonzero((scores >= floor) & (scores > -np.inf))
    best = able[np.argsort(-scores[able], kind="stable")][:n]
    out[: len(best)] = best
    return out
