"""Can a model that answers at once learn what sixteen thoughts say together? Internalised reasoning, the idea of
OneSearch-V2 (arXiv 2603.24422); judges no claim."""

from __future__ import annotations

from functools import partial

import numpy as np

from crs_lite.merging import merge
from crs_lite.prepared import Prepared
from crs_lite.scoring import merging_ranker
from crs_lite.study.experiments.shared import Made, later, tested
from crs_lite.tasks import Example, context_to_sid
from crs_lite.training import align, direct, distil, supervised
from crs_lite.workspace import Stage

DRAWS = 4  # lessons a request


def internal(p: Prepared) -> Made:
    """A direct model after `DRAWS` lessons a request of the pool, whose items are drawn from the merged list of the
    distilled start; and, as control, after as many lessons whose item is the click."""
    aligned = later(align, p)
    answering, start = later(direct, p, aligned), later(distil, p, aligned)
    for name in ("merged", "clicks"):
        stage = later(internalised, p, answering, start, of=name)
        yield f"taught-by-{name}", partial(tested, p, f"internalised, {name}", stage, "none")
    yield "before", partial(tested, p, "before internalising", answering, "none")


def internalised(p: Prepared, answering: Stage, start: Stage, of: str) -> Stage:
    """SFT of a direct model on soft targets ("merged") or on clicks ("clicks")."""

    def lessons() -> list[Example]:
        return [e for items in targets(p, start, of) for e in _direct(p, items)]

    depends = {"reasoner": start, "draws": DRAWS, "thoughts": p.profile.thoughts}
    return supervised(p, f"internal-{of}", answering, depends, lessons, p.profile.sft_lr)


def targets(p: Prepared, start: Stage, of: str) -> list[list[int]]:
    """For each of `DRAWS` rounds, the item that each request of the pool teaches."""
    if of == "clicks":
        return [[r.target for r in p.pool]] * DRAWS
    ranker, rng = merging_ranker(p, "thoughts", start.folder), np.random.default_rng(p.seed)
    ranker.rank([r.model_copy(update={"clicked": (), "shown": ()}) for r in p.pool], 10)
    width = ranker.held.shape[1] * ranker.held.shape[2]
    drawn = []
    for items, logp in zip(ranker.held, ranker.logp, strict=True):
        found, chance = merge(items, logp, width)
        drawn.append(rng.choice(found, DRAWS, p=chance / chance.sum()))
    return np.array(drawn).T.tolist()


def _direct(p: Prepared, items: list[int]) -> list[Example]:
    asked = [r.model_copy(update={"clicked": (item,)}) for r, item in zip(p.pool, items, strict=True)]
    return context_to_sid(p.codec, asked)
