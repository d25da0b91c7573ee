"""Recorded arms of RL and rounds of the loop, of both editions, as differences and tables for chapters 8 and 9."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from crs_lite.evaluate import Difference
from crs_lite.study import difference, gather, values
from crs_lite.study.recorded import Row, Rows

Seeds = dict[int, Row]
ARMS = {
    "R-GRPO": "rgrpo",
    "beams, top 1": "beam_top1",
    "GRPO": "grpo",
    "worth to the merged list": "merged",
    "likelihood of the mixture": "mixture",
}  # how prose calls an arm -> how rows do


def ndcg(row: Row) -> float:
    """Mean NDCG@10 of a row."""
    return float(values(row, "NDCG@10").mean())


def probed(rows: Seeds) -> Seeds:
    """The same rows with the list of true reasoning in place of their own."""
    return {seed: {**row, "ranks": row["true_reasoning_ranks"]} for seed, row in rows.items()}


def audited(row: Row) -> dict[str, float]:
    """What the audit counted in a row's thoughts, as shares: of attributes, of claims, of thoughts; then sizes."""
    audit, planted = row["audit"], row["audit"]["planted"]
    return {
        "attributes true": audit["attribute_truth"],
        "attributes stated, a thought": audit["stated"],
        "words, a thought": audit["words"],
        "repeats itself": audit["repeated"],
        "contradicts its context": audit["contradicts_context"],
        "claims the favourite": planted["prior"] / max(planted["claims"], 1),
        "claims nothing supports": planted["unsupported"] / max(planted["claims"], 1),
    }


def table(stages: dict[str, Seeds], measures: dict[str, Callable[[Row], float]]) -> pd.DataFrame:
    """Means over the seeds that every stage has: name of a stage -> a column a measure."""
    seeds = common(stages)
    rows = {name: {m: np.mean([of[s] for s in seeds]) for m, of in measured(rows, measures).items()}
            for name, rows in stages.items()}  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def measured(rows: Seeds, measures: dict[str, Callable[[Row], float]]) -> dict[str, dict[int, float]]:
    """Measure -> seed -> value."""
    return {name: {seed: measure(row) for seed, row in rows.items()} for name, measure in measures.items()}


def common(stages: dict[str, Seeds]) -> list[int]:
    """The seeds that all of these have."""
    return sorted(set.intersection(*(set(rows) for rows in stages.values())))


def lines(stages: dict[str, Seeds], measure: Callable[[Row], float]) -> np.ndarray:
    """A measure stage by stage, over the seeds that all stages have: `(seeds, stages)`."""
    return np.array([[measure(rows[s]) for rows in stages.values()] for s in common(stages)])


def minus(
    pairs: dict[str, tuple[Seeds | list[Seeds], Seeds | list[Seeds]]], metric: str = "NDCG@10"
) -> dict[str, tuple[Difference, int]]:
    """Label -> (a, b) as label -> (a - b with its interval, number of seeds); a pair without common seeds is left
    out. Several runs of one system from the same start come as a list, and are averaged first."""
    found = {}
    for label, (a, b) in pairs.items():
        d = difference(*(x if isinstance(x, list) else [x] for x in (a, b)), metric)
        if d:
            found[label] = d
    return found


def said(d: Difference) -> str:
    """`+0.020 [+0.001, +0.036]`."""
    return f"{d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"


def effects(columns: dict[str, dict[str, tuple[Difference, int]]]) -> pd.DataFrame:
    """Differences as text: a row a label, a column a metric, and the seeds at the end."""
    out: dict[str, dict[str, str | int]] = {}
    for column, gains in columns.items():
        for label, (d, _) in gains.items():
            out.setdefault(label, {})[column] = said(d)
    for gains in columns.values():
        for label, (_, n) in gains.items():
            out[label]["seeds"] = n
    frame = pd.DataFrame.from_dict(out, orient="index").fillna("")
    return frame[[*columns, "seeds"]]


def steps(rows: Seeds, *keys: str) -> dict[str, np.ndarray]:
    """What RL logged at every step: key -> `(seeds, steps)`."""
    return {key: np.array([row["steps"][key] for row in rows.values()]) for key in keys}


def second_path(thoughts: Rows, explored: Rows) -> dict[str, Seeds]:
    """The stages of the second edition's loop, as far as every seed went."""
    names = {"RL 1": "rgrpo-round0-rl", "SFT 1": "rgrpo-round0-sft", "RL 2": "rgrpo-round1-rl"}
    return {"start": thoughts["start"], **{label: explored[name] for label, name in names.items()}}


def first_path(folder) -> dict[str, Seeds]:
    """The stages of the first edition's two rounds. `folder`: its recorded rows."""
    arms, loops = gather(folder, "arms"), gather(folder, "loop")
    later = {"SFT 1": "rgrpo-round0-sft", "RL 2": "rgrpo-round1-rl", "SFT 2": "rgrpo-round1-sft"}
    return {"start": arms["distilled"], "RL 1": arms["rgrpo-0"], **{k: loops[v] for k, v in later.items()}}
