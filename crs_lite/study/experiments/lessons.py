"""How much of what is lost is the shortness of the lesson? Judges no claim."""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.experiments.shared import BASELINES, TUNED, Made, later, tested, tuned
from crs_lite.training import align, direct, distil, explore

LESSONS = 3  # times over the requests, instead of once


def lessons(p: Prepared) -> Made:
    """The distilled start and direct SFT, `LESSONS` times over their requests, everything else as it is; and one round
    of RL from that start."""
    aligned = later(align, p)
    taught = later(distil, p, aligned, epochs=LESSONS)
    yield "distilled", partial(tested, p, f"distilled SFT, {LESSONS} times over", taught, epochs=LESSONS)
    answering = later(direct, p, aligned, epochs=LESSONS, **tuned(p, BASELINES["direct SFT"]))
    name = f"direct SFT, {LESSONS} times over"
    yield "direct-SFT", partial(tested, p, name, answering, "none", epochs=LESSONS)
    explored = later(explore, p, taught, "rgrpo", f"lessons{LESSONS}-round0", **tuned(p, TUNED["rgrpo"]))
    about = {"epochs": LESSONS, "arm": "rgrpo", "rl_seed": 0}
    yield "rgrpo-0", partial(tested, p, f"R-GRPO after {LESSONS} times over", explored, **about)
