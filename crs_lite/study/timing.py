"""Two ways to do the same, timed in turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter


@dataclass
class Row:
    """One measured pair, in seconds; `target` is the wanted ratio stock / ours (below 1: how much slower we may be)."""

    name: str
    ours: float
    stock: float
    target: float | None = None
    note: str = ""
    ratio: float = field(init=False)

    def __post_init__(self):
        self.ratio = self.stock / self.ours


def pair(ours: Callable[[], float], stock: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Median seconds of each, taken in turns; the first turn is warm-up. The callables return their own seconds."""
    seconds = [(ours(), stock()) for _ in range(repeats + 1)][1:]
    return median(a for a, _ in seconds), median(b for _, b in seconds)


def timed(work: Callable[[], object], clock: Callable[[], float] | None = None) -> Callable[[], float]:
    """-> a function that does the work and returns its seconds, by default as they pass on a wall clock."""
    now = clock or perf_counter

    def run() -> float:
        started = now()
        work()
        return now() - started

    return run
