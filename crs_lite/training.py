"""The stages that train, each a function of a prepared run and the stage before it; finished ones are read, not made.

align -> direct, distil; then the rounds of the loop: split -> explore (RL) -> collect -> consolidate (SFT). `path`
names what led to a round, so that branches of one start never share a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from crs_lite import evolve, rl, sft, variety
from crs_lite.files import write_json, write_json_lines
from crs_lite.logs import SearchRequest
from crs_lite.model import backbones, bfloat16
from crs_lite.prepared import Prepared
from crs_lite.ranker import roundtrip
from crs_lite.tasks import Example, context_to_sid, item_to_sid, reasoned, sid_to_item, specification_to_sid
from crs_lite.unfinished import Keeper, fit
from crs_lite.workspace import UNFINISHED, Stage, named

# -- supervised -------------------------------------------------------------------------------------


def align(p: Prepared) -> Stage:
    """Alignment (paper, alignment pre-training): items and IDs both ways, specifications -> ID, contexts -> ID."""
    profile = p.profile

    def learn(folder: Path) -> dict:
        model, codec = _trainable(p, p.fresh, folder), p.codec
        lessons = about_items(p) + context_to_sid(codec, p.train, profile.align_reconstruct)
        log = _taught(p, model, lessons, profile.align_context_epochs, profile.align_lr, folder)
        remembered, model = bfloat16.remembered(model), backbones.merged(model)
        backbones.save(folder, model)
        write_json(folder / "log.json", log)
        return {**roundtrip(model, codec, profile.check_items), **remembered}

    fields = ("align_item_epochs", "align_context_epochs", "align_reconstruct", "align_lr", "batch_tokens", "dtype")
    depends = {"backbone": p.fresh, **p.context_key, **{f: getattr(profile, f) for f in fields}}
    return p.work.run("align", depends, learn, together=True)


def about_items(p: Prepared) -> list[Example]:
    """The lessons of alignment that no request plays a part in: items and IDs both ways, specifications -> ID."""
    profile, codec = p.profile, p.codec
    # The trainer repeats its data for `align_context_epochs`; item pairs must be seen more often than that.
    repeat = max(1, profile.align_item_epochs // profile.align_context_epochs)
    # Spelling a title is harder than naming an ID, so it gets half as many lessons again.
    pairs = item_to_sid(codec) * repeat + sid_to_item(codec) * (repeat + repeat // 2)
    return pairs + specification_to_sid(codec, p.teacher.describe, len(p.log.items) * repeat, p.seed)


def supervised(
    p: Prepared,
    name: str,
    start: Stage,
    depends: dict,
    examples: Callable[[], list[Example]],
    lr: float,
    epochs: int | None = None,
) -> Stage:
    """A supervised stage from `start` on the training sequences that `examples()` makes; by default the profile's
    `sft_epochs` times over them."""
    profile, passes = p.profile, epochs or p.profile.sft_epochs

    def learn(folder: Path) -> dict:
        model = _trainable(p, start, folder)
        rows = examples()
        # A weak model may get nothing right; then there is nothing to learn from.
        log = _taught(p, model, rows, passes, lr, folder) if rows else []
        backbones.save(folder, backbones.merged(model))
        write_json(folder / "log.json", log)
        return {"examples": len(rows), **bfloat16.remembered(model)}

    budgets = {f: getattr(profile, f) for f in ("batch_tokens", "dtype")}
    key = {"start": start, "lr": lr, "sft_epochs": passes, **p.context_key, **budgets, **depends}
    return p.work.run(name, key, learn, together=True)


def direct(p: Prepared, start: Stage, lr: float | None = None, epochs: int | None = None) -> Stage:
    """Direct SFT: context -> ID without reasoning, on the same requests as the distilled start, by default at its
    learning rate."""

    def lessons() -> list[Example]:
        return context_to_sid(p.codec, p.taught)

    name, n = "direct" + named(lr=lr, epochs=epochs), p.profile.distil_requests
    return supervised(p, name, start, {"n": n}, lessons, lr or p.profile.distil_lr, epochs)


def direct_counted(p: Prepared, start: Stage) -> Stage:
    """Direct SFT with what is to be seen and counted written into the prompt by code: the loss is on the ID alone."""

    def lessons() -> list[Example]:
        return reasoned(p.codec, [(r, p.perception.write(r), r.target) for r in p.taught], id_only=True)

    n = p.profile.distil_requests
    return supervised(p, "direct-counted", start, {"n": n, **taught_key(p)}, lessons, p.profile.distil_lr)


def distil(p: Prepared, start: Stage, epochs: int | None = None, lr: float | None = None) -> Stage:
    """The distilled start (paper, reasoning SFT): the teacher's reasoning, then the ID; mixed with direct lessons where
    the profile replays them. `lr`: by default the profile's."""

    def lessons() -> list[Example]:
        pairs = [(r, p.lesson(r), r.target) for r in tqdm(p.taught, desc="teacher", mininterval=5)]
        return reasoned(p.codec, pairs, replay=p.profile.replay)

    depends = {"n": p.profile.distil_requests, "bias": asdict(p.teacher.bias), **taught_key(p)}
    name = "distil" + named(lr=lr, epochs=epochs, **taught_key(p))
    return supervised(p, name, start, depends, lessons, lr or p.profile.distil_lr, epochs)


def taught_key(p: Prepared) -> dict:
    """What the key of a stage that learns from reasoning depends on, where it is not the first edition's."""
    first = {"reasoning": "conclude", "teacher": "hindsight", "replay": 0.0}
    return {k: v for k in first if (v := getattr(p.profile, k)) != first[k]}


def explained(
    p: Prepared, requests: Sequence[SearchRequest], kept: Sequence[tuple[int, str]]
) -> list[tuple[SearchRequest, str, int]]:
    """Collected thoughts, (row of `requests`, text), as lessons: request, reasoning in the run's format, target."""
    return [(requests[i], p.perception.write(requests[i]) + text, requests[i].target) for i, text in kept]


def own_guesses(p: Prepared, start: Stage, n: int) -> Stage:
    """The decoder meets its own thoughts (our choice): one sampled a request, right or wrong, the loss on the ID alone,
    on n requests of the pool."""
    requests = p.pool[:n]

    def lessons() -> list[Example]:
        model = backbones.load_model(start.folder)
        kept = evolve.collect(model, p.codec, requests, p.profile, p.seed, p.thought_prompt, keep="all")
        return reasoned(p.codec, explained(p, requests, kept), id_only=True, replay=p.profile.replay)

    depends = {"n": n, "temperature": p.profile.rl_temperature, "max_conclusion": p.profile.max_conclusion}
    name = "own-guesses" + named(n=n, **taught_key(p))
    return supervised(p, name, start, depends | taught_key(p), lessons, p.profile.sft_lr)


# -- one round of the loop --------------------------------------------------------------------------


def split(p: Prepared, start: Stage, path: str = "round0") -> Stage:
    """Which requests of the pool the round's start gets wrong (to explore) and right."""

    def sort(folder: Path) -> dict:
        rows = evolve.split(backbones.load_model(start.folder), p.codec, p.pool, p.profile)
        write_json(folder / "split.json", rows)
        return {name: len(value) for name, value in rows.items()}

    fields = ("collect_requests", "max_reasoning")
    depends = {"start": start, **p.context_key, **{f: getattr(p.profile, f) for f in fields}}
    return p.work.run(f"{path}-split", depends, sort)


def wrong(p: Prepared, sorted_pool: Stage) -> list[SearchRequest]:
    """The requests of the pool that `split` found wrong."""
    return [p.pool[i] for i in sorted_pool.json("split.json", dict[str, list[int]])["wrong"]]


def explore(
    p: Prepared, start: Stage, arm: str = "rgrpo", path: str = "round0", rl_seed: int = 0, rank=None, **changes
) -> Stage:
    """RL from `start` on what it gets wrong. `rl_seed` > 0 repeats it from the same start with other luck; `changes`
    are single budgets of `RLConfig`, and the folder is named after them; `rank`: see `rl.rollout`, named by `path`."""
    sorted_pool = split(p, start, path)
    config = evolve.rl_config(p.profile, arm, **changes)

    def reinforce(folder: Path) -> dict:
        requests, seed = wrong(p, sorted_pool), p.seed + 1000 * rl_seed
        if not requests:
            print(
                f"{path}: nothing of the pool is wrong, so there is nothing to explore; the round begins where it ends"
            )
            backbones.save(folder, backbones.load_model(start.folder))
            write_json_lines(folder / "steps.jsonl", [])
            return {"wrong": 0, "steps": 0}
        model = _trainable(p, start, folder)
        reference = bfloat16.like(model, backbones.load_model(start.folder)) if config.kl > 0 else None
        history = evolve.explore(
            model, reference, p.codec, requests, config, seed, folder / "steps.jsonl", p.thought_prompt,
            variety.rollout if arm in variety.ARMS else partial(rl.rollout, rank=rank), Keeper(folder / UNFINISHED),
        )  # fmt: skip
        backbones.save(folder, backbones.merged(model))
        return {"wrong": len(requests), "steps": len(history), **bfloat16.remembered(model)}

    depends = {"split": sorted_pool, "config": asdict(config), "forced": "no action"}
    depends |= {"rl_seed": rl_seed} if rl_seed else {}
    name = "-".join([path, arm, *([str(rl_seed)] if rl_seed else [])])
    return p.work.run(name + named(**changes), depends, reinforce, together=True)


def collect(
    p: Prepared,
    explored: Stage,
    path: str = "round0",
    temperature: float | None = None,
    keep: Literal["correct", "all"] = "correct",
) -> Stage:
    """Reasoning sampled from the explorer: what the next SFT learns from. By default what led to the target (the
    paper's); with `keep` "all" whatever came."""
    profile = p.profile if temperature is None else replace(p.profile, rl_temperature=temperature)

    def gather(folder: Path) -> dict:
        model = backbones.load_model(explored.folder)
        kept = evolve.collect(model, p.codec, p.pool, profile, p.seed, p.thought_prompt, keep)
        write_json(folder / "kept.json", kept)
        return {"kept": len(kept), "of": len(p.pool)}

    depends = {"explored": explored, "samples": profile.collect_samples, "temperature": profile.rl_temperature}
    other = {} if keep == "correct" else {"keep": keep}
    return p.work.run(f"{path}-collect{'-all' if other else ''}", {**depends, **other}, gather)


def consolidate(
    p: Prepared, start: Stage, collected: Stage, name: str, id_only: bool = False, lr: float | None = None
) -> Stage:
    """SFT on what was collected, from `start`: the RL checkpoint, or the SFT one the round began with. With `id_only`
    the loss is on the ID alone, as it must be where wrong thoughts were kept. `lr`: by default the profile's."""

    def lessons() -> list[Example]:
        kept = collected.json("kept.json", list[tuple[int, str]])
        return reasoned(p.codec, explained(p, p.pool, kept), id_only, p.profile.replay)

    depends = {"collected": collected, **({"id_only": True} if id_only else {}), **taught_key(p)}
    return supervised(p, name, start, depends, lessons, lr or p.profile.sft_lr)


# -- shared -----------------------------------------------------------------------------------------


def _trainable(p: Prepared, start: Stage, folder: Path):
    """The model of a checkpoint, ready to learn (see `backbones.adapt`) in the stage's `folder`, in the numbers that
    this machine is fastest with of those the profile allows (see `bfloat16.prepare`)."""
    model = backbones.adapt(backbones.load_model(start.folder), p.profile.lora_rank)
    return bfloat16.prepare(model, p.profile.dtype, folder / UNFINISHED)


def _taught(p: Prepared, model, rows: list[Example], epochs: int, lr: float, folder: Path) -> list[dict]:
    """`sft.train` with the run's batches, seed and precision: the model changes in place. Its unfinished state is
    kept in the stage's `folder`. Returns the losses."""
    profile = p.profile
    log = sft.train(
        model,
        p.tokenizer,
        rows,
        epochs=epochs,
        lr=lr,
        batch_tokens=profile.batch_tokens,
        seed=p.seed,
        dtype=profile.dtype,
        fit=lambda trainer: fit(trainer, Keeper(folder / UNFINISHED)),
    )
    # In float16 a step may overflow; it is skipped, and its norm is no number.
    return [{k: v if np.isfinite(v) else None for k, v in row.items()} for row in log]
