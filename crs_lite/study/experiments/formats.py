"""Text or vectors, and what each part of the context is worth to a model that answers at once? N1."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.contexts import GROUPS, vectors, without
from crs_lite.study.experiments.shared import Made, later, tested
from crs_lite.study.recorded import Row
from crs_lite.training import align, distil
from crs_lite.workspace import Workspace


def formats(p: Prepared) -> Made:
    """The direct answer after alignment, which has seen every request once: with text; with one learned vector for
    every fact (also so that items keep their IDs, and with as many updates as text); with the query alone; without
    each group whose worth the ceilings know. With vectors also a distilled start's one greedy thought. The ceilings
    beside them, once."""
    if p.truth and p.seed == 0:
        for group in GROUPS:
            name = f"informed-without-{group}"
            ranker = partial(_ceiling, p, group)
            yield name, partial(tested, p, name, p.ids_stage, "none", ranker)
    yield "text", partial(tested, p, "text", later(align, p), "none")
    for group in ("everything", *GROUPS):
        q, name = without(p, group), f"without-{group}"
        yield name, partial(tested, q, f"text {name}", later(align, q), "none")
    q = later(vectors, p)  # its backbone is made only where it is wanted
    yield "vectors", partial(_with_vectors, q, "vectors", "none")
    yield "vectors-ids", partial(_with_vectors, later(vectors, p, ids=True), "vectors, items as IDs", "none")
    often = later(as_many_updates, p, q)
    yield "vectors-updates", partial(_with_vectors, often, "vectors, as many updates", "none")
    yield "vectors-thought", partial(_with_vectors, q, "vectors, one thought", "own")


def as_many_updates(p: Prepared, q: Prepared) -> Prepared:
    """The run `q` with batches of fewer tokens, so that one pass over its prompts has about as many updates as one over
    those of `p`."""
    some = p.train[-500:]
    lengths = [sum(len(x.codec.prompt(r)) for r in some) for x in (q, p)]
    profile = replace(q.profile, batch_tokens=max(64, q.profile.batch_tokens * lengths[0] // lengths[1]))
    return replace(q, profile=profile, work=Workspace(q.work.root / "updates", q.seed))


def _ceiling(p: Prepared, group: str, folder):
    return p.truth.ranker("informed", (group,))


def _with_vectors(made, name: str, reason: str) -> Row:
    q = made()
    stage = align(q) if reason == "none" else distil(q, align(q))
    row = tested(q, name, stage, reason)
    return {**row, "profile": asdict(q.profile), "parameters": q.fresh.info}
