"""Small trained checkpoints that come with the book, so that any chapter can be the first one read.

They are stages of a recorded `laptop` run in half precision, with the IDs and the tokenizer they were trained with.
Make them again with `python -m crs_lite run --profile laptop` and `python -m crs_lite artifacts`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from crs_lite import vouched
from crs_lite.errors import CRSError
from crs_lite.files import read_json, write_json
from crs_lite.logs import SearchLog
from crs_lite.model import backbones
from crs_lite.paths import CHECKPOINTS
from crs_lite.profiles import get_profile
from crs_lite.sid.codes import SemanticIDs
from crs_lite.tasks import Codec
from crs_lite.workspace import read_manifest, seal

FOLDER = CHECKPOINTS
ABOUT = "about.json"
REMEDY = "restore the folder, or make it: `python -m crs_lite artifacts`."
STAGES = {"aligned": "align", "distilled": "distil"}  # name -> stage of a run


class About(BaseModel):
    """What `about.json` says. `files`: a sha256 of every other file."""

    model_config = ConfigDict(extra="allow")
    log: str
    log_sha256: str
    profile: dict
    stages: dict[str, dict]
    files: dict[str, str]


def make(run: Path, log: SearchLog, profile_name: str = "laptop", folder: Path = FOLDER) -> None:
    """Copy the stages of a run folder. Raises `CRSError` when one is missing."""
    profile = get_profile(profile_name)
    about = {"log": log.name, "log_sha256": log.digest(), "profile": asdict(profile), "stages": {}}
    SemanticIDs.load(run / "ids").save(folder / "ids")
    backbones.load_tokenizer(run / "backbone").save_pretrained(folder / "tokenizer")
    for name, stage in STAGES.items():
        manifest = read_manifest(run / stage, check=True)
        if manifest is None:
            first = f"python -m crs_lite run --profile {profile_name}"
            raise CRSError(f"{run / stage}: no finished stage; run `{first}` first.")
        backbones.load_model(run / stage).half().save_pretrained(folder / name)
        about["stages"][name] = {
            k: getattr(manifest, k) for k in ("stage", "key", "seed", "info", "minutes", "versions", "hardware")
        }
    vouch(folder, about)


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
    """Requests, items and reasoning <-> tokens, as the checkpoints know them. Raises `CRSError` for another log."""
    facts = about(folder)
    if log.digest() != facts["log_sha256"]:
        raise CRSError(
            f"{folder}: made for the log {facts['log']!r}, not for {log.name!r}; use the shipped marketplace."
        )
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
