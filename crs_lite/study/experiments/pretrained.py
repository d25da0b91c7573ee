"""The main table with a pretrained backbone. P1, P2; one seed, any backbone, any log."""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.contexts import counted_alone
from crs_lite.study.experiments.answers import unlearned
from crs_lite.study.experiments.shared import TUNED, Made, later, tested, thoughts_row, tuned
from crs_lite.training import align, direct, distil, explore


def pretrained(p: Prepared) -> Made:
    """The counting model on the same requests; after alignment and after direct SFT; the distilled start with one
    thought, none and several; one round of R-GRPO and of GRPO."""
    if p.profile.train_requests < len(p.log.split("train")):  # the teacher's counts, too
        p = counted_alone(p, "recent")
    if p.seed == 0:
        for name in ("counting", *(("informed",) if p.truth else ())):
            yield name, partial(tested, p, f"pretrained {name}", p.ids_stage, "none", partial(unlearned, p, name))
    aligned = later(align, p)
    yield "aligned", partial(tested, p, "pretrained aligned", aligned, "none")
    yield "direct", partial(tested, p, "pretrained direct", later(direct, p, aligned), "none")
    start = later(distil, p, aligned)
    yield "start", partial(tested, p, "pretrained start", start)
    yield "start-empty", partial(tested, p, "pretrained start, empty thought", start, "none")
    yield "start-thoughts", partial(thoughts_row, p, "pretrained start", start, "test")
    for arm in ("rgrpo", "grpo"):
        explored = later(explore, p, start, arm, **tuned(p, TUNED[arm]))
        yield arm, partial(tested, p, f"pretrained {arm}", explored, arm=arm)
        yield f"{arm}-thoughts", partial(thoughts_row, p, f"pretrained {arm}", explored, "test", arm=arm)
