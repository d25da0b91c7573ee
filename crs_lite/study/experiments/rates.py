"""Is the fight fair to those who answer at once? The pass over every request behind the alignment, with a thought and
without, at several learning rates, and both merged; second edition."""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared, taught_as
from crs_lite.study.controls import Forgetful
from crs_lite.study.experiments.shared import Made, checked, later, tested, thoughts_row
from crs_lite.training import align, direct, distil

# Tuning on the small log chose the first two; the thought, which learns too little at the smallest, gets another. Rows
# at 2e-3 are in `answers` and `thoughts`.
RATES = {"direct": (2e-4, 6e-4), "thought": (2e-4, 6e-4, 1.1e-3)}
CHOSEN = {"direct": 6e-4, "thought": 1.1e-3}  # what the validation rows speak for


def rates(p: Prepared) -> Made:
    """Every rate on validation requests, and there a student with hindsight at the chosen one; test rows of the rates
    that validation chose, with sixteen thoughts too, or sixteen contexts with past interactions left out."""
    aligned = later(align, p)
    stages = {"aligned": (aligned, "none")}
    for lr in RATES["direct"]:
        stages[f"direct-lr={lr:g}"] = later(direct, p, aligned, lr=lr), "none"
    for lr in RATES["thought"]:
        stages[f"thought-lr={lr:g}"] = later(distil, p, aligned, lr=lr), "own"
    for name, (stage, reason) in stages.items():
        yield f"{name}-valid", partial(checked, p, f"rates, {name}", stage, reason)
    q, name = taught_as(p, teacher="hindsight"), f"hindsight-lr={CHOSEN['thought']:g}"
    knowing = later(distil, q, aligned, lr=CHOSEN["thought"])
    yield f"{name}-valid", partial(checked, q, f"rates, {name}", knowing, teacher="hindsight")
    for name, (stage, reason) in stages.items():
        yield name, partial(tested, p, f"rates, {name}", stage, reason)
        if reason == "own":
            yield f"{name}-thoughts", partial(thoughts_row, p, f"rates, {name}", stage, "test")
        elif name != "aligned":
            merged = partial(Forgetful, p, "direct, 16 contexts")
            yield f"{name}-forgetful", partial(tested, p, f"rates, {name}, 16 contexts", stage, reason, merged)
