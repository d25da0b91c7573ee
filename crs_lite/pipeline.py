"""The whole system at one profile: log in, results file out, every stage resumable.

ids -> backbone -> align -> direct -> distil -> round 0 (split, explore, collect, consolidate) -> evaluation.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from time import perf_counter

import numpy as np
import torch

from crs_lite.model.distributed import n_processes
from crs_lite.prepared import Prepared
from crs_lite.scoring import baselines, merging_ranker, score
from crs_lite.training import align, collect, consolidate, direct, distil, explore, split
from crs_lite.workspace import hardware, versions


def run(p: Prepared, command: str = "", commit: str | None = None) -> dict:
    """Everything, in order. Returns the results (see `study/results.py`), `command` and `commit` remembered in them."""
    started = perf_counter()
    fixed, leak = baselines(p)
    aligned = align(p)
    answering, distilled = direct(p, aligned), distil(p, aligned)
    sorted_pool, explored = split(p, distilled), explore(p, distilled)
    collected = collect(p, explored)
    # The paper leaves open where consolidation starts. Validation requests could not tell the two choices apart; the
    # SFT checkpoint is ours, and the other stands beside it.
    consolidated = consolidate(p, distilled, collected, "round0-sft")
    continued = consolidate(p, explored, collected, "round0-sft-from-rl")
    several = f"distilled SFT, {p.profile.thoughts} thoughts merged"
    stages = [
        score(p, "aligned", aligned, "none"),
        score(p, "direct SFT", answering, "none"),
        score(p, "distilled SFT", distilled),
        score(p, several, distilled, ranker=partial(merging_ranker, p, several)),
        score(p, "after RL", explored),
        score(p, "after consolidation", consolidated),
        score(p, "consolidation from RL", continued),
    ]
    made = [
        p.ids_stage,
        p.fresh,
        aligned,
        answering,
        distilled,
        sorted_pool,
        collected,
        explored,
        consolidated,
        continued,
    ]
    return {
        "name": "quickstart",
        "log": p.log.name,
        "log_sha256": p.log_key,
        **({"log_about": p.about} if p.about else {}),
        "synthetic_queries": any(r.synthetic_query for r in p.test),
        "query_leak": leak,
        "profile": asdict(p.profile),
        "seed": p.seed,
        "n_test": len(p.test),
        "command": command,
        "commit": commit,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": versions(),
        "hardware": hardware(),
        "threads": torch.get_num_threads(),
        **({"processes": n_processes()} if n_processes() > 1 else {}),
        "minutes": sum(p.work.minutes.values()),  # of all stages this run used, whenever they were made
        "minutes_this_call": (perf_counter() - started) / 60,
        "parameters": p.fresh.info,
        "sid": p.ids_stage.info,
        "alignment": aligned.info,
        "context": context_report(p),
        "stage_minutes": {s.folder.name: s.minutes for s in made},
        "stage_info": {s.folder.name: s.info for s in made},
        "rl_steps": explored.json_lines("steps.jsonl"),
        "baselines": fixed,
        "stages": stages,
    }


def context_report(p: Prepared) -> dict:
    """How much of the history survives the token budget: distribution over the test requests."""
    kept = [len(p.codec.context(r).history) for r in p.test]
    there = [len(p.log.history(r, 10)) for r in p.test]
    tokens = [len(p.codec.prompt(r)) for r in p.test]
    full = [k for k, n in zip(kept, there, strict=True) if n == 10]
    return {
        "median_kept_of_10": float(np.median(full)) if full else None,
        "kept_quartiles": np.percentile(kept, [0, 25, 50, 75, 100]).tolist(),
        "tokens_quartiles": np.percentile(tokens, [0, 25, 50, 75, 100]).tolist(),
    }
