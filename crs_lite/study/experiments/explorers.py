"""Does RL on conclusions pay, for one thought and for merged ones? C2 to C5, B1, E3: two rounds of R-GRPO and GRPO,
one round of the other arms, all from the distilled start of the profile's recipe."""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.experiments.shared import TUNED, Made, later, tested, thoughts_row
from crs_lite.training import align, collect, consolidate, distil, explore

LOOPS = ("rgrpo", "grpo")
ONE_ROUND = ("beam_top1", "merged", "mixture")
LR = 1e-4  # of the arms that the first edition did not tune: that of R-GRPO


def explorers(p: Prepared) -> Made:
    """Every checkpoint with one greedy thought, after an empty one, and with merged thoughts."""
    start = later(distil, p, later(align, p))

    def rows(name: str, stage, **about) -> Made:
        yield name, partial(tested, p, name, stage, **about)
        yield f"{name}-empty", partial(tested, p, f"{name}, empty thought", stage, "none", **about)
        yield f"{name}-thoughts", partial(thoughts_row, p, name, stage, "test", **about)

    for arm in LOOPS:
        begin = start
        for i in range(2):
            path = f"round{i}-{arm}" if i else "round0"
            explored = later(explore, p, begin, arm, path, **TUNED[arm])
            yield from rows(f"{arm}-round{i}-rl", explored, arm=arm, round=i)
            collected = later(collect, p, explored, f"round{i}-{arm}")
            begin = later(consolidate, p, begin, collected, f"round{i}-{arm}-sft")
            yield from rows(f"{arm}-round{i}-sft", begin, arm=arm, round=i)
    for arm in ONE_ROUND:
        settings = TUNED.get(arm, {"lr": LR})
        yield from rows(f"{arm}-round0-rl", later(explore, p, start, arm, "round0", **settings), arm=arm, round=0)
