"""Lessons in hindsight beside the recipe's, from the same alignment: what the first edition's teacher costs. E4's other
half, suspect 5."""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared, taught_as
from crs_lite.study.experiments.shared import Made, later, tested, thoughts_row
from crs_lite.training import align, distil


def teachers(p: Prepared) -> Made:
    """Each teacher's distilled start: one greedy thought, none, sixteen merged. Both probes come with the first."""
    aligned = later(align, p)
    for teacher in ("hindsight", "foresight"):
        q = taught_as(p, teacher=teacher)
        stage, label = later(distil, q, aligned), f"teacher {teacher}"
        yield teacher, partial(tested, q, label, stage, teacher=teacher)
        yield f"{teacher}-empty", partial(tested, q, f"{label}, empty thought", stage, "none", teacher=teacher)
        yield f"{teacher}-thoughts", partial(thoughts_row, q, label, stage, "test", teacher=teacher)
