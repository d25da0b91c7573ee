"""From checkpoints to rows of the table: metrics, the two probes, and what is to be said of the reasoning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from crs_lite.baselines.bm25 import BM25, query_leak
from crs_lite.baselines.counting import Counting
from crs_lite.baselines.dense import Dense
from crs_lite.baselines.popularity import Popularity
from crs_lite.evaluate import MISS, Ranker, evaluate, ranks_of_targets
from crs_lite.files import write_json
from crs_lite.logs import SearchRequest
from crs_lite.merging import MergingRanker
from crs_lite.model import backbones
from crs_lite.prepared import Prepared
from crs_lite.ranker import CRSRanker, rank_with
from crs_lite.reasoning.audit import audit
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.interventions import faithfulness
from crs_lite.reasoning.perception import parts_of
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
    """Popularity, BM25, dense, the counting model and, where there is a truth, both ceilings, on the test requests of
    this run; and how often BM25 alone finds the target of a validation request in ten: how much the queries leak."""

    def rank_all(folder: Path) -> dict:
        dense = Dense(p.embeddings(), load_embedder(p.profile.embedder).encode)
        counting = Counting(p.log, fit_on=min(3000, p.profile.train_requests))  # `smoke` is no longer at it than at CRS
        rankers: list[Ranker] = [Popularity(p.log), BM25(p.log), dense, counting]
        if p.truth:
            rankers += [p.truth.ranker("informed"), p.truth.ranker("oracle")]
        write_json(folder / "rows.json", [evaluate(r, p.log, p.test, K).model_dump() for r in rankers])
        return {LEAK: query_leak(p.log)}

    depends = {"ids": p.ids_stage, "log": p.log_key, "n": p.profile.eval_requests, "counting": True}
    stage = p.work.run("score-baselines", depends, rank_all)
    return stage.json("rows.json", list[dict]), stage.info[LEAK]


def crs_ranker(p: Prepared, folder: Path, reason: str | Callable[[SearchRequest], str], name: str) -> CRSRanker:
    """CRS with the checkpoint in `folder`, within the run's budgets."""
    return CRSRanker(name, backbones.load_model(folder), p.codec, reason, p.profile.max_reasoning, p.profile.eval_batch)


def merging_ranker(p: Prepared, name: str, folder: Path, temperature: float | None = None) -> MergingRanker:
    """CRS that thinks as often as the profile says, with the checkpoint in `folder`, within the run's budgets."""
    profile = p.profile
    return MergingRanker(
        name, backbones.load_model(folder), p.codec, profile.thoughts,
        profile.thought_temperature if temperature is None else temperature,
        perceives=p.perception.how != "conclude", max_reasoning=min(profile.max_reasoning, profile.max_conclusion),
        seed=p.seed, batch=max(1, profile.eval_batch // 4),
    )  # fmt: skip


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


def merged(p: Prepared, name: str, stage: Stage, split: str = "test", temperature: float | None = None) -> dict:
    """Lists of 1, 4, 8, .. up to the profile's number of thoughts, all read from the same sampled thoughts: M ->
    `ranks` of the targets (and `utility` where there is a truth); `milliseconds` a request on this machine, and
    `distinct`, the mean number of different conclusions a request."""
    profile, requests = p.profile, p.requests(split)
    heat = profile.thought_temperature if temperature is None else temperature

    def think(folder: Path) -> dict:
        ranker = merging_ranker(p, name, stage.folder, heat)
        started = perf_counter()
        whole = evaluate(ranker, p.log, requests, K)
        milliseconds = 1000 * (perf_counter() - started) / len(requests)
        lists, targets = {}, np.array([r.target for r in requests])
        for m in sorted({1, 4, 8, profile.thoughts}):
            ranked = ranker.merged(m, K)
            ranks = ranks_of_targets(ranked, targets)
            lists[m] = {"ranks": [None if r == MISS else int(r) for r in ranks]}
            if p.truth:
                lists[m]["utility"] = p.truth.expected_utility(requests, ranked).round(5).tolist()
        row = {
            "name": name, "n": len(requests), "request_ids": whole.request_ids, "lists": lists, "temperature": heat,
            "milliseconds": milliseconds, "distinct": float(np.mean([len(set(of)) for of in ranker.drawn])),
            "thoughts": ranker.drawn[:20], "tokens": _written(p, ranker.drawn),
        }  # fmt: skip
        write_json(folder / "row.json", row)
        return {}

    depends = {
        "checkpoint": stage, "n": len(requests), "split": split, "thoughts": profile.thoughts, "temperature": heat,
        "max_reasoning": profile.max_reasoning, "max_conclusion": profile.max_conclusion, **p.context_key,
    }  # fmt: skip
    folder = f"merged-{split}-{name.replace(' ', '-')}-{heat}"
    return {**p.work.run(folder, depends, think).json("row.json"), "minutes": stage.minutes}


def _written(p: Prepared, drawn: list[list[str]]) -> float:
    """Mean number of tokens that all thoughts of a request take; what is seen and counted is written once."""
    total = 0
    for texts in drawn:
        head = parts_of(texts[0])[0]
        total += len(p.codec.encode(head)) if head else 0
        total += sum(len(p.codec.reasoning(parts_of(text)[1])) for text in texts)
    return total / max(len(drawn), 1)


def _said(p: Prepared, kept: Remembering, requests: list[SearchRequest]) -> dict:
    """What is to be said of the reasoning behind the lists a CRS ranker just gave: of its conclusions, and how often
    what is seen and counted is exactly what there was."""
    ranker, parser, first = kept.inner, Parser(facet_values(p.log)), slice(p.profile.intervened)
    claims = [p.truth.claims(r) if p.truth else {} for r in requests]
    heads, conclusions = zip(*map(parts_of, ranker.thoughts), strict=True)
    head_of = {r.id: head for r, head in zip(requests, heads, strict=True)}
    plain = rank_with(ranker.model, p.codec, K, p.profile.eval_batch)

    def rank(some: Sequence[SearchRequest], texts: Sequence[str]) -> np.ndarray:
        return plain(some, [head_of[r.id] + text for r, text in zip(some, texts, strict=True)])

    out = {
        "audit": audit(conclusions, claims, parser, requests, p.teacher),
        "faithfulness": faithfulness(p.log, requests[first], conclusions[first], kept.lists[first], parser, rank),
        "thoughts": ranker.thoughts,
        "tokens": float(np.mean([len(p.codec.reasoning(t)) for t in ranker.thoughts])),  # written before the ID
    }
    if p.perception.how != "conclude":
        exact = [head == p.perception.write(r) for head, r in zip(heads, requests, strict=True)]
        out["audit"]["perceived_exactly"] = float(np.mean(exact))
    return out
