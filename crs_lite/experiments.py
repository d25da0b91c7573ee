"""Named experiments: every seed trains its start once, the arms branch from it, and each finished arm is one file.

`book/protocol.md` says what is measured and why; this module is its executable half. A row is written as soon as it
is known, with everything needed to rerun it; a row that is already there is not made again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch

from .errors import CRSError
from .evaluate import COLD
from .pipeline import Pipeline
from .stages import Stage, hardware, versions

ARMS = ("rgrpo", "grpo", "beam_top1")
SCHEMA = 1

Row = dict
Made = Iterator[tuple[str, Callable[[], Row]]]  # the name of each row, and what makes it


# -- the experiments ------------------------------------------------------------------------------


def tune(p: Pipeline) -> Made:
    """Learning rates of the RL arms, on validation requests only. At most three a arm (protocol)."""
    distil = p.distil(p.align())
    yield "distilled", lambda: learned(p, p.score("distilled SFT", distil, split="valid"), distil)
    for lr in (1e-4, 3e-4):
        for arm in ARMS:

            def row(arm=arm, lr=lr) -> Row:
                explored = p.explore(distil, arm, **({} if lr == p.profile.rl_lr else {"lr": lr}))
                return learned(p, p.score(f"{arm} {lr:.0e}", explored, split="valid"), explored, arm=arm, lr=lr)

            yield f"{arm}-{lr:.0e}", row


def arms(p: Pipeline) -> Made:
    """C3, first iteration: R-GRPO, GRPO and beams with a top-1 reward from the same start, two RL seeds each."""
    align = p.align()
    direct, distil = p.direct(align), p.distil(align)
    yield "aligned", lambda: learned(p, p.score("aligned", align, "none"), align)
    yield "direct", lambda: learned(p, p.score("direct SFT", direct, "none"), direct)
    yield "distilled", lambda: learned(p, p.score("distilled SFT", distil), distil)
    for rl_seed in (0, 1):
        for arm in ARMS:

            def row(arm=arm, rl_seed=rl_seed) -> Row:
                explored = p.explore(distil, arm, rl_seed=rl_seed)
                name = "after RL" if (arm, rl_seed) == ("rgrpo", 0) else f"round0 {arm} {rl_seed}"
                return learned(p, p.score(name, explored), explored, arm=arm, rl_seed=rl_seed)

            yield f"{arm}-{rl_seed}", row


EXPERIMENTS: dict[str, Callable[[Pipeline], Made]] = {"tune": tune, "arms": arms}


# -- rows -----------------------------------------------------------------------------------------


def learned(p: Pipeline, scored: dict, stage: Stage, **about) -> Row:
    """The row of a checkpoint: raw ranks (intervals are made from them), both probes, the audit, and the RL history."""
    requests = {r.id: r for split in ("valid", "test") for r in p.log.split(split)}
    of = [requests[i] for i in scored["request_ids"]]
    row = {
        **about,
        "system": scored["name"],
        "split": of[0].split,
        "n": scored["n"],
        "request_ids": scored["request_ids"],
        "cold": [int(p.log.n_past(r) <= COLD) for r in of],
        "ranks": scored["ranks"],
        "utility": scored.get("utility"),
        "true_reasoning_ranks": scored.get("true_reasoning", {}).get("ranks"),
        "audit": scored.get("audit"),
        "faithfulness": scored.get("faithfulness"),
        "thoughts": scored.get("thoughts", [])[:20],
        "stage": stage.folder.name,
        "stage_info": stage.info,
        "stage_minutes": stage.minutes,
    }
    steps = stage.folder / "steps.jsonl"
    if steps.exists():
        rows = [json.loads(line) for line in steps.read_text().splitlines()]
        row["steps"] = {key: [round(r[key], 5) for r in rows] for key in rows[0] if key != "step"}
    return row


def write(path: Path, row: Row) -> None:
    """One key a line, lists on one line: readable, and small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = ",\n".join(f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in row.items())
    partial = path.with_suffix(".partial")
    partial.write_text("{\n" + body + "\n}\n")
    partial.rename(path)


def read(path: Path) -> Row:
    """Raises `CRSError` naming a file that is damaged or of another schema."""
    try:
        row = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as e:
        raise CRSError(f"{path}: damaged row ({e}); delete it and run its experiment again.") from None
    if row.get("schema") != SCHEMA:
        raise CRSError(f"{path}: a row of another version; delete it and run its experiment again.")
    return row


# -- running --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What one process does: one experiment on one seed."""

    name: str
    seed: int
    open: Callable[[int], Pipeline]
    out: Path
    command: str
    only: str = "*"


def run_seed(job: Job) -> int:
    """Make the missing rows of one seed; returns how many were made."""
    done = 0
    pipeline = job.open(job.seed)
    pipeline.prepare()
    for name, make in EXPERIMENTS[job.name](pipeline):
        path = job.out / job.name / f"{name}-seed{job.seed}.json"
        if path.exists() or not fnmatch(name, job.only):
            continue
        row = make()
        about = {
            "schema": SCHEMA, "experiment": job.name, "row": name, "seed": job.seed, "log": pipeline.log.name,
            "log_sha256": pipeline.log_key, "profile": asdict(pipeline.profile), "parameters": pipeline.fresh.info,
            "command": job.command, "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"), "versions": versions(),
            "hardware": hardware(), "threads": torch.get_num_threads(),
        }  # fmt: skip
        write(path, {**about, **row})
        print(f"{path}", flush=True)
        done += 1
    return done


def run(jobs: Sequence[Job], workers: int = 1) -> int:
    """All jobs, `workers` at a time, the cores shared among them. Two single-threaded seeds beat one on two cores."""
    if workers == 1:
        return sum(map(run_seed, jobs))
    threads = max(1, (os.cpu_count() or 1) // workers)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        return sum(pool.map(run_seed, jobs))


def rows(folder: Path, experiment: str) -> list[Row]:
    """Every recorded row of an experiment, by file name."""
    return [read(path) for path in sorted((folder / experiment).glob("*.json"))]


def values(row: Row, metric: str) -> np.ndarray:
    """`(n,)` values of a metric of the evaluator, or of "utility", in the order of `request_ids`."""
    from .evaluate import MISS, per_request

    if metric == "utility":
        return np.array(row["utility"], dtype=float)
    return per_request(np.array([MISS if r is None else r for r in row["ranks"]], dtype=np.int64))[metric]
