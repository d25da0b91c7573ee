"""Text or vectors, and what each part of the context is worth to a model that answers at once? N1."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.contexts import GROUPS, vectors, without
from crs_lite.study.experiments.shared import Made, later, tested
from crs_lite.study.recorded import Row
from crs_lite.training import align, distil


def formats(p: Prepared) -> Made:
    """The direct answer after alignment, which has seen every request once: with text, with one learned vector for
    every fact, with the query alone, and without each group whose worth the ceilings know. With vectors also a
    distilled start's one greedy thought. The ceilings beside them, once."""
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
    yield "vectors", partial(_with_vectors, q, "none")
    yield "vectors-thought", partial(_with_vectors, q, "own")


def _ceiling(p: Prepared, group: str, folder):
    return p.truth.ranker("informed", (group,))


def _with_vectors(made, reason: str) -> Row:
    q = made()
    stage = align(q) if reason == "none" else distil(q, align(q))
    row = tested(q, "vectors" if reason == "none" else "vectors, one thought", stage, reason)
    return {**row, "profile": asdict(q.profile), "parameters": q.fresh.info}
