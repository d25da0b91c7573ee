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
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from . import backbones
from .audit import by_attribute
from .baselines.bm25 import BM25
from .baselines.dense import Dense
from .baselines.popularity import Popularity
from .baselines.repeat import RepeatLast
from .contenders import Latent, QueryOnly
from .errors import CRSError
from .evaluate import COLD, MISS, per_request
from .evolve import rl_config
from .facets import Parser, facet_values
from .faithful import mending
from .mapping import KINDS, converge
from .noise import measure
from .pipeline import Pipeline, named
from .rewards import RewardConfig
from .sid.embed import load_embedder
from .stages import Stage, hardware, versions

ARMS = ("rgrpo", "grpo", "beam_top1")
# What `tune` chose for each arm (protocol, tuning).
TUNED: dict[str, dict] = {
    "rgrpo": {"lr": 1e-4},
    "grpo": {"lr": 1e-4, "reward": RewardConfig(validity=0.0)},
    "beam_top1": {"lr": 1e-4},
}
# The control: no reward for the list at all.
FORM_ONLY: dict = {"lr": 1e-4, "reward": RewardConfig(rank=0.0)}
# What `tune-baselines` chose.
BASELINES: dict[str, dict] = {
    "direct SFT": {"lr": 2e-4}, "DSI": {"lr": 6e-4}, "LTRGR": {"lr": 1e-4, "generation": 10.0}, "latent SFT": {"lr": 6e-4},
    "LatentR3": {"noise": 1.0, "lr": 3e-3},
}  # fmt: skip
LESSONS = 3
SCHEMA = 1
VARIED = {"rl_lr", "hidden", "ffn", "minutes"}  # what rows of one profile may differ in: arms, widths, a remark

Row = dict
Made = Iterator[tuple[str, Callable[[], Row]]]  # the name of each row, and what makes it


def tuned(p: Pipeline, settings: dict) -> dict:
    """What tuning chose, for the kind of backbone that it was chosen on; another keeps the learning rates of its profile."""
    return settings if p.profile.backbone == "tiny" else {k: v for k, v in settings.items() if k != "lr"}


# -- the experiments ------------------------------------------------------------------------------


def tune(p: Pipeline) -> Made:
    """Choices, on validation requests only: the learning rate of each RL arm (at most three configurations an arm), and
    the checkpoint from which consolidation starts."""
    distil = p.distil(p.align())
    yield "distilled", lambda: checked(p, "distilled SFT", distil)
    for lr in (1e-4, 3e-4):
        for arm in ARMS:

            def row(arm=arm, lr=lr) -> Row:
                explored = p.explore(distil, arm, lr=lr)
                return checked(p, f"{arm} {lr:.0e}", explored, arm=arm, lr=lr)

            yield f"{arm}-{lr:.0e}", row

    def without() -> Row:
        """GRPO's third configuration: no reward for naming an existing ID, which it otherwise learns in place of hits."""
        explored = p.explore(distil, "grpo", lr=1e-4, reward=RewardConfig(validity=0.0))
        return checked(p, "grpo 1e-04 no validity", explored, arm="grpo", lr=1e-4, validity=0.0)

    yield "grpo-1e-04-no-validity", without

    def control() -> Row:
        """No reward for the list at all, only for form: what RL changes by making the reasoning short and tidy."""
        explored = p.explore(distil, "rgrpo", **FORM_ONLY)
        return checked(p, "form only", explored, arm="form_only", lr=1e-4)

    yield "form-only", control
    for name, from_rl in (("round0-rgrpo-sft", False), ("round0-rgrpo-sft-from-rl", True)):

        def row(name=name, from_rl=from_rl) -> Row:
            explored = p.explore(distil, **tuned(p, TUNED["rgrpo"]))
            stage = p.consolidate(explored if from_rl else distil, p.collect(explored, "round0-rgrpo"), name)
            return checked(p, name, stage)

        yield name, row


def tune_baselines(p: Pipeline) -> Made:
    """As `tune`, for the learned baselines: at most three configurations each."""
    align, words, thoughts = later(p.align), QueryOnly(p), Latent(p)
    first = p.profile.distil_lr

    def rate(lr: float) -> float | None:
        return None if lr == first else lr  # the profile's own rate has the stage that `main` uses

    for lr in (first, 6e-4, 2e-4):
        direct = later(lambda start, lr=lr: p.direct(start, rate(lr)), align)
        yield f"direct-SFT-{lr:.0e}", partial(checked, p, f"direct SFT {lr:.0e}", direct, "none", lr=lr)
    for lr in (first, 6e-4):
        dsi = later(lambda start, lr=lr: words.dsi(start, rate(lr)), align)
        yield f"DSI-{lr:.0e}", partial(checked, p, f"DSI {lr:.0e}", dsi, "none", words.ranker, lr=lr)
    dsi = later(words.dsi, align)
    for lr, generation in ((None, 1.0), (1e-4, 1.0), (1e-4, 10.0)):
        ltrgr = later(lambda start, lr=lr, g=generation: words.ltrgr(start, lr, g), dsi)
        about = {"lr": lr or p.profile.sft_lr, "generation": generation}
        name = f"LTRGR-{about['lr']:.0e}-{generation:g}"
        yield name, partial(checked, p, name, ltrgr, "none", words.ranker, **about)
    latents = {lr: later(lambda start, lr=lr: thoughts.supervised(start, rate(lr)), align) for lr in (first, 6e-4)}
    for lr, supervised in latents.items():
        yield f"latent-SFT-{lr:.0e}", partial(checked, p, f"latent SFT {lr:.0e}", supervised, "none", thoughts.ranker, lr=lr)
    for lr, changes in ((first, {}), (6e-4, {"noise": 1.0}), (6e-4, {"noise": 1.0, "lr": 3e-3})):
        reinforced = later(lambda start, c=changes: thoughts.reinforced(start, **c), latents[lr])
        name = f"LatentR3-{lr:.0e}" + named(**changes)
        yield name, partial(checked, p, name, reinforced, "none", thoughts.ranker, supervised_lr=lr, **changes)


def arms(p: Pipeline) -> Made:
    """C3, first iteration: R-GRPO, GRPO and beams with a top-1 reward from the same start; two RL seeds for the two arms
    that the claim compares."""
    distil = p.distil(p.align())
    yield "distilled", lambda: tested(p, "distilled SFT", distil)
    for rl_seed, some in ((0, ARMS), (1, ARMS[:2])):
        for arm in some:

            def row(arm=arm, rl_seed=rl_seed) -> Row:
                explored = p.explore(distil, arm, rl_seed=rl_seed, **tuned(p, TUNED[arm]))
                return tested(p, f"round0 {arm} {rl_seed}", explored, arm=arm, rl_seed=rl_seed)

            yield f"{arm}-{rl_seed}", row

    def control() -> Row:
        explored = p.explore(distil, "rgrpo", **tuned(p, FORM_ONLY))
        return tested(p, "round0 form only", explored, arm="form_only", rl_seed=0)

    yield "form-only-0", control


def loop(p: Pipeline, arms: Sequence[str] = ARMS, rounds: int = 2) -> Made:
    """C2, C4, C5, B1, O1, and C3's second iteration: the whole loop, every stage scored, with both consolidations.

    The loops of the arms that R-GRPO is compared with end with the RL of their last round.
    """
    distil = later(lambda: p.distil(p.align()))
    for arm in arms:
        start = distil
        for i in range(rounds):
            path = f"round{i}-{arm}"
            explored = later(p.explore, start, arm, path if i else "round0", **tuned(p, TUNED[arm]))
            about = {"arm": arm, "round": i}
            if i:
                yield f"{arm}-round{i}-rl", partial(tested, p, f"{path} RL", explored, **about)
            if arm != "rgrpo" and i == rounds - 1:
                break
            collected = later(p.collect, explored, path)
            about["kept"] = later(lambda stage: stage.info, collected)
            if arm == "rgrpo":
                other = later(p.consolidate, explored, collected, f"{path}-sft-from-rl")
                yield f"{arm}-round{i}-sft-from-rl", partial(tested, p, f"{path} SFT from RL", other, **about)
            start = later(p.consolidate, start, collected, f"{path}-sft")
            yield f"{arm}-round{i}-sft", partial(tested, p, f"{path} SFT", start, **about)


def long_loop(p: Pipeline) -> Made:
    """The loop for four rounds, R-GRPO only: meant for one seed."""
    yield from loop(p, ("rgrpo",), 4)


def temperature(p: Pipeline) -> Made:
    """How hot the explorer is sampled when its correct reasoning is collected: meant for one seed, validation only."""
    distil = p.distil(p.align())
    for t in (0.5, 1.0, 1.5):
        path = "round0-rgrpo" if t == p.profile.rl_temperature else f"round0-rgrpo-t{t}"

        def row(t=t, path=path) -> Row:
            collected = p.collect(p.explore(distil, **tuned(p, TUNED["rgrpo"])), path, t)
            stage = p.consolidate(distil, collected, f"{path}-sft")
            return checked(p, f"temperature {t}", stage, temperature=t, kept=collected.info)

        yield f"t{t}", row


def main(p: Pipeline) -> Made:
    """C1: every baseline. What does not learn is the same for every seed and is taken once."""
    if p.seed == 0:
        dense = lambda _: Dense(p.embeddings(), load_embedder(p.profile.embedder).encode)  # noqa: E731
        fixed = {
            "popularity": lambda _: Popularity(p.log),
            "repeat-last": lambda _: RepeatLast(p.log),
            "BM25": lambda _: BM25(p.log),
            "dense": dense,
        }
        for kind in ("informed", "oracle") if p.truth else ():
            fixed[kind] = lambda _, kind=kind: p.truth.ranker(kind)
        for name, ranker in fixed.items():
            yield name, partial(tested, p, name, p.ids_stage, "none", ranker=ranker)
    align, words, thoughts = later(p.align), QueryOnly(p), Latent(p)
    yield from both(p, "aligned", align, "none")
    yield from both(p, "direct SFT", later(p.direct, align, **tuned(p, BASELINES["direct SFT"])), "none")
    yield from both(p, "aligned query only", align, "none", words.ranker)
    dsi = later(words.dsi, align, **tuned(p, BASELINES["DSI"]))
    yield from both(p, "DSI", dsi, "none", words.ranker)
    yield from both(p, "LTRGR", later(words.ltrgr, dsi, **tuned(p, BASELINES["LTRGR"])), "none", words.ranker)
    supervised = later(thoughts.supervised, align, **tuned(p, BASELINES["latent SFT"]))
    yield from both(p, "latent SFT", supervised, "none", thoughts.ranker)
    yield from both(p, "LatentR3", later(thoughts.reinforced, supervised, **tuned(p, BASELINES["LatentR3"])), "none", thoughts.ranker)


def advantage_noise(p: Pipeline) -> Made:
    """C3's mechanism: how much of each arm's advantage is the luck of the judge, at the distilled start, on requests it
    gets wrong (training requests, as in RL)."""

    def row() -> Row:
        distil = p.distil(p.align())
        wrong = p.split(distil).json("split.json")["wrong"]

        def fn(folder: Path) -> dict:
            some = [p.pool[i] for i in np.random.default_rng(0).permutation(wrong)[: p.profile.intervened]]
            model = backbones.load_model(distil.folder)
            return {"n": len(some), "draws": 8, "arms": measure(model, p.codec, some, rl_config(p.profile), 8, p.seed)}

        stage = p.work.run("advantage-noise", {"distil": distil, "split": p.split(distil), "n": p.profile.intervened}, fn)
        return {"stage": stage.folder.name, "stage_minutes": stage.minutes, **stage.info}

    yield "noise", row


def mend(p: Pipeline) -> Made:
    """What keeps the reasoner from its probe: its own texts on test requests (those whose texts `faithfulness` edits),
    with the false words on one attribute replaced by true ones, then on all. What is still missing is what they leave
    unsaid. Raises `CRSError` on a log without a truth."""
    if not p.truth:
        raise CRSError(f"experiment mend: nobody knows what is true in the log {p.log.name!r}; run it on marketplace.")
    some = p.test[: p.profile.intervened]
    start = later(lambda: p.distil(p.align()))
    ends = {"distilled": ("distilled SFT", start)}
    for i in range(2):
        path = f"round{i}-rgrpo"
        explored = later(p.explore, start, "rgrpo", path if i else "round0", **tuned(p, TUNED["rgrpo"]))
        start = later(p.consolidate, start, later(p.collect, explored, path), f"{path}-sft")
    ends["rgrpo-round1-sft"] = "round1-rgrpo SFT", start

    for name, (system, end) in ends.items():

        def row(name=name, system=system, end=end) -> Row:
            scored = p.score(system, end())

            n, parser, claims = len(some), Parser(facet_values(p.log)), [p.truth.claims(r) for r in some]
            thoughts = scored["thoughts"][:n]

            def fn(folder: Path) -> dict:
                model = backbones.load_model(end().folder)
                return {"mended": mending(model, p.codec, some, thoughts, claims, parser, p.profile.eval_batch)}

            stage = p.work.run(f"mend-{name}", {"checkpoint": end(), "n": n, "max_reasoning": p.profile.max_reasoning}, fn)
            return {
                "system": system, "n": n, "request_ids": scored["request_ids"][:n], "ranks": scored["ranks"][:n],
                "true_reasoning_ranks": scored["true_reasoning"]["ranks"][:n],
                "by_attribute": by_attribute([parser.stated(t) for t in thoughts], claims),
                "stage": stage.folder.name, "stage_minutes": stage.minutes, **stage.info,
            }  # fmt: skip

        yield name, row


def mapping(p: Pipeline) -> Made:
    """C7 apart from everything else: how fast item <-> ID is learnt, by the kind of ID."""
    for kind in KINDS:

        def row(kind=kind) -> Row:
            def fn(folder: Path) -> dict:
                return converge(p.log, p.embeddings(), kind, p.profile, p.seed)

            fields = ("mapping_epochs", "align_lr", "batch_tokens", "hidden", "layers", "vocab", "sid_sizes", "check_items")
            depends = {"log": p.log_key, "kind": kind, **{f: getattr(p.profile, f) for f in fields}}
            stage = p.work.run(f"mapping-{kind}", depends, fn)
            return {"kind": kind, "stage": stage.folder.name, "stage_minutes": stage.minutes, **stage.info}

        yield kind, row


def capacity(p: Pipeline) -> Made:
    """How much of what is lost is the size of the backbone: the distilled start, and the aligned model's direct answer,
    at half the width and at one and a half times the width, everything else as it is. Judges no claim."""

    def row(name: str, width: int, reason: str) -> Row:
        profile = replace(p.profile, hidden=width, ffn=p.profile.ffn * width // p.profile.hidden)
        other = Pipeline(p.log, p.truth, profile, p.seed, p.work.root / name, p.shipped)
        other.prepare()
        if reason == "none":
            found = tested(other, f"aligned, {name}", other.align(), "none")
        else:
            found = tested(other, f"distilled SFT, {name}", other.distil(other.align()))
        return {**found, "profile": asdict(profile), "parameters": other.fresh.info}

    for name, width in (("half-width", p.profile.hidden // 2), ("wider", p.profile.hidden * 3 // 2)):
        yield name, partial(row, name, width, "own")
        yield f"{name}-aligned", partial(row, name, width, "none")


def lessons(p: Pipeline) -> Made:
    """How much of what is lost is the shortness of the lesson: the distilled start and direct SFT, `LESSONS` times over
    their requests instead of once, everything else as it is; and one round of RL from that start. Judges no claim."""
    align = later(p.align)
    distil = later(p.distil, align, epochs=LESSONS)
    yield "distilled", partial(tested, p, f"distilled SFT, {LESSONS} times over", distil, epochs=LESSONS)
    direct = later(p.direct, align, epochs=LESSONS, **tuned(p, BASELINES["direct SFT"]))
    yield "direct-SFT", partial(tested, p, f"direct SFT, {LESSONS} times over", direct, "none", epochs=LESSONS)
    explored = later(p.explore, distil, "rgrpo", f"lessons{LESSONS}-round0", **tuned(p, TUNED["rgrpo"]))
    yield "rgrpo-0", partial(tested, p, f"R-GRPO after {LESSONS} times over", explored, epochs=LESSONS, arm="rgrpo", rl_seed=0)


EXPERIMENTS: dict[str, Callable[[Pipeline], Made]] = {
    "tune": tune, "tune-baselines": tune_baselines, "arms": arms, "loop": loop, "long-loop": long_loop,
    "temperature": temperature, "main": main, "mapping": mapping, "noise": advantage_noise,
    "mend": mend, "capacity": capacity, "lessons": lessons,
}  # fmt: skip


def later(make: Callable, *inputs, **options) -> Callable:
    """A stage that is made when it is first asked for, from inputs that may be such stages themselves: rows that nobody
    wants then cost nothing."""
    return cache(lambda: make(*map(made, inputs), **options))


def made(x):
    return x() if callable(x) else x


def tested(p: Pipeline, name: str, stage: Stage | Callable[[], Stage], reason: str = "own", ranker=None, **about) -> Row:
    """The row of a checkpoint, scored on test requests."""
    stage = made(stage)
    about = {key: made(value) for key, value in about.items()}
    return learned(p, p.score(name, stage, reason, ranker=ranker), stage, **about)


def checked(p: Pipeline, name: str, stage: Stage | Callable[[], Stage], reason: str = "own", ranker=None, **about) -> Row:
    """As `tested`, on validation requests."""
    stage = made(stage)
    return learned(p, p.score(name, stage, reason, "valid", ranker), stage, **about)


def both(p: Pipeline, name: str, stage: Callable[[], Stage], reason: str, ranker=None) -> Made:
    row = name.replace(" ", "-")
    yield row, partial(tested, p, name, stage, reason, ranker)
    yield f"{row}-valid", partial(checked, p, name, stage, reason, ranker)


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
        group = p.profile.rl_prompts * p.profile.rl_group
        row["rl_tokens"] = int(sum(r["tokens"] for r in rows) * group)  # sampled, over the whole stage
        row["steps"] = {key: [round(r[key], 5) for r in rows] for key in rows[0] if key != "step"}
    return row


def write(path: Path, row: Row) -> None:
    """One key a line, lists on one line: readable, and small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = ",\n".join(f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in row.items())
    unfinished = path.with_suffix(".partial")
    unfinished.write_text("{\n" + body + "\n}\n")
    unfinished.rename(path)


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


def check_same(path: Path, pipeline: Pipeline) -> None:
    """Raises `CRSError` when the row at `path` was made with another log or other budgets than the rows to be made."""
    row, mine = read(path), json.loads(json.dumps(asdict(pipeline.profile)))
    other = [k for k, v in mine.items() if k not in VARIED and row["profile"].get(k, v) != v]
    other += ["log"] if row["log_sha256"] != pipeline.log_key else []
    if other:
        raise CRSError(f"{path}: made with another {', '.join(other)}; give --out another folder, or delete the row.")


def run_seed(job: Job) -> int:
    """Make the missing rows of one seed; returns how many were made. Raises `CRSError` as `check_same` does."""
    done = 0
    pipeline = job.open(job.seed)
    pipeline.prepare()
    for name, make in EXPERIMENTS[job.name](pipeline):
        path = job.out / job.name / f"{name}-seed{job.seed}.json"
        if not fnmatch(name, job.only):
            continue
        if path.exists():
            check_same(path, pipeline)
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
    if metric == "utility":
        return np.array(row["utility"], dtype=float)
    return per_request(np.array([MISS if r is None else r for r in row["ranks"]], dtype=np.int64))[metric]
