"""Does R-GRPO beat GRPO from the same start? C3, first iteration."""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.experiments.shared import ARMS, FORM_ONLY, TUNED, Made, tested, tuned
from crs_lite.study.recorded import Row
from crs_lite.training import align, distil, explore


def arms(p: Prepared) -> Made:
    """R-GRPO, GRPO and beams with a top-1 reward; two RL seeds for the two arms that the claim compares."""
    start = distil(p, align(p))
    yield "distilled", partial(tested, p, "distilled SFT", start)

    def arm_row(arm: str, rl_seed: int) -> Row:
        explored = explore(p, start, arm, rl_seed=rl_seed, **tuned(p, TUNED[arm]))
        return tested(p, f"round0 {arm} {rl_seed}", explored, arm=arm, rl_seed=rl_seed)

    for rl_seed, some in ((0, ARMS), (1, ARMS[:2])):
        for arm in some:
            yield f"{arm}-{rl_seed}", partial(arm_row, arm, rl_seed)

    def control() -> Row:
        explored = explore(p, start, "rgrpo", **tuned(p, FORM_ONLY))
        return tested(p, "round0 form only", explored, arm="form_only", rl_seed=0)

    yield "form-only-0", control
