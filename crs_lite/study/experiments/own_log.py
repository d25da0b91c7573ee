"""What does the whole of it give on a log that nobody made up? `book/protocol-3.md`.

`own_log_choices` picks knobs on validation requests, on one seed; `own_log` makes the rows on test requests. The recipe
is that of the profile `own-log`: conclude only, a teacher without hindsight, no direct lessons.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from crs_lite.baselines import sasrec
from crs_lite.baselines.bm25 import BM25
from crs_lite.baselines.counting import Counting
from crs_lite.baselines.matching import Matching
from crs_lite.evaluate import Ranker
from crs_lite.files import read_arrays, write_arrays
from crs_lite.prepared import Prepared
from crs_lite.study.controls import Swapped
from crs_lite.study.experiments.main import fixed_ranker
from crs_lite.study.experiments.shared import TUNED, Made, checked, later, tested, thoughts_row
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
MODEL = "model.safetensors"
ABLATIONS = ({"attention": False}, {"positions": False})  # of SASRec
# What was chosen (protocol, dated changes).
CHOSEN: dict[str, dict] = {name: tried[0] for name, tried in KNOBS.items()}


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
    counted, words = partial(_counted, p, CHOSEN["counting"]), partial(_words, p, CHOSEN["BM25"])
    popular = partial(fixed_ranker, p, "popularity")
    fixed = {"popularity": popular, "BM25": words, "dense": partial(fixed_ranker, p, "dense"), "counting": counted}
    fixed |= {f"matching-{name}": partial(_matched, p, fixed[name]) for name in ("popularity", "counting")}
    for name, ranker in fixed.items() if p.seed == 0 else ():
        yield name, partial(tested, p, f"own log {name}", p.ids_stage, "none", ranker)
    clicks = later(sequential, p, **CHOSEN["SASRec"])
    for name, ranker in (
        ("SASRec", partial(_next_click, p)),
        ("matching-SASRec", partial(_matched, p, partial(_next_click, p))),
    ):
        yield name, partial(tested, p, f"own log {name}", clicks, "none", ranker)
    aligned = later(align, p)
    yield "aligned", partial(tested, p, "aligned", aligned, "none")
    yield "direct", partial(tested, p, "own log direct", _passes(direct, p, aligned, **CHOSEN["direct"]), "none")
    start = _passes(distil, p, aligned, **CHOSEN["distilled"])
    yield from _thought(p, "distilled", start)
    other = "own log other conclusion"
    yield "distilled-other", partial(tested, p, other, start, "none", partial(Swapped, p, other))
    explored = later(explore, p, start, "rgrpo", "own-log-round0", **TUNED["rgrpo"])
    yield from _thought(p, "rgrpo", explored)


def _thought(p: Prepared, name: str, stage: Callable[[], Stage]) -> Made:
    yield name, partial(tested, p, f"own log {name}", stage)
    yield f"{name}-thoughts", partial(thoughts_row, p, f"own log {name}", stage, "test")
