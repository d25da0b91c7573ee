"""Was the loop's pool its trouble? The same starts and budgets, but the loop practises on other shoppers of the same
shop, over the whole span of the log: shoppers who have a past. C2, C4, C5 and a part of N2 asked again."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np

from crs_lite import marketplace
from crs_lite.errors import CRSError
from crs_lite.evaluate import COLD
from crs_lite.logs import SearchLog
from crs_lite.prepared import Prepared, sample
from crs_lite.reasoning.perception import Perception
from crs_lite.study.experiments.schedules import followed
from crs_lite.study.experiments.shared import TUNED, Made, later, tested
from crs_lite.tasks import Codec
from crs_lite.training import align, collect, consolidate, distil, explore

SHOPPERS, CROWD = 3600, 2  # the frozen logs are the crowds 0 and 1
SCHEDULES = ("sft", "alternate")


@cache
def crowd() -> SearchLog:
    """The log of other shoppers of the frozen shop. No stage before the loop has seen them, and no test request is
    theirs."""
    return marketplace.generate(n_users=SHOPPERS, crowd=CROWD)[0]


def among_newcomers(p: Prepared) -> Prepared:
    """The same run with a pool of as many requests, drawn at random from the training span of `crowd()`. Raises
    `CRSError` where the run's log is not of the frozen shop."""
    log = crowd()
    if log.items != p.log.items:
        raise CRSError(
            f"log {p.log.name!r}: not the frozen shop's items, so it has no newcomers; use marketplace-large."
        )
    codec = Codec(log, p.sids, p.tokenizer, p.codec_options)
    pool = sample(log.split("train"), p.profile.collect_requests, 1)
    perception = Perception(codec, p.profile.reasoning)
    return replace(p, log=log, log_key=log.digest(), codec=codec, pool=pool, perception=perception)


def newcomers(p: Prepared) -> Made:
    """One round of R-GRPO and the SFT behind it; then the schedules that need no more than the loop's own stages."""
    q, start = among_newcomers(p), later(distil, p, later(align, p))
    past = [q.log.n_past(r) for r in q.pool]
    about = {
        "pool": {
            "log_sha256": q.log_key,
            "requests": len(past),
            "past_interactions": round(float(np.mean(past)), 2),
            "cold_starts": round(float(np.mean([n <= COLD for n in past])), 4),
        }
    }
    explored = later(explore, q, start, "rgrpo", "newcomers", **TUNED["rgrpo"])
    collected = later(collect, q, explored, "newcomers-rgrpo")
    consolidated = later(consolidate, q, start, collected, "newcomers-rgrpo-sft")
    for name, stage in (("rgrpo-rl", explored), ("rgrpo-sft", consolidated)):
        yield name, partial(tested, p, f"{name}, newcomers", stage, arm="rgrpo", round=0, **about)
        yield f"{name}-empty", partial(tested, p, f"{name}, newcomers, empty thought", stage, "none", **about)
    for name in SCHEDULES:
        yield name, partial(tested, p, f"schedule {name}, newcomers", followed(q, start, name, "newcomers"), **about)
