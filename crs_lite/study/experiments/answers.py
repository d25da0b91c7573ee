"""How far does one come without reasoning? Second edition: what a model that reasons must beat."""

from __future__ import annotations

from functools import partial

from crs_lite.baselines.bm25 import BM25
from crs_lite.baselines.counting import Counting
from crs_lite.baselines.popularity import Popularity
from crs_lite.evaluate import Ranker
from crs_lite.prepared import Prepared, taught_as
from crs_lite.study.controls import Forgetful, given
from crs_lite.study.experiments.shared import Made, checked, later, tested
from crs_lite.training import align, direct, direct_counted

WITHOUT = ("history", "season", "profile")  # what the counting model is tried without


def unlearned(p: Prepared, name: str, folder) -> Ranker:
    """A system that trains no language model, or a ceiling, by name; `folder` plays no part."""
    if name.startswith("counting"):
        return Counting(p.log, without=[part for part in WITHOUT if name == f"counting-no-{part}"])
    made = {"popularity": Popularity, "BM25": BM25}
    return made[name](p.log) if name in made else p.truth.ranker(name)


def answers(p: Prepared) -> Made:
    """The counting model and its ablations, both ceilings; direct answers; direct answers with the same facets and
    counts written into the prompt by code; direct answers merged over contexts with past interactions left out."""
    if p.seed == 0:
        ablations = [f"counting-no-{part}" for part in WITHOUT]
        for name in ("popularity", "BM25", "counting", *ablations, *(("informed", "oracle") if p.truth else ())):
            yield name, partial(tested, p, name, p.ids_stage, "none", ranker=partial(unlearned, p, name))
    aligned = later(align, p)
    yield "aligned", partial(tested, p, "aligned", aligned, "none")
    answering = later(direct, p, aligned)
    yield "direct-SFT", partial(tested, p, "direct SFT, all requests", answering, "none")
    yield "direct-SFT-valid", partial(checked, p, "direct SFT, all requests", answering, "none")
    merged = partial(Forgetful, p, "direct, 16 contexts")
    yield "direct-forgetful", partial(tested, p, "direct, 16 contexts", answering, "none", merged)
    q, name = taught_as(p, reasoning="see-count"), "direct, counts in the prompt"
    counted = later(direct_counted, q, aligned)
    yield "direct-counted", partial(tested, q, name, counted, "none", partial(given, q, q.perception.write, name))
