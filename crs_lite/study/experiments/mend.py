"""What keeps the reasoner from its probe: false words, or what it leaves unsaid?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.evaluate import MISS, ranks_of_targets
from crs_lite.logs import SearchRequest
from crs_lite.model import backbones
from crs_lite.prepared import Prepared
from crs_lite.ranker import rank_with
from crs_lite.reasoning.audit import by_attribute
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.interventions import mended_texts
from crs_lite.scoring import K, score
from crs_lite.study.experiments.shared import TUNED, Made, later, tuned
from crs_lite.study.recorded import Row
from crs_lite.training import align, collect, consolidate, distil, explore


def mending(rank: Callable, requests: list[SearchRequest], thoughts: list[str], texts: dict[str, list[str]]) -> dict:
    """What false words cost: attribute (or "all") -> `changed`, the number of `thoughts` that true words changed, and
    `ranks` of the targets in the lists that the mended `texts` lead to, 0-based, None where not among the first ten.

    `rank(requests, texts)` gives the lists `(n, k)` that given reasoning leads to. The requests it gets are blind.
    """
    blind = [r.model_copy(update={"clicked": (), "shown": ()}) for r in requests]
    targets, out = np.array([r.target for r in requests]), {}
    for name, of in texts.items():
        ranks = ranks_of_targets(rank(blind, of), targets)
        changed = sum(a != b for a, b in zip(of, thoughts, strict=True))
        out[name] = {"changed": changed, "ranks": [None if r == MISS else int(r) for r in ranks]}
    return out


def mend(p: Prepared) -> Made:
    """Own texts on test requests (those whose texts `faithfulness` edits), with the false words on one attribute
    replaced by true ones, then on all. What is still missing is what they leave unsaid. Raises `CRSError` on a log
    without a truth."""
    if not p.truth:
        raise CRSError(f"experiment mend: nobody knows what is true in the log {p.log.name!r}; run it on marketplace.")
    some = p.test[: p.profile.intervened]
    n, parser, claims = len(some), Parser(facet_values(p.log)), [p.truth.claims(r) for r in some]
    start = later(distil, p, later(align, p))
    ends = {"distilled": ("distilled SFT", start)}
    for i in range(2):
        path = f"round{i}-rgrpo"
        explored = later(explore, p, start, "rgrpo", path if i else "round0", **tuned(p, TUNED["rgrpo"]))
        start = later(consolidate, p, start, later(collect, p, explored, path), f"{path}-sft")
    ends["rgrpo-round1-sft"] = "round1-rgrpo SFT", start

    def row(name: str, system: str, end: Callable) -> Row:
        scored = score(p, system, end())
        thoughts = scored["thoughts"][:n]

        def rank_mended(folder: Path) -> dict:
            rank = rank_with(backbones.load_model(end().folder), p.codec, K, p.profile.eval_batch)
            return {"mended": mending(rank, some, thoughts, mended_texts(thoughts, claims, parser))}

        depends = {"checkpoint": end(), "n": n, "max_reasoning": p.profile.max_reasoning}
        stage = p.work.run(f"mend-{name}", depends, rank_mended)
        return {
            "system": system,
            "n": n,
            "request_ids": scored["request_ids"][:n],
            "ranks": scored["ranks"][:n],
            "true_reasoning_ranks": scored["true_reasoning"]["ranks"][:n],
            "by_attribute": by_attribute([parser.stated(t) for t in thoughts], claims),
            "stage": stage.folder.name,
            "stage_minutes": stage.minutes,
            **stage.info,
        }

    for name, (system, end) in ends.items():
        yield name, partial(row, name, system, end)
