"""Five models as one system: five that think against five that answer at once, aligned or trained further, each at the
learning rate that validation chose for its kind. An ensemble is what a shop would compare with, before it pays for
thoughts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from crs_lite.errors import CRSError
from crs_lite.evaluate import COLD, MISS, Ranker, ranks_of_targets
from crs_lite.merging import merged_lists
from crs_lite.prepared import Prepared, prepare
from crs_lite.scoring import K, merging_ranker
from crs_lite.study.controls import Forgetful
from crs_lite.study.experiments.rates import CHOSEN
from crs_lite.study.experiments.shared import Made
from crs_lite.study.recorded import Row
from crs_lite.training import align, direct, distil
from crs_lite.workspace import Stage

MEMBERS = 5
WIDTH = 20  # items a member hands in, as a merged thought does
DRAWS = 30  # resamples of the members: what an interval of an ensemble is made from


def ensembles(p: Prepared) -> Made:
    """On seed 0 alone, which stands for all: the members are the runs of seeds 0 to 4, in folders beside this one."""
    if p.seed == 0:
        yield "five-aligned", partial(ensemble, p, "five aligned models", align, _at_once)
        yield "five-direct", partial(ensemble, p, "five direct models", _answering, _at_once)
        yield "five-thoughts", partial(ensemble, p, "five models, a thought each", _distilled, _one_thought)


def beside(p: Prepared, seed: int) -> Prepared:
    """The same run with another seed, in the folder of that seed beside this one. Raises `CRSError` where the folder of
    this run does not end with its seed."""
    if seed == p.seed:
        return p
    root, mine = p.work.root, f"-{p.seed}"
    if not root.name.endswith(mine):
        raise CRSError(f"{root}: an ensemble looks for runs beside it by their seed; the folder must end with {mine}.")
    other = root.with_name(root.name.removesuffix(mine) + f"-{seed}")
    return prepare(p.log, p.truth, p.profile, seed, other, p.shipped, p.about)


def _answering(p: Prepared) -> Stage:
    return direct(p, align(p), lr=CHOSEN["direct"])


def _distilled(p: Prepared) -> Stage:
    return distil(p, align(p), lr=CHOSEN["thought"])


def _at_once(p: Prepared, folder: Path) -> Ranker:
    return Forgetful(p, "at once", folder, contexts=1, beams=WIDTH)


def _one_thought(p: Prepared, folder: Path) -> Ranker:
    ranker = merging_ranker(p, "one thought", folder)
    ranker.thoughts, ranker.temperature = 1, 0.0
    return ranker


def handed_in(p: Prepared, stage: Stage, ranker: Callable[[Prepared, Path], Ranker]) -> Stage:
    """What one member says of the test requests: items and log-probabilities `(n, WIDTH)`, kept with its run."""

    def rank(folder: Path) -> dict:
        member = ranker(p, stage.folder)
        member.rank(p.test, WIDTH)
        arrays = {"items": member.held[:, 0].astype(np.int32), "logp": member.logp[:, 0].astype(np.float32)}
        save_file(arrays, folder / "beams.safetensors")
        return {}

    depends = {"checkpoint": stage, "n": len(p.test), "width": WIDTH, "max_reasoning": p.profile.max_reasoning}
    return p.work.run(f"beams-{stage.folder.name}", {**depends, **p.context_key}, rank)


def ensemble(
    p: Prepared, name: str, stage: Callable[[Prepared], Stage], ranker: Callable[[Prepared, Path], Ranker]
) -> Row:
    """The row of an ensemble: a list is the mean of its members' chances. `drawn`: the ranks again, for members drawn
    with replacement; which were drawn is the same for every ensemble of a run."""
    members, handed = [beside(p, seed) for seed in range(MEMBERS)], []
    for q in members:
        made = handed_in(q, stage(q), ranker)
        handed.append(load_file(made.folder / "beams.safetensors"))
    held, logp = (np.stack([of[key] for of in handed], axis=1) for key in ("items", "logp"))
    targets = np.array([r.target for r in p.test])

    def ranks(of: np.ndarray) -> tuple[list[int | None], np.ndarray]:
        lists = merged_lists(held[:, of], logp[:, of], K)
        return [None if r == MISS else int(r) for r in ranks_of_targets(lists, targets)], lists

    rng = np.random.default_rng(0)
    drawn = [rng.integers(MEMBERS, size=MEMBERS) for _ in range(DRAWS)]
    own, lists = ranks(np.arange(MEMBERS))
    return {
        "system": name,
        "split": "test",
        "n": len(p.test),
        "request_ids": [r.id for r in p.test],
        "cold": [int(p.log.n_past(r) <= COLD) for r in p.test],
        "ranks": own,
        "utility": p.truth.expected_utility(p.test, lists).round(5).tolist() if p.truth else None,
        "members": MEMBERS,
        "drawn": [{"members": of.tolist(), "ranks": ranks(of)[0]} for of in drawn],
    }
