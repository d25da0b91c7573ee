"""Runs on the toy shop: opened, hollow, or the whole study."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import toy
from safetensors.numpy import save_file

from crs_lite import pipeline, scoring, workspace
from crs_lite.prepared import Prepared, prepare
from crs_lite.study import recorded
from crs_lite.study.experiments import EXPERIMENTS, runner
from crs_lite.workspace import MANIFEST, Stage, Workspace, read_manifest

RECORDED = json.loads((Path(__file__).resolve().parent / "data" / "stage_keys.json").read_text(encoding="utf-8"))


def opener(root: Path, patch: pytest.MonkeyPatch) -> Callable[..., Prepared]:
    """-> a function that opens the same run in a folder of the given name; nothing asks for a real encoder."""
    patch.setattr(scoring, "load_embedder", toy.embedder)
    patch.setattr(import_module("crs_lite.study.experiments.main"), "load_embedder", toy.embedder)
    log = toy.toy_log(12, 8)
    shipped = toy.shipped_vectors(root / "e.safetensors", log)

    def open_run(name: str, truth=None, **changes):
        return prepare(log, truth, replace(toy.PROFILE, **changes), 0, root / name, shipped)

    return open_run


def make_hollow(patch: pytest.MonkeyPatch) -> list[str]:
    """See the fixture `hollow`. What the code reads from a stage is there, and says nothing."""
    real, made, log = Workspace._make, [], toy.toy_log(12, 8)

    def _make(self, folder, about, make_stage):
        if about["stage"] in ("ids", "backbone", "widened"):
            return real(self, folder, about, make_stage)
        made.append(about["stage"])
        depends = about["depends"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        manifest = {**about, "info": {scoring.LEAK: 0.0}, "minutes": 0.0}
        (folder / MANIFEST).write_text(json.dumps(manifest, default=str), encoding="utf-8")
        if about["stage"] == "score-baselines":
            (folder / "rows.json").write_text("[]", encoding="utf-8")
        elif about["stage"].startswith("score-"):
            ids = [r.id for r in log.split(depends["split"])]
            ranks = {"request_ids": ids, "ranks": [None] * len(ids)}
            row = {"name": about["stage"], "n": len(ids), **ranks, "thoughts": [""] * len(ids), "true_reasoning": ranks}
            (folder / "row.json").write_text(json.dumps(row), encoding="utf-8")
        elif about["stage"].startswith("merged-"):
            ids = [r.id for r in log.split(depends["split"])]
            lists = {m: {"ranks": [None] * len(ids)} for m in ("1", "16")}
            row = {"name": about["stage"], "n": len(ids), "request_ids": ids, "lists": lists, "thoughts": []}
            (folder / "row.json").write_text(json.dumps(row), encoding="utf-8")
        elif about["stage"].startswith("beams-"):
            nothing = np.full((depends["n"], depends["width"]), -1)
            save_file({"items": nothing, "logp": nothing.astype(np.float32)}, folder / "beams.safetensors")
        elif {"split", "config"} <= set(depends):
            (folder / "steps.jsonl").write_text('{"step": 0, "tokens": 1.0}\n', encoding="utf-8")

    patch.setattr(Workspace, "_make", _make)
    return made


def stage_keys(root: Path) -> dict[str, str]:
    """Folder of every finished stage below `root` -> its key."""
    found = (path.parent for path in root.rglob(MANIFEST))
    return {str(f.relative_to(root)): json.loads((f / MANIFEST).read_text(encoding="utf-8"))["key"] for f in found}


@dataclass
class ToyStudy:
    """The pipeline and every experiment on the toy shop, as `data/stage_keys.json` was made.

    `made`: experiment -> how many rows it made; `rows`: experiment -> row name -> row.
    """

    root: Path
    open: Callable[..., Prepared]
    results: dict
    made: dict[str, int]
    rows: dict[str, dict[str, dict]]

    @classmethod
    def run(cls, root: Path, patch: pytest.MonkeyPatch) -> "ToyStudy":
        """Everything once; with hollow stages in a second or two, else in a minute."""
        open_run = cls.patch(root, patch)
        study = cls(root, open_run, pipeline.run(open_run("run"), "test", "abc"), {}, {})
        for name in EXPERIMENTS:
            study.made[name] = runner.run_seed(study.job(name))
            study.rows[name] = {row["row"]: row for row in recorded.rows(root / "rows", name)}
        return study

    @staticmethod
    def patch(root: Path, patch: pytest.MonkeyPatch) -> Callable[..., Prepared]:
        """As `opener`, with the library versions of the recorded keys."""
        patch.setattr(workspace, "versions", lambda: RECORDED["versions"])
        grid = import_module("crs_lite.study.experiments.sizes")
        patch.setattr(grid, "WIDTHS", {name: grid.WIDTHS[name] for name in ("half", "usual")})
        patch.setattr(grid, "SHARES", {name: grid.SHARES[name] for name in ("1x", "8x")})
        patch.setattr(import_module("crs_lite.study.experiments.newcomers"), "crowd", lambda: toy.toy_log(9, 10))
        patch.setattr(import_module("crs_lite.study.experiments.ensembles"), "MEMBERS", 1)
        return opener(root, patch)

    def stage(self, run: str, name: str) -> Stage:
        """A finished stage of one of the runs."""
        folder = self.root / run / name
        return Stage(folder, read_manifest(folder))

    def job(self, name: str, only: str = "*") -> runner.Job:
        """The experiment on this study's runs; only `mend` asks for the truth."""
        where = ("known", toy.Known()) if name == "mend" else ("run", None)
        command = f"experiment {name}"
        return runner.Job(name, 0, lambda seed: self.open(*where), self.root / "rows", command, "abc", only)
