"""Does CRS beat what does not reason in words? C1: every baseline."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from crs_lite.baselines.bm25 import BM25
from crs_lite.baselines.dense import Dense
from crs_lite.baselines.popularity import Popularity
from crs_lite.baselines.repeat import RepeatLast
from crs_lite.evaluate import Ranker
from crs_lite.prepared import Prepared
from crs_lite.sid.embed import load_embedder
from crs_lite.study.experiments.shared import BASELINES, Made, both, later, tested, tuned
from crs_lite.study.learned_baselines import Latent, QueryOnly
from crs_lite.training import align, direct


def fixed_ranker(p: Prepared, name: str, folder: Path) -> Ranker:
    """A system that does not learn, or a ceiling, by name; `folder` plays no part."""
    if name == "dense":
        return Dense(p.embeddings(), load_embedder(p.profile.embedder).encode)
    made = {"popularity": Popularity, "repeat-last": RepeatLast, "BM25": BM25}
    return made[name](p.log) if name in made else p.truth.ranker(name)


def main(p: Prepared) -> Made:
    """What does not learn is the same for every seed and is taken once."""
    if p.seed == 0:
        for name in ("popularity", "repeat-last", "BM25", "dense", *(("informed", "oracle") if p.truth else ())):
            yield name, partial(tested, p, name, p.ids_stage, "none", ranker=partial(fixed_ranker, p, name))
    aligned, words, thoughts = later(align, p), QueryOnly(p), Latent(p)
    yield from both(p, "aligned", aligned, "none")
    answering = later(direct, p, aligned, **tuned(p, BASELINES["direct SFT"]))
    yield from both(p, "direct SFT", answering, "none")
    yield from both(p, "aligned query only", aligned, "none", words.ranker)
    dsi = later(words.dsi, aligned, **tuned(p, BASELINES["DSI"]))
    yield from both(p, "DSI", dsi, "none", words.ranker)
    yield from both(p, "LTRGR", later(words.ltrgr, dsi, **tuned(p, BASELINES["LTRGR"])), "none", words.ranker)
    latent = later(thoughts.supervised, aligned, **tuned(p, BASELINES["latent SFT"]))
    yield from both(p, "latent SFT", latent, "none", thoughts.ranker)
    reinforced = later(thoughts.reinforced, latent, **tuned(p, BASELINES["LatentR3"]))
    yield from both(p, "LatentR3", reinforced, "none", thoughts.ranker)
