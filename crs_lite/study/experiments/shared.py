"""What every experiment is written with: the arms and what tuning chose for them, stages that are made when first asked
for, and the row of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np

from crs_lite.evaluate import COLD
from crs_lite.prepared import Prepared
from crs_lite.rewards import RewardConfig
from crs_lite.scoring import merged, score
from crs_lite.study.recorded import Row
from crs_lite.workspace import Stage

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
    "direct SFT": {"lr": 2e-4},
    "DSI": {"lr": 6e-4},
    "LTRGR": {"lr": 1e-4, "generation": 10.0},
    "latent SFT": {"lr": 6e-4},
    "LatentR3": {"noise": 1.0, "lr": 3e-3},
}

Made = Iterator[tuple[str, Callable[[], Row]]]  # the name of each row, and what makes it


def tuned(p: Prepared, settings: dict) -> dict:
    """What tuning chose, for the kind of backbone that it was chosen on; another keeps the learning rates of its
    profile."""
    return settings if p.profile.backbone == "tiny" else {k: v for k, v in settings.items() if k != "lr"}


def later(make: Callable, *inputs, **options) -> Callable:
    """A stage that is made when it is first asked for, from inputs that may be such stages themselves: rows that nobody
    wants then cost nothing."""
    return cache(lambda: make(*map(made, inputs), **options))


def made(x):
    """What a `later` stands for; anything else is itself."""
    return x() if callable(x) else x


# -- rows -------------------------------------------------------------------------------------------


def tested(
    p: Prepared, name: str, stage: Stage | Callable[[], Stage], reason: str = "own", ranker=None, **about
) -> Row:
    """The row of a checkpoint, scored on test requests."""
    stage = made(stage)
    about = {key: made(value) for key, value in about.items()}
    return learned(p, score(p, name, stage, reason, ranker=ranker), stage, **about)


def checked(
    p: Prepared, name: str, stage: Stage | Callable[[], Stage], reason: str = "own", ranker=None, **about
) -> Row:
    """As `tested`, on validation requests."""
    stage = made(stage)
    return learned(p, score(p, name, stage, reason, "valid", ranker), stage, **about)


def both(p: Prepared, name: str, stage: Callable[[], Stage], reason: str, ranker=None) -> Made:
    """Two rows: on test requests, and on validation requests."""
    row = name.replace(" ", "-")
    yield row, partial(tested, p, name, stage, reason, ranker)
    yield f"{row}-valid", partial(checked, p, name, stage, reason, ranker)


def learned(p: Prepared, scored: dict, stage: Stage, **about) -> Row:
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
        "tokens": scored.get("tokens", 0.0),
        "stage": stage.folder.name,
        "stage_info": stage.info,
        "stage_minutes": stage.minutes,
    }
    steps = stage.folder / "steps.jsonl"
    history = stage.json_lines(steps.name) if steps.exists() else []
    if history:
        group = p.profile.rl_prompts * p.profile.rl_group
        row["rl_tokens"] = int(sum(r["tokens"] for r in history) * group)  # sampled, over the whole stage
        row["steps"] = {key: [round(r[key], 5) for r in history] for key in history[0] if key != "step"}
    return row


def thoughts_row(p: Prepared, name: str, stage, split: str = "valid", **about) -> Row:
    """The row of merged thoughts: the lists of all thoughts as the row's own; of fewer thoughts the ranks and the mean
    utility."""
    stage = made(stage)
    found = merged(p, name, stage, split)
    most = found["lists"][max(found["lists"], key=int)]
    lists = {m: {**of, **({"utility": float(np.mean(of["utility"]))} if "utility" in of else {})}
             for m, of in found["lists"].items()}  # fmt: skip
    return {
        **about, "system": f"{name}, {max(lists, key=int)} thoughts", "split": split, "ranks": most["ranks"],
        "utility": most.get("utility"), **{k: v for k, v in found.items() if k != "name"}, "lists": lists,
        "thoughts": found["thoughts"][:3], "stage": stage.folder.name, "stage_info": stage.info,
        "stage_minutes": stage.minutes,
    }  # fmt: skip
