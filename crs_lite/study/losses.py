"""How near CRS comes to the informed ceiling, and where the rest is lost: decoder or reasoner, false words or unsaid
ones, the reward, the width of the backbone, the length of the lessons. Row G of the ledger."""

from __future__ import annotations

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.evaluate import Difference
from crs_lite.study.comparison import SEEDS, Effect, Entry, commands, difference, enough, hierarchical
from crs_lite.study.experiments.lessons import LESSONS
from crs_lite.study.recorded import Row, Rows, values

GOAL = 0.75


def goal(e: dict[str, Rows]) -> Entry:
    """Not a claim of the paper: how near CRS comes to the informed ceiling, and where the rest is lost."""
    entry = Entry("G", f"our goal: CRS after two rounds reaches {GOAL} of the informed ceiling's NDCG@10")
    ceiling, crs = (e["main"].get("informed") or {}).get(0), e["loop"].get("rgrpo-round1-sft")
    if not ceiling or not crs:
        return entry
    top = values(ceiling, "NDCG@10")
    own, true = [], []  # one array a seed
    for row in crs.values():
        if row["request_ids"] != ceiling["request_ids"]:
            raise CRSError(
                f"rows 'informed' and {row['row']!r}, seed {row['seed']}: different requests; run both again."
            )
        own.append(values(row, "NDCG@10"))
        true.append(values({"ranks": row["true_reasoning_ranks"]}, "NDCG@10"))
    share = hierarchical([x / top.mean() for x in own])
    entry.effects = [
        f"share of the ceiling {share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]",
        Effect("lost between ceiling and true reasoning (decoder)", hierarchical([t - top for t in true])),
        Effect(
            "between true and own reasoning (reasoner)", hierarchical([o - t for o, t in zip(own, true, strict=True)])
        ),
    ]
    if fixed := e["mend"].get("rgrpo-round1-sft"):
        entry.effects += [Effect(f"of it, {label}", d) for label, d in words(fixed)]
    if first := e["mend"].get("distilled"):
        entry.effects += [Effect(f"at the distilled start, {label}", d) for label, d in words(first)[2:]]
    rewarded = difference([e["arms"].get("rgrpo-0") or {}], [e["arms"].get("form-only-0") or {}], "NDCG@10")
    if rewarded:
        entry.effects.append(Effect("what the list's reward gives in round 1 (R-GRPO − form only)", rewarded[0]))
    if noise := e["noise"].get("noise"):
        luck = np.mean([row["arms"]["grpo"]["noise_share"] for row in noise.values()])
        entry.effects.append(f"credit: share of luck in an advantage {luck:.2f} for GRPO, 0 for R-GRPO")
    entry.effects += sizes(e) or ["capacity: not run"]
    entry.effects += lengths(e) or ["lessons: not run"]
    entry.seeds, entry.about = len(own), next(iter(crs.values()))
    entry.commands = commands(e, "main", "arms", "loop", "noise", "mend", "capacity", "lessons")
    entry.hardware = sorted({row["hardware"] for of in e.values() for rows in of.values() for row in rows.values()})
    return enough(entry, "reached" if share.low >= GOAL else "missed")


def sizes(e: dict[str, Rows]) -> list[str]:
    """What the width of the backbone does to the distilled start, with its own and with true reasoning, and to the
    aligned model's direct answer; as with a verdict, no effect before five seeds."""
    start, direct = e["arms"].get("distilled") or {}, e["main"].get("aligned") or {}
    effects = []
    for name, rows in sorted(e["capacity"].items()):
        width = name.removesuffix("-aligned")
        millions = next(iter(rows.values()))["parameters"]["parameters"] / 1e6
        kinds = (
            [("direct answer", direct, "ranks")]
            if name != width
            else [
                ("distilled start, own reasoning", start, "ranks"),
                ("distilled start, true reasoning", start, "true_reasoning_ranks"),
            ]
        )
        for label, usual, key in kinds:
            effects += against_usual(f"capacity: {width} ({millions:.1f} M), {label}", rows, usual, key)
    return effects


def lengths(e: dict[str, Rows]) -> list[str]:
    """What a longer lesson does to the distilled start, with its own and with true reasoning, and to direct SFT; and
    where RL from that start leads."""
    start, direct = e["arms"].get("distilled") or {}, e["main"].get("direct-SFT") or {}
    effects = []
    for name, kind, usual, key in (
        ("distilled", "distilled start, own reasoning", start, "ranks"),
        ("distilled", "distilled start, true reasoning", start, "true_reasoning_ranks"),
        ("direct-SFT", "direct SFT", direct, "ranks"),
    ):
        effects += against_usual(f"lessons: {LESSONS} times over, {kind}", e["lessons"].get(name) or {}, usual, key)
    taught, both, explored = (e["lessons"].get(name) or {} for name in ("distilled", "direct-SFT", "rgrpo-0"))
    for label, a, b in (
        (f"distilled start, {LESSONS} times over − direct SFT, once", taught, direct),
        (f"{LESSONS} times over both, distilled start − direct SFT", taught, both),
        ("R-GRPO from the longer start − that start", explored, taught),
        ("R-GRPO from the longer start − direct SFT, once", explored, direct),
    ):
        for metric in ("HR@1", "NDCG@10"):
            effects += against_usual(f"lessons: {label}, {metric}", a, b, "ranks", metric)
    return effects


def against_usual(
    label: str, rows: dict[int, Row], usual: dict[int, Row], key: str, metric: str = "NDCG@10"
) -> list[str]:
    """The difference between two systems in the lists at `key`, or how many seeds there are so far."""
    pair = [{s: {**row, "ranks": row[key]} for s, row in of.items()} for of in (rows, usual)]
    found = difference([pair[0]], [pair[1]], metric)
    if not found:
        return []
    return [Effect(label, found[0]) if found[1] >= SEEDS else f"{label}: {found[1]} of {SEEDS} seeds so far"]


def words(rows: Rows) -> list[tuple[str, Difference]]:
    """The reasoner's loss in NDCG@10, part by part, from the `mend` rows of one checkpoint: false words on the
    category, on the brand, on any attribute; and what true reasoning says beyond words put right."""

    def ndcg(ranks: list) -> np.ndarray:
        return values({"ranks": ranks}, "NDCG@10")

    own = {s: ndcg(row["ranks"]) for s, row in rows.items()}
    better = {k: {s: ndcg(row["mended"][k]["ranks"]) for s, row in rows.items()} for k in ("category", "brand", "all")}
    true = {s: ndcg(row["true_reasoning_ranks"]) for s, row in rows.items()}
    parts = [(f"false words: {k}", own, better[k]) for k in ("category", "brand", "all")]
    parts.append(("left unsaid or said otherwise", better["all"], true))
    return [(label, hierarchical([low[s] - high[s] for s in rows])) for label, low, high in parts]
