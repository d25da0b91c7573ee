"""Why does the SFT behind RL cost: the filter, or the pass? The same pass at smaller learning rates, and one of equal
length over lessons of distillation, which nothing has filtered. Is R-GRPO's learning rate too small? And two whole
rounds at the rate that validation chose for the SFT."""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared, sample
from crs_lite.study.experiments.newcomers import among_newcomers
from crs_lite.study.experiments.shared import TUNED, Made, checked, later, tested
from crs_lite.tasks import Example, reasoned
from crs_lite.training import align, collect, consolidate, distil, explore, supervised
from crs_lite.workspace import Stage

RATES = (6e-4, 2e-4, 6e-5, 2e-5)  # the first is what tuning chose on the small log
AGAIN = (6e-4, 6e-5)
RL_RATE = 3e-4  # three times the recipe's
CHOSEN = 2e-5  # of `RATES`, on validation


def passes(p: Prepared) -> Made:
    """Every pass on validation requests, from the distilled start; test rows of the rates that validation chose."""
    q, start = among_newcomers(p), later(distil, p, later(align, p))
    explored = later(explore, q, start, "rgrpo", "newcomers", **TUNED["rgrpo"])
    collected = later(collect, q, explored, "newcomers-rgrpo")
    stages = {
        f"kept-lr={lr:g}": later(consolidate, q, start, collected, name=f"pass-kept-lr={lr:g}", lr=lr) for lr in RATES
    }
    stages |= {f"again-lr={lr:g}": later(over_lessons, p, start, collected, lr=lr) for lr in AGAIN}
    stages["rgrpo"] = explored
    stages[f"rgrpo-lr={RL_RATE:g}"] = later(explore, q, start, "rgrpo", "newcomers", lr=RL_RATE)
    first = stages[f"kept-lr={CHOSEN:g}"]
    stages["round1-rl"] = later(explore, q, first, "rgrpo", "slow-round1", **TUNED["rgrpo"])
    collected = later(collect, q, stages["round1-rl"], "slow-round1-rgrpo")
    stages["round1-sft"] = later(consolidate, q, first, collected, name="slow-round1-rgrpo-sft", lr=CHOSEN)
    for name, stage in stages.items():
        yield f"{name}-valid", partial(checked, p, f"pass, {name}", stage)
    for name, stage in stages.items():
        yield name, partial(tested, p, f"pass, {name}", stage)


def over_lessons(p: Prepared, start: Stage, collected: Stage, lr: float) -> Stage:
    """One pass over as many lessons of distillation, drawn at random: nothing new, nothing filtered."""

    def lessons() -> list[Example]:
        n = len(collected.json("kept.json", list[tuple[int, str]]))
        return reasoned(p.codec, [(r, p.lesson(r), r.target) for r in sample(p.taught, n, 6)])

    return supervised(p, f"pass-again-lr={lr:g}", start, {"as many as": collected}, lessons, lr)
