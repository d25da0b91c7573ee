"""What does the self-evolving loop do, round by round? C2, C4, C5, B1, O1, and C3's second iteration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.experiments.shared import ARMS, TUNED, Made, checked, later, tested, tuned
from crs_lite.study.recorded import Row
from crs_lite.training import align, collect, consolidate, distil, explore


def loop(p: Prepared, arms: Sequence[str] = ARMS, rounds: int = 2) -> Made:
    """Every stage scored, with both consolidations. The loops of the arms that R-GRPO is compared with end with the RL
    of their last round."""
    distilled = later(distil, p, later(align, p))
    for arm in arms:
        start = distilled
        for i in range(rounds):
            path = f"round{i}-{arm}"
            explored = later(explore, p, start, arm, path if i else "round0", **tuned(p, TUNED[arm]))
            about = {"arm": arm, "round": i}
            if i:
                yield f"{arm}-round{i}-rl", partial(tested, p, f"{path} RL", explored, **about)
            if arm != "rgrpo" and i == rounds - 1:
                break
            collected = later(collect, p, explored, path)
            about["kept"] = later(lambda stage: stage.info, collected)
            if arm == "rgrpo":
                other = later(consolidate, p, explored, collected, f"{path}-sft-from-rl")
                yield f"{arm}-round{i}-sft-from-rl", partial(tested, p, f"{path} SFT from RL", other, **about)
            start = later(consolidate, p, start, collected, f"{path}-sft")
            yield f"{arm}-round{i}-sft", partial(tested, p, f"{path} SFT", start, **about)


def long_loop(p: Prepared) -> Made:
    """The loop for four rounds, R-GRPO only: meant for one seed."""
    yield from loop(p, ("rgrpo",), 4)


def temperature(p: Prepared) -> Made:
    """How hot the explorer is sampled when its correct reasoning is collected: meant for one seed, validation only."""
    start = distil(p, align(p))

    def row(t: float, path: str) -> Row:
        collected = collect(p, explore(p, start, **tuned(p, TUNED["rgrpo"])), path, t)
        stage = consolidate(p, start, collected, f"{path}-sft")
        return checked(p, f"temperature {t}", stage, temperature=t, kept=collected.info)

    for t in (0.5, 1.0, 1.5):
        path = "round0-rgrpo" if t == p.profile.rl_temperature else f"round0-rgrpo-t{t}"
        yield f"t{t}", partial(row, t, path)
