"""From checkpoints to rows of the table: metrics, the two probes, and what is to be said of the reasoning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from crs_lite.baselines.bm25 import BM25, query_leak
from crs_lite.baselines.dense import Dense
from crs_lite.baselines.popularity import Popularity
from crs_lite.evaluate import Ranker, evaluate
from crs_lite.files import write_json
from crs_lite.logs import SearchRequest
from crs_lite.model import backbones
from crs_lite.prepared import Prepared
from crs_lite.ranker import CRSRanker, rank_with
from crs_lite.reasoning.audit import audit
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.interventions import faithfulness
from crs_lite.sid.embed import load_embedder
from crs_lite.workspace import Stage

K = 10
LEAK = "BM25 HR@10 on validation (query leak)"


class Remembering:
    """A ranker that keeps the lists it gave, `lists (n, k)`, for measures that look at more than the target."""

    def __init__(self, inner: Ranker):
        self.inner, self.name = inner, inner.name

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """As the ranker inside."""
        self.lists = self.inner.rank(requests, k)
        return self.lists


def baselines(p: Prepared) -> tuple[list[dict], float]:
    """Popularity, BM25, dense and, where there is a truth, both ceilings, on the test requests of this run; and how
    often BM25 alone finds the target of a validation request in ten: how much the queries leak."""

    def rank_all(folder: Path) -> dict:
        dense = Dense(p.embeddings(), load_embedder(p.profile.embedder).encode)
        rankers: list[Ranker] = [Popularity(p.log), BM25(p.log), dense]
        if p.truth:
            rankers += [p.truth.ranker("informed"), p.truth.ranker("oracle")]
        write_json(folder / "rows.json", [evaluate(r, p.log, p.test, K).model_dump() for r in rankers])
        return {LEAK: query_leak(p.log)}

    depends = {"ids": p.ids_stage, "log": p.log_key, "n": p.profile.eval_requests}
    stage = p.work.run("score-baselines", depends, rank_all)
    return stage.json("rows.json", list[dict]), stage.info[LEAK]


def crs_ranker(p: Prepared, folder: Path, reason: str | Callable[[SearchRequest], str], name: str) -> CRSRanker:
    """CRS with the checkpoint in `folder`, within the run's budgets."""
    return CRSRanker(name, backbones.load_model(folder), p.codec, reason, p.profile.max_reasoning, p.profile.eval_batch)


def score(
    p: Prepared,
    name: str,
    stage: Stage,
    reason: str = "own",
    split: str = "test",
    ranker: Callable[[Path], Ranker] | None = None,
) -> dict:
    """One row of the table: metrics of a checkpoint and, where there is a truth, the two probes (method, section 9).

    `ranker` makes another ranker of the stage's folder; by default it is CRS, which reasons as `reason` says.
    """
    requests = p.requests(split)

    def rank_all(folder: Path) -> dict:
        kept = Remembering(ranker(stage.folder) if ranker else crs_ranker(p, stage.folder, reason, name))
        row = evaluate(kept, p.log, requests, K).model_dump()
        if p.truth:
            row["utility"] = p.truth.expected_utility(requests, kept.lists).round(5).tolist()
        if reason == "own" and ranker is None:
            row |= _said(p, kept, requests)
            if p.truth and split == "test":
                probe = crs_ranker(p, stage.folder, p.true_reasoning, f"{name}, true reasoning")
                row["true_reasoning"] = evaluate(probe, p.log, requests, K).model_dump()
        write_json(folder / "row.json", row)
        return {}

    profile = p.profile
    depends = {
        "checkpoint": stage,
        "reason": reason,
        "n": len(requests),
        "max_reasoning": profile.max_reasoning,
        "split": split,
        "intervened": profile.intervened,
        **p.context_key,
    }
    where = "score" if split == "test" else f"score-{split}"
    scored = p.work.run(f"{where}-{name.replace(' ', '-')}", depends, rank_all)
    return {**scored.json("row.json"), "minutes": stage.minutes}


def _said(p: Prepared, kept: Remembering, requests: list[SearchRequest]) -> dict:
    """What is to be said of the reasoning behind the lists a CRS ranker just gave."""
    ranker, parser, first = kept.inner, Parser(facet_values(p.log)), slice(p.profile.intervened)
    claims = [p.truth.claims(r) if p.truth else {} for r in requests]
    again = rank_with(ranker.model, p.codec, K, p.profile.eval_batch)
    some = requests[first], ranker.thoughts[first], kept.lists[first]
    return {
        "audit": audit(ranker.thoughts, claims, parser, requests, p.teacher),
        "faithfulness": faithfulness(p.log, *some, parser, again),
        "thoughts": ranker.thoughts,
    }
