"""How fast is item <-> ID learnt, by the kind of ID? C7 apart from everything else."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from crs_lite.prepared import Prepared
from crs_lite.study.experiments.shared import Made
from crs_lite.study.id_convergence import KINDS, converge
from crs_lite.study.recorded import Row
from crs_lite.workspace import UNFINISHED


def mapping(p: Prepared) -> Made:
    """Residual K-means, RQ-VAE, random."""

    def row(kind: str) -> Row:
        def learn(folder: Path) -> dict:
            return converge(p.log, p.embeddings(), kind, p.profile, p.seed, folder / UNFINISHED)

        fields = ("mapping_epochs", "align_lr", "batch_tokens", "hidden", "layers", "vocab", "sid_sizes", "check_items")
        depends = {"log": p.log_key, "kind": kind, **{f: getattr(p.profile, f) for f in fields}}
        stage = p.work.run(f"mapping-{kind}", depends, learn)
        return {"kind": kind, "stage": stage.folder.name, "stage_minutes": stage.minutes, **stage.info}

    for kind in KINDS:
        yield kind, partial(row, kind)
