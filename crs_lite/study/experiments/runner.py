"""Run experiments: every seed makes its missing rows, and a row is written as soon as it is known, with everything
needed to make it again. A row that is already there is not made again."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import torch

from crs_lite import deadline
from crs_lite.errors import CRSError
from crs_lite.prepared import Prepared
from crs_lite.study.experiments import EXPERIMENTS
from crs_lite.study.recorded import SCHEMA, read, write
from crs_lite.workspace import hardware, versions

VARIED = {"rl_lr", "hidden", "ffn", "minutes"}  # what rows of one profile may differ in: arms, widths, a remark
ITS_OWN = {
    "sizes": {"train_requests", "layers", "fresh_pool"},
    "formats": {"batch_tokens"},
}  # what an experiment is about


@dataclass(frozen=True)
class Job:
    """What one process does: one experiment on one seed. `commit`: the code that the rows are made from."""

    name: str
    seed: int
    prepare: Callable[[int], Prepared]
    out: Path
    command: str
    commit: str
    only: str = "*"


def check_same(path: Path, p: Prepared) -> None:
    """Raises `CRSError` when the row at `path` was made with another log or other budgets than the rows to be made."""
    row, mine = read(path), json.loads(json.dumps(asdict(p.profile)))
    may = VARIED | ITS_OWN.get(row["experiment"], set())
    other = [k for k, v in mine.items() if k not in may and row["profile"].get(k, v) != v]
    other += ["log"] if row["log_sha256"] != p.log_key else []
    if other:
        raise CRSError(f"{path}: made with another {', '.join(other)}; give --out another folder, or delete the row.")


def run_seed(job: Job) -> int:
    """Make the missing rows of one seed; returns how many were made. Raises `CRSError` as `check_same` does, and when
    no row has the name that is asked for."""
    done = 0
    p = job.prepare(job.seed)
    names = []
    for name, make in EXPERIMENTS[job.name](p):  # one by one: what a row needs may be trained between two of them
        names.append(name)
        path = job.out / job.name / f"{name}-seed{job.seed}.json"
        if not fnmatch(name, job.only):
            continue
        if path.exists():
            check_same(path, p)
            continue
        deadline.check(f"before row {name} of seed {job.seed}")
        row = make()
        about = {
            "schema": SCHEMA,
            "experiment": job.name,
            "row": name,
            "seed": job.seed,
            "log": p.log.name,
            "log_sha256": p.log_key,
            "profile": asdict(p.profile),
            "parameters": p.fresh.info,
            "command": job.command,
            "commit": job.commit,
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "versions": versions(),
            "hardware": hardware(),
            "threads": torch.get_num_threads(),
        }
        write(path, {**about, **row})
        print(f"{path}", flush=True)
        done += 1
    if not any(fnmatch(name, job.only) for name in names):
        raise CRSError(f"{job.name} has no row {job.only!r}; --only chooses from {', '.join(names)}.")
    return done


def run(jobs: Sequence[Job], workers: int = 1) -> int:
    """All jobs, `workers` at a time, the cores shared among them. Two single-threaded seeds beat one on two cores.
    Raises `OutOfTime` when the command's minutes are over, after every process has come to a safe point."""
    if workers == 1:
        return sum(map(run_seed, jobs))
    threads = max(1, (os.cpu_count() or 1) // workers)
    spawn = multiprocessing.get_context("spawn")
    given = (threads, deadline.end())
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin, initargs=given) as pool:
        return sum(pool.map(run_seed, jobs))


def _begin(threads: int, until: float | None) -> None:
    """What a process does before its first job."""
    torch.set_num_threads(threads)
    deadline.set_to(until)
