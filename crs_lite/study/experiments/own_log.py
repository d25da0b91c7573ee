"""What does the whole of it give on a log that nobody made up? `book/protocol-3.md`.

`own_log_choices` tries knobs on validation requests, on one seed; `own_log` makes the rows on test requests, with what
the recorded choices of this log and profile say, else with the usual settings. The recipe is that of the profile
`own-log`: conclude only, a teacher without hindsight, no direct lessons. `own_log_lessons` trains nothing: it counts
what there is to teach.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from crs_lite import paths
from crs_lite.baselines import sasrec
from crs_lite.baselines.bm25 import BM25
from crs_lite.baselines.counting import Counting
from crs_lite.baselines.matching import Matching
from crs_lite.evaluate import Ranker
from crs_lite.files import read_arrays, write_arrays
from crs_lite.prepared import Prepared
from crs_lite.reasoning.audit import attribute_truth
from crs_lite.reasoning.facets import facet_values
from crs_lite.study.controls import Swapped
from crs_lite.study.experiments.main import fixed_ranker
from crs_lite.study.experiments.shared import TUNED, Made, checked, later, tested, thoughts_row
from crs_lite.study.recorded import Row, gather, values
from crs_lite.training import align, direct, distil, explore
from crs_lite.workspace import Stage, named

# What is tried on validation requests, the first being the usual one.
KNOBS: dict[str, tuple[dict, ...]] = {
    "BM25": ({"k1": 1.5, "b": 0.75}, {"k1": 0.9, "b": 0.4}, {"k1": 1.5, "b": 0.0}),
    "counting": ({"smoothing": 3.0}, {"smoothing": 1.0}, {"smoothing": 10.0}),
    "SASRec": ({"epochs": 20, "dropout": 0.2}, {"epochs": 20, "dropout": 0.5}, {"epochs": 60, "dropout": 0.5}),
    "direct": ({"epochs": 1}, {"epochs": 2}),
    "distilled": ({"epochs": 1}, {"epochs": 2}),
}
CHOICES = "own-log-choices"
MODEL = "model.safetensors"
ABLATIONS = ({"attention": False}, {"positions": False})  # of SASRec
NEAR = 0.005  # in NDCG@10: of settings this near to the best, the first is taken


def chosen(p: Prepared, name: str) -> dict:
    """The setting of a system that the recorded choices speak for; the usual one where not all of them were tried."""
    recorded = gather(paths.EXPERIMENTS / f"{p.log.name}-{p.profile.name}", CHOICES)
    rows = [recorded.get(name + named(**knobs), {}).get(0) for knobs in KNOBS[name]]
    if not all(rows):
        return KNOBS[name][0]
    found = [values(row, "NDCG@10").mean() for row in rows]
    return KNOBS[name][next(n for n, x in enumerate(found) if x >= max(found) - NEAR)]


def sequential(p: Prepared, **knobs) -> Stage:
    """SASRec as a stage."""
    config = sasrec.Config(**knobs)

    def learn(folder: Path) -> dict:
        model, losses = sasrec.fit(p.log, config, p.seed)
        weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
        write_arrays(folder / MODEL, weights, vars(config))
        return {"losses": losses}

    return p.work.run("sasrec" + named(**knobs), {"log": p.log_key, "config": vars(config)}, learn)


def _counted(p: Prepared, knobs: dict, folder: Path) -> Ranker:
    return Counting(p.log, **knobs)


def _words(p: Prepared, knobs: dict, folder: Path) -> Ranker:
    return BM25(p.log, **knobs)


def _next_click(p: Prepared, folder: Path) -> Ranker:
    weights, config = read_arrays(folder / MODEL)
    model = sasrec.SASRec(len(p.log.items), sasrec.Config(**config))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return sasrec.SASRecRanker(p.log, model)


def _matched(p: Prepared, inner: Callable[[Path], Ranker], folder: Path) -> Ranker:
    return Matching(p.log, inner(folder))


def _passes(make: Callable, p: Prepared, aligned, epochs: int) -> Callable[[], Stage]:
    return later(make, p, aligned, epochs=epochs if epochs > 1 else None)


def own_log_choices(p: Prepared) -> Made:
    """Every setting of `KNOBS` on validation requests, and SASRec's ablations. One seed."""
    for name, ranker in (("BM25", _words), ("counting", _counted)):
        for knobs in KNOBS[name]:
            label = name + named(**knobs)
            yield label, partial(checked, p, label, p.ids_stage, "none", partial(ranker, p, knobs), **knobs)
    for knobs in (*KNOBS["SASRec"], *({**KNOBS["SASRec"][0], **without} for without in ABLATIONS)):
        label, stage = "SASRec" + named(**knobs), later(sequential, p, **knobs)
        yield label, partial(checked, p, label, stage, "none", partial(_next_click, p), **knobs)
    aligned = later(align, p)
    yield "aligned", partial(checked, p, "aligned", aligned, "none")
    for name, make, reason in (("direct", direct, "none"), ("distilled", distil, "own")):
        for knobs in KNOBS[name]:
            label = name + named(**knobs)
            yield label, partial(checked, p, label, _passes(make, p, aligned, **knobs), reason, **knobs)


def own_log(p: Prepared) -> Made:
    """Everything that is compared on a real log, with what was chosen. What does not learn is taken once."""
    knobs = {name: chosen(p, name) for name in KNOBS}
    counted, words = partial(_counted, p, knobs["counting"]), partial(_words, p, knobs["BM25"])
    popular, clicks = partial(fixed_ranker, p, "popularity"), partial(_next_click, p)
    once = {"popularity": popular, "BM25": words, "dense": partial(fixed_ranker, p, "dense"), "counting": counted}
    once |= {f"matching-{name}": partial(_matched, p, once[name]) for name in ("popularity", "counting")}
    for name, ranker in once.items() if p.seed == 0 else ():
        yield name, partial(_row, p, name, p.ids_stage, "none", ranker, knobs.get(name))
    learned = later(sequential, p, **knobs["SASRec"])
    for name, ranker in {"SASRec": clicks, "matching-SASRec": partial(_matched, p, clicks)}.items():
        yield name, partial(_row, p, name, learned, "none", ranker, knobs["SASRec"])
    aligned = later(align, p)
    yield "aligned", partial(_row, p, "aligned", aligned, "none")
    answering, start = (
        _passes(make, p, aligned, **knobs[name]) for name, make in {"direct": direct, "distilled": distil}.items()
    )
    yield "direct", partial(_row, p, "direct", answering, "none", None, knobs["direct"])
    yield "distilled", partial(_row, p, "distilled", start, "own", None, knobs["distilled"])
    other = partial(Swapped, p, "other conclusion")
    yield "distilled-other", partial(_row, p, "distilled-other", start, "none", other)
    explored = later(explore, p, start, "rgrpo", "own-log-round0", **TUNED["rgrpo"])
    yield "rgrpo", partial(_row, p, "rgrpo", explored, "own", None, TUNED["rgrpo"])
    for name, stage in {"distilled": start, "rgrpo": explored}.items():
        yield f"{name}-thoughts", partial(thoughts_row, p, f"own log {name}", stage, "test")


def _row(p: Prepared, name: str, stage, reason: str, ranker=None, knobs: dict | None = None) -> Row:
    return tested(p, f"own log {name}", stage, reason, ranker, **{"chosen": knobs} if knobs else {})


def own_log_lessons(p: Prepared) -> Made:
    """What the teacher's lessons say, and, of the requests that rows are made on, what counts alone would conclude: how
    many facets, and how many of them are the clicked item's. Nothing is trained."""
    if p.seed == 0:
        yield "lessons", partial(_lessons, p)
        for split in ("valid", "test"):
            yield f"expected-{split}", partial(_expected, p, split)


def _lessons(p: Prepared) -> Row:
    facets = [item.facets() for item in p.log.items]
    claims, texts = [p.teacher.claims(r) for r in p.taught], [p.lesson(r) for r in p.taught]
    true, judged = np.sum([attribute_truth(of, facets[r.target]) for of, r in zip(claims, p.taught, strict=True)], 0)
    asked = [set(r.query.casefold().split()) for r in p.taught]
    echoed = sum(set(v.casefold().split()) <= q for of, q in zip(claims, asked, strict=True) for v in of.values())
    holders = Counter(pair for of in facets for pair in of.items())  # how many items have a value
    return {
        "split": "train",
        "n": len(texts),
        "nothing": sum(not of for of in claims) / len(texts),  # states no facet: the query is read aloud, no more
        "stated": sum(map(len, claims)) / len(texts),
        "true": int(true) / max(int(judged), 1),  # of the clicked item, as a share of what is stated
        "echoed": echoed / max(sum(map(len, claims)), 1),  # every word of the value stands in the query
        "tokens": float(np.mean([len(p.codec.reasoning(text)) for text in texts])),
        "holders": {k: float(np.median([n for (key, _), n in holders.items() if key == k])) for k, _ in holders},
        "examples": texts[:20],
    }


def _expected(p: Prepared, split: str) -> Row:
    keys, requests, evidence = list(facet_values(p.log)), p.requests(split), p.teacher.evidence
    likely = [{k: evidence.likeliest(r, k) for k in keys} for r in requests]
    said = [{k: v for k, (v, chance) in of.items() if v and chance >= p.teacher.min_support} for of in likely]
    found = [attribute_truth(of, p.log.items[r.target].facets()) for of, r in zip(said, requests, strict=True)]
    return {
        "split": split,
        "n": len(requests),
        "request_ids": [r.id for r in requests],
        "said": [len(of) for of in said],
        "true": [true for true, _ in found],
    }
