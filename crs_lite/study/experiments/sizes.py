"""How much do size and data matter, to answers and to reasoning? C6."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from crs_lite.baselines.counting import Counting
from crs_lite.prepared import Prepared
from crs_lite.study.contexts import Recent, smaller
from crs_lite.study.experiments.shared import Made, tested, thoughts_row
from crs_lite.study.recorded import Row
from crs_lite.training import align, direct, distil

# Backbones by what `Profile` calls their sizes; "usual" is the profile's own.
WIDTHS: dict[str, dict[str, int]] = {
    "half": {"hidden": 80, "ffn": 224},
    "usual": {},
    "wider": {"hidden": 240, "ffn": 672},
    "six-million": {"hidden": 320, "layers": 5, "ffn": 704},
}
SHARES = {"1x": 0.125, "4x": 0.5, "8x": 1.0}  # of the profile's training requests
ASKED = ("answer", "thought", "thoughts")  # what a cell's rows are: direct, one thought, merged ones


def sizes(p: Prepared) -> Made:
    """Every width at every amount of data: a direct answer, one greedy thought, merged thoughts; and the counting model
    at every amount."""
    for amount, share in SHARES.items():
        n = int(p.profile.train_requests * share)
        if p.seed == 0:
            ranker = partial(_counting, p, n)
            yield f"counting-{amount}", partial(tested, p, f"counting, {amount}", p.ids_stage, "none", ranker, n=n)
        for width, changes in WIDTHS.items():
            for asked in ASKED:
                yield f"{width}-{amount}-{asked}", partial(_cell, p, width, amount, n, changes, asked)


def _counting(p: Prepared, n: int, folder) -> Counting:
    return Counting(Recent(p.log, n))


def _cell(p: Prepared, width: str, amount: str, requests: int, changes: dict, asked: str) -> Row:
    name = f"{width}-{amount}"
    q = smaller(p, name, requests, **changes)
    aligned = align(q)
    about = {"width": width, "amount": amount, "train": requests}
    if asked == "answer":
        row = tested(q, f"direct, {name}", direct(q, aligned), "none", **about)
    elif asked == "thought":
        row = tested(q, f"one thought, {name}", distil(q, aligned), **about)
    else:
        row = thoughts_row(q, f"thoughts, {name}", distil(q, aligned), "test", **about)
    return {**row, "profile": asdict(q.profile), "parameters": q.fresh.info}
