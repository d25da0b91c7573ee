"""How much of each arm's advantage is the luck of the judge? C3's mechanism."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crs_lite.evolve import rl_config
from crs_lite.model import backbones
from crs_lite.prepared import Prepared
from crs_lite.study.advantage_noise import measure
from crs_lite.study.experiments.shared import Made
from crs_lite.study.recorded import Row
from crs_lite.training import align, distil, split, wrong

DRAWS = 8  # judgements of one trajectory


def noise(p: Prepared) -> Made:
    """At the distilled start, on requests it gets wrong (training requests, as in RL)."""

    def row() -> Row:
        start = distil(p, align(p))
        sorted_pool, n = split(p, start), p.profile.intervened

        def judge_again(folder: Path) -> dict:
            requests = wrong(p, sorted_pool)
            some = [requests[i] for i in np.random.default_rng(0).permutation(len(requests))[:n]]
            model = backbones.load_model(start.folder)
            arms = measure(model, p.codec, some, rl_config(p.profile), DRAWS, p.seed)
            return {"n": len(some), "draws": DRAWS, "arms": arms}

        stage = p.work.run("advantage-noise", {"distil": start, "split": sorted_pool, "n": n}, judge_again)
        return {"stage": stage.folder.name, "stage_minutes": stage.minutes, **stage.info}

    yield "noise", row
