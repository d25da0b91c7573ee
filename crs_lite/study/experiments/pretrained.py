"""The main table with a pretrained backbone. P1, P2; one seed, any backbone, any log."""

from __future__ import annotations

from functools import partial

from crs_lite.baselines.counting import Counting
from crs_lite.prepared import Prepared
from crs_lite.study.contexts import counted_alone
from crs_lite.study.experiments.shared import TUNED, Made, later, tested, thoughts_row, tuned
from crs_lite.training import align, direct, distil, explore


def pretrained(p: Prepared) -> Made:
    """The counting model on the same requests; after alignment and after direct SFT; the distilled start with one
    thought, none and several; one round of R-GRPO and of GRPO."""
    if p.profile.train_requests < len(p.log.split("train")):  # the teacher's counts, too
        p = counted_alone(p, "recent")
    if p.seed == 0:
        for name in ("counting", *(("informed",) if p.truth else ())):
            yield name, partial(tested, p, name, p.ids_stage, "none", partial(_fixed, p, name))
    aligned = later(align, p)
    yield "aligned", partial(tested, p, "aligned", aligned, "none")
    yield "direct", partial(tested, p, "direct SFT", later(direct, p, aligned), "none")
    start = later(distil, p, aligned)
    yield "start", partial(tested, p, "start", start)
    yield "start-empty", partial(tested, p, "start, empty thought", start, "none")
    yield "start-thoughts", partial(thoughts_row, p, "start", start, "test")
    for arm in ("rgrpo", "grpo"):
        explored = later(explore, p, start, arm, **tuned(p, TUNED[arm]))
        yield arm, partial(tested, p, f"{arm} RL", explored, arm=arm)
        yield f"{arm}-thoughts", partial(thoughts_row, p, f"{arm} RL", explored, "test", arm=arm)


def _fixed(p: Prepared, name: str, folder):
    return p.truth.ranker("informed") if name == "informed" else Counting(p.log)
