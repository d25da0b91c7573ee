"""Stages that survive a kill: each writes one folder with a manifest, or leaves nothing that could be taken for one.

A stage's key is the hash of everything it depends on (its settings and the keys of the stages before it). A folder
whose manifest carries the same key is reused, after its files were compared with the sha256 that the manifest holds
of each; anything else is made again. A half-made stage is called NAME.partial:
when the same key is made again, its subfolder `unfinished` is kept, in which training finds its own state. One process
at a time makes a stage of a run folder; others wait and say for whom. What is finished is read without a lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from crs_lite import deadline, vouched
from crs_lite.errors import CRSError
from crs_lite.files import read_json, write_json
from crs_lite.model.distributed import n_processes, process_number, wait
from crs_lite.unfinished import as_first

MANIFEST = "manifest.json"
UNFINISHED = "unfinished"  # in a half-made stage: the folder that outlives a kill
LOCK = ".lock"


class Begun(BaseModel):
    """What a half-made stage says of itself: its key, and the minutes that went into it before this attempt."""

    key: str
    minutes: float


class Manifest(BaseModel):
    """What a finished stage says of itself. `info`: what its maker wants remembered; `files`: a sha256 of each, and
    `sha256`: of the manifest without this field. Stages of older versions have neither."""

    model_config = ConfigDict(extra="allow")
    key: str
    info: dict[str, Any]
    minutes: float
    files: dict[str, str] = {}
    sha256: str | None = None


def versions() -> dict[str, str]:
    """Library versions that a number may depend on."""
    return {name: version(name) for name in ("torch", "transformers", "trl", "peft", "faiss-cpu", "tokenizers")}


def hardware() -> str:
    """One line: processor, cores, accelerator."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no accelerator"
    return f"{model}, {os.cpu_count()} cores{gpu}"


def digest(value) -> str:
    """sha256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def named(**changes) -> str:
    """How a stage's folder is called after changed budgets: "-lr=0.0001"; "" where all are None, the profile's own."""
    given = {k: v for k, v in changes.items() if v is not None}
    short = {k: v if isinstance(v, int | float | str) else digest(asdict(v))[:6] for k, v in given.items()}
    return "".join(f"-{k}={v}" for k, v in short.items())


class Stage:
    """A finished stage: its folder and what its manifest says."""

    def __init__(self, folder: Path, manifest: Manifest):
        self._folder, self.key, self.info, self.minutes = folder, manifest.key, manifest.info, manifest.minutes

    @property
    def folder(self) -> Path:
        """Where it lies. Raises `CRSError` when another process has since put another stage there."""
        now = read_manifest(self._folder)
        if now is None or now.key != self.key:
            raise CRSError(f"{self._folder}: replaced while this run was using it; give every run an --out of its own.")
        return self._folder

    def json(self, name: str, model: type = dict):
        """A JSON file of the stage, checked against `model`. Raises `CRSError` naming the file."""
        return read_json(self.folder / name, model, _remedy(self._folder))

    def json_lines(self, name: str) -> list[dict]:
        """The rows of a small file of JSON lines. Raises `CRSError` naming file and row."""
        path, rows = self.folder / name, []
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise CRSError(f"{path}: cannot be read ({e}); {_remedy(self._folder)}") from None
        # Not `splitlines`, which would also cut at the line separators of Unicode, and JSON text may hold those.
        for n, line in enumerate(text.removesuffix("\n").split("\n") if text else [], 1):
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError) as e:
                raise CRSError(f"{path}, row {n}: damaged ({str(e)[:120]}); {_remedy(self._folder)}") from None
        return rows


class Workspace:
    """The folder of one run. `run(name, depends, make)` makes a stage or reuses it."""

    def __init__(self, root: Path, seed: int):
        self.root, self.seed = root, seed
        self.minutes: dict[str, float] = {}  # of every stage used, made now or before

    def run(self, name: str, depends: dict, make: Callable[[Path], dict | None], together: bool = False) -> Stage:
        """`make(folder)` fills the folder and returns what the manifest should remember (JSON-able).

        `depends` may hold `Stage`s: their keys stand for them. All random generators are seeded from seed and name.
        Of several processes the first makes the stage and the others wait, unless it is made `together` (training):
        then all call `make`, and the first one's folder is kept. Raises `OutOfTime` before a stage is made when the
        command's minutes are over.
        """
        values = {k: v.key if isinstance(v, Stage) else v for k, v in depends.items()}
        key = digest({"stage": name, "seed": self.seed, "versions": versions(), **values})
        folder = self.root / name
        known = read_manifest(folder)
        if known and known.key == key:
            vouched.check(folder, known.files, _remedy(folder))
        wait()  # all have read the same state
        if not known or known.key != key:
            if as_first(deadline.passed()):
                raise deadline.OutOfTime(f"before stage {name}")
            with alone(self.root, name):
                known = read_manifest(folder)  # whoever had the folder before us may have made it
                wait()
                if (not known or known.key != key) and (together or process_number() == 0):
                    self._make(folder, {"stage": name, "key": key, "seed": self.seed, "depends": values}, make)
                wait()
            known = read_manifest(folder)
        self.minutes[name] = known.minutes
        return Stage(folder, known)

    def _make(self, folder: Path, about: dict, make: Callable[[Path], dict | None]) -> None:
        rank, name = process_number(), folder.name
        partial = folder.with_name(f"{name}.partial{rank or ''}")
        spent = _begin(partial, about["key"])
        if rank == 0:
            print(f"stage {name} ...", flush=True)
        started = perf_counter()
        seed_all(int(digest([self.seed, name])[:8], 16))
        info = make(partial) or {}
        if rank > 0:  # what the first process made is kept
            shutil.rmtree(partial)
            return
        minutes = spent + (perf_counter() - started) / 60
        manifest = {**about, "info": info, "minutes": minutes, "versions": versions(), "hardware": hardware()}
        manifest["threads"] = torch.get_num_threads()  # another number of them may change the last bits
        if n_processes() > 1:  # and another number of processes trains on larger batches
            manifest["processes"] = n_processes()
        shutil.rmtree(partial / UNFINISHED, ignore_errors=True)
        seal(partial, manifest)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)  # the one moment at which the stage begins to exist
        print(f"stage {name}: {minutes:.1f} min", flush=True)


def _begin(partial: Path, key: str) -> float:
    """Empty `partial` but for the unfinished work of the same key. Returns the minutes that this work has cost."""
    about, work, spent = partial / MANIFEST, partial / UNFINISHED, 0.0
    try:
        before = read_json(about, Begun, "")
    except CRSError:  # none, or half of one: there is nothing to go on with
        before = None
    if before and before.key == key and work.is_dir():
        ended = max((f.stat().st_mtime for f in work.iterdir()), default=0.0)
        spent = before.minutes + max(0.0, ended - about.stat().st_mtime) / 60
        for other in set(partial.iterdir()) - {about, work}:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    else:
        shutil.rmtree(partial, ignore_errors=True)
    write_json(about, {"key": key, "minutes": spent})
    return spent


@contextmanager
def alone(root: Path, stage: str) -> Iterator[None]:
    """While this lasts, no other process (group) makes a stage in a run folder. Waits for one that does, and says who
    it is. The operating system takes a lock from a process that dies."""
    if process_number() > 0:  # the first process has it for all
        wait()
        yield
        return
    root.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(root / LOCK, is_singleton=True, thread_local=False), root / f"{LOCK}.json"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print(f"{root}: {_holder(holder)}; waiting until that is done (Ctrl-C ends the waiting).", flush=True)
        lock.acquire(poll_interval=0.2)
    try:
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        write_json(holder, {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "stage": stage})
        wait()
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        about = read_json(path, dict[str, str | int], "")
        return f"process {about['pid']} on {about['host']} makes stage {about['stage']} since {about['since']}"
    except (CRSError, KeyError):  # it has the lock and is about to say who it is
        return "another process makes a stage here"


def seal(folder: Path, about: dict) -> None:
    """Write the manifest of a folder that is complete: `about`, and a sha256 of every file."""
    plain = json.loads(json.dumps(about, default=str))  # a stage may depend on, say, a path
    plain["files"] = vouched.sums(folder, but=[MANIFEST])
    write_json(folder / MANIFEST, {**plain, "sha256": digest(plain)}, indent=1)


def read_manifest(folder: Path, check: bool = False) -> Manifest | None:
    """A stage's manifest, None if there is none. Raises `CRSError` when it cannot be read or is not the one that was
    written; with `check`, also when a file of the stage is not."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    value = read_json(path, dict, _remedy(folder))
    if not {"key", "info", "minutes"} <= set(value):
        return None
    if "sha256" in value and digest({k: v for k, v in value.items() if k != "sha256"}) != value["sha256"]:
        raise CRSError(f"{path}: damaged or changed since it was written; {_remedy(folder)}")
    manifest = read_json(path, Manifest, _remedy(folder))
    if check:
        vouched.check(folder, manifest.files, _remedy(folder))
    return manifest


def _remedy(folder: Path) -> str:
    return f"delete the folder {folder} and run again."


def seed_all(seed: int) -> None:
    """Seed numpy's and torch's global generators."""
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
