"""Small trained checkpoints that come with the book, so that any chapter can be the first one read.

They are seed 0 of the second protocol's rows, in half precision, with the IDs and the tokenizer they were trained with:
an aligned model, one that answers directly, and one that was taught to reason by a teacher without hindsight. They saw
the large log's requests, so none of the small log's, which most chapters use. Make them again (hours on a CPU) with
`python -m crs_lite run --profile laptop` and `python -m crs_lite artifacts`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from crs_lite import training, vouched
from crs_lite.errors import CRSError
from crs_lite.files import read_json, write_json
from crs_lite.logs import SearchLog
from crs_lite.model import backbones
from crs_lite.paths import CHECKPOINTS
from crs_lite.prepared import Prepared
from crs_lite.sid.codes import SemanticIDs
from crs_lite.tasks import Codec
from crs_lite.workspace import Manifest, Stage, Workspace, digest, read_manifest, seal, versions

FOLDER = CHECKPOINTS
ABOUT = "about.json"
REMEDY = "restore the folder, or make it: `python -m crs_lite artifacts`."
STAGES = {"aligned": "align", "direct": "direct", "distilled": "distil-teacher=foresight"}  # name -> stage of a run
CHAIN = {"backbone", "start"}  # what stands for the stage before, in what a stage depends on


class About(BaseModel):
    """What `about.json` says. `items`: sha256 of the catalogue; `files`: a sha256 of every other file."""

    model_config = ConfigDict(extra="allow")
    log: str
    items: str
    profile: dict
    stages: dict[str, dict]
    files: dict[str, str]


class _Expected(Workspace):
    """Makes nothing: every stage is taken for finished. `known`: stage -> the key that a run here would give it, and
    what it depends on."""

    def __init__(self, root: Path, seed: int):
        super().__init__(root, seed)
        self.known: dict[str, tuple[str, dict]] = {}

    def run(self, name: str, depends: dict, make, together: bool = False) -> Stage:
        values = {k: v.key if isinstance(v, Stage) else v for k, v in depends.items()}
        key = digest({"stage": name, "seed": self.seed, "versions": versions(), **values})
        self.known[name] = key, json.loads(json.dumps(values))
        return Stage(self.root / name, Manifest(key=key, info={}, minutes=0.0))


def make(run: Path, p: Prepared, folder: Path = FOLDER) -> None:
    """Copy the stages of a run folder, in half precision. They may have been trained elsewhere: each is given the key
    that `p` would give it here, so `p` must lie in a folder of its own.

    Raises `CRSError` when a stage is missing, or when it was trained with another tokenizer, log or budget than `p`."""
    manifests = finished(run)
    here = _Expected(p.work.root, p.seed)
    q = replace(p, work=here)
    aligned = training.align(q)
    training.direct(q, aligned)
    training.distil(q, aligned)
    if (run / "backbone" / "tokenizer.json").read_bytes() != (p.fresh.folder / "tokenizer.json").read_bytes():
        raise CRSError(f"{run}: trained with another tokenizer than profile {p.profile.name!r} has; run it here.")
    about = {"log": p.log.name, "items": items_digest(p.log), "profile": asdict(p.profile), "stages": {}}
    p.sids.save(folder / "ids")
    p.tokenizer.save_pretrained(folder / "tokenizer")
    for name, manifest in manifests.items():
        stage = STAGES[name]
        key, wanted = here.known[stage]
        had = manifest.model_extra["depends"]
        if other := sorted(k for k in {*wanted, *had} - CHAIN if wanted.get(k) != had.get(k)):
            raise CRSError(
                f"{run / stage}: trained with another {', '.join(other)} than profile {p.profile.name!r} has."
            )
        backbones.load_model(run / stage, "cpu").half().save_pretrained(folder / name)
        facts = {k: getattr(manifest, k) for k in ("stage", "seed", "info", "minutes", "versions", "hardware")}
        about["stages"][name] = {**facts, "key": key}
    vouch(folder, about)


def finished(run: Path) -> dict[str, Manifest]:
    """Name -> manifest of the stages of a run folder that become checkpoints. Raises `CRSError` when one is missing."""
    found = {name: read_manifest(run / stage, check=True) for name, stage in STAGES.items()}
    for name, manifest in found.items():
        if manifest is None:
            raise CRSError(f"{run / STAGES[name]}: no finished stage; run `python -m crs_lite run` first.")
    return found


def items_digest(log: SearchLog) -> str:
    """sha256 of the catalogue."""
    return digest([item.model_dump() for item in log.items])


def vouch(folder: Path, about: dict) -> None:
    """Write `about.json`, with a sha256 of every other file of the folder."""
    write_json(folder / ABOUT, {**about, "files": vouched.sums(folder, but=[ABOUT])}, indent=1)


def about(folder: Path = FOLDER) -> dict:
    """What the artifacts are: log, profile, and of each stage its key, seed, minutes and hardware. Raises `CRSError`
    naming a file that is not the one this was written for."""
    found = read_json(folder / ABOUT, About, REMEDY).model_dump()
    vouched.check(folder, found["files"], REMEDY)
    return found


def unpack(run: Path, folder: Path = FOLDER) -> list[str]:
    """Put the checkpoints where a run looks for its stages, unless it has its own; returns the stages that were put
    there.

    They carry the keys of the recorded run. A run with another profile, seed or library version has other keys, and
    makes these stages afresh."""
    put = []
    for name, manifest in about(folder)["stages"].items():
        target = run / manifest["stage"]
        if read_manifest(target) is None:
            backbones.save(target, model(name, folder))
            seal(target, {**manifest, "half_precision": True})
            put.append(manifest["stage"])
    return put


def codec(log: SearchLog, folder: Path = FOLDER) -> Codec:
    """Requests, items and reasoning <-> tokens, as the checkpoints know them: for every log of the shop they were
    trained on. Raises `CRSError` for another catalogue."""
    facts = about(folder)
    if items_digest(log) != facts["items"]:
        raise CRSError(f"{folder}: made for the items of {facts['log']!r}, not for {log.name!r}; use that shop's logs.")
    p = facts["profile"]
    options = {"budget": p["context_budget"], "item_view": p["item_view"], "max_skipped": p["max_skipped"]}
    return Codec(log, SemanticIDs.load(folder / "ids"), backbones.load_tokenizer(folder / "tokenizer"), options)


def model(name: str, folder: Path = FOLDER):
    """A checkpoint in 32-bit, ready to run, on the CPU even beside a GPU: it is small, and chapters compare its numbers
    with arrays of their own. Raises `CRSError` for an unknown name."""
    if name not in STAGES:
        raise CRSError(f"no artifact {name!r}; use one of {', '.join(STAGES)}.")
    about(folder)  # its files are what they were
    return backbones.load_model(folder / name, "cpu").to(torch.float32)
