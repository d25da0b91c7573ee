"""Regenerate a simulated shop and measure its ceilings: what `python -m crs_lite data` does."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from crs_lite.errors import CRSError
from crs_lite.evaluate import ranks_of_targets, score
from crs_lite.logs import SearchLog
from crs_lite.marketplace import FROZEN_SHA256, HIDEABLE, N_ITEMS, N_USERS, Truth, generate, save
from crs_lite.paths import SHIPPED

CEILINGS = (("oracle", ()), ("informed", ()), *(("informed", (part,)) for part in HIDEABLE))


def ceiling(log: SearchLog, truth: Truth, kind: str, hide: tuple[str, ...] = ()) -> dict[str, float]:
    """HR, NDCG and MRR of a ceiling on the test split, rounded to 4 places."""
    test = log.split("test")
    ranked = truth.ranker(kind, hide).rank(test, 10)
    return {name: round(v, 4) for name, v in score(ranks_of_targets(ranked, [r.target for r in test])).items()}


def write(out: Path = SHIPPED, seed: int | None = None, n_items: int | None = None, n_users: int | None = None) -> None:
    """Generate a shop, measure its ceilings and save all of it in `out`; without numbers, the frozen shop.

    Raises `CRSError` when the frozen shop does not come out as frozen, and then writes nothing.
    """
    frozen = seed is None and n_items is None and n_users is None
    made = {"seed": seed or 0, "n_items": n_items or N_ITEMS, "n_users": n_users or N_USERS}
    log, truth = generate(**made)
    print(f"{log.name}: {len(log.items)} items, {len(log.users)} users, {len(log.requests)} requests, {log.digest()}")
    if frozen and log.digest() != FROZEN_SHA256:
        raise CRSError(f"marketplace: expected {FROZEN_SHA256}, got another log; use the numpy of requirements.txt.")
    ceilings = {}
    for kind, hide in tqdm(CEILINGS, desc="ceilings", file=sys.stderr):
        ceilings[truth.ranker(kind, hide).name] = ceiling(log, truth, kind, hide)
    sizes = {split: len(log.split(split)) for split in ("train", "valid", "test")}
    cold = sum(log.n_past(r) <= 2 for r in log.split("test"))
    save(out, log, truth, {"generator": made, "requests": sizes | {"cold_start_test": cold}, "test_ceilings": ceilings})
    for name, scores in ceilings.items():
        print(f"{name:22s}" + "".join(f"  {metric} {value:.3f}" for metric, value in scores.items()))
