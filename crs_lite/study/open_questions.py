"""The questions of the fourth protocol (`book/protocol-4.md`) and what the rows say: N1 to N3, C6, P1, P2.

They have three seeds, or one. A verdict says so by name: "not reproduced, three seeds".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from crs_lite import paths
from crs_lite.study import pretrained, results
from crs_lite.study.comparison import (
    Effect,
    Entry,
    Seeds,
    Study,
    compared,
    difference,
    hierarchical,
    judge,
    of_any_seed,
    rows_of,
)
from crs_lite.study.recorded import gather

EXPERIMENTS = ("formats", "schedules", "list-rewards", "sizes", "internal", "teachers")
GROUPS = {"history": "history", "place_time": "place and time", "profile": "profile", "device": "devices"}
SCHEDULES = {"sft": "SFT alone", "rl": "RL alone", "sft-rl": "SFT, then RL", "rl-sft": "RL, then SFT"}
# reward -> how prose calls it
REWARDS = {
    "log2-credit": "1/log2, partial credit (R-GRPO)",
    "log2": "1/log2",
    "uniform-credit": "every place the same, partial credit",
    "uniform": "every place the same",
    "top1-credit": "first place, partial credit",
    "top1": "first place",
    "rere": "ReRe, summed",
}
WIDTHS = {"half": 80, "usual": 160, "wider": 240, "six-million": 320}
AMOUNTS = {"1x": 12_500, "4x": 50_000, "8x": 100_000}
ASKED = ("answer", "thought", "thoughts")
RECORDED = {
    "answer": ("answers", "direct-SFT"),
    "thought": ("thoughts", "start"),
    "thoughts": ("thoughts", "start-thoughts"),
}
COUNTED = {1: "one seed", 2: "two seeds", 3: "three seeds", 4: "four seeds", 5: "five seeds"}


def study(folder: Path) -> Study:
    """The rows of this protocol in `folder`, and those of the second that they are compared with."""
    beside = folder.with_name("marketplace-large-colab")
    found = {name: gather(folder, name) for name in (*EXPERIMENTS, "answers", "thoughts")}
    return {**found, "pretrained": gather(beside, "pretrained") if beside.is_dir() else {}}


def on_seeds(verdict: str | None, entry: Entry) -> Entry:
    """The entry with its verdict, and beside it on how many seeds."""
    if verdict:
        entry.verdict = f"{verdict}, {COUNTED[entry.seeds]}"
    return entry


def cell(e: Study, width: str, amount: str, asked: str) -> Seeds:
    """A cell of C6: its rows, or those of the second protocol, which are the usual width at all requests."""
    return (
        rows_of(e, *RECORDED[asked])
        if (width, amount) == ("usual", "8x")
        else rows_of(e, "sizes", f"{width}-{amount}-{asked}")
    )


def worth(e: Study, group: str, metric: str = "NDCG@10") -> tuple | None:
    """What a group of the context is worth: (what the model loses without it, its seeds, what the informed ceiling
    loses)."""
    found = difference([rows_of(e, "answers", "aligned")], [rows_of(e, "formats", f"without-{group}")], metric)
    ceiling = difference(
        [rows_of(e, "answers", "informed")], [rows_of(e, "formats", f"informed-without-{group}")], metric
    )
    return (*found, ceiling[0]) if found and ceiling else None


# -- the claims -------------------------------------------------------------------------------------


def n1(e: Study) -> Entry:
    """Text against vectors, by the direct answer after alignment; then what each group of the context is worth."""
    entry = Entry("N1", "text context beats embedding context", commands=of_any_seed(e, "formats"))
    text, vectors = rows_of(e, "answers", "aligned"), rows_of(e, "formats", "vectors")
    verdict = compared(entry, "text − vectors:", [text], [vectors], ("NDCG@10", "HR@1", "utility"))
    if verdict is None:
        return Entry(entry.id, entry.claim)
    # What explains the first effect stands behind it, or a short list of effects would mislead.
    if found := difference([text], [rows_of(e, "formats", "vectors-ids")], "NDCG@10"):
        entry.effects.insert(1, Effect("text − vectors with IDs for items (one seed): NDCG@10", found[0]))
    pairs = {
        "on cold starts: NDCG@10": difference([text], [vectors], "NDCG@10", cold=True),
        "one thought: NDCG@10": difference(
            [rows_of(e, "thoughts", "start")], [rows_of(e, "formats", "vectors-thought")], "NDCG@10"
        ),
        "text over the query alone: NDCG@10": difference(
            [text], [rows_of(e, "formats", "without-everything")], "NDCG@10"
        ),
    }
    entry.effects += [Effect(label, d[0]) for label, d in pairs.items() if d]
    for group, name in GROUPS.items():
        if found := worth(e, group):
            entry.effects.append(Effect(f"worth of {name}: NDCG@10", found[0]))
            entry.effects.append(f"and to the informed ceiling {found[2].mean:+.3f}")
    return on_seeds(verdict, entry)


def n2(e: Study) -> Entry:
    """Turns against every other schedule, at equal updates and tokens."""
    entry = Entry("N2", "alternation beats pure SFT, pure RL and other schedules", commands=of_any_seed(e, "schedules"))
    turns = rows_of(e, "schedules", "alternate")
    verdicts = []
    for name, label in SCHEDULES.items():
        verdicts.append(compared(entry, f"turns − {label}:", [turns], [rows_of(e, "schedules", name)], ("NDCG@10",)))
    if None in verdicts[:2]:
        return Entry(entry.id, entry.claim)
    for name, label in {"alternate": "turns", **SCHEDULES}.items():
        if found := difference([rows_of(e, "schedules", name)], [rows_of(e, "thoughts", "start")], "NDCG@10"):
            entry.effects.append(Effect(f"{label} − the start: NDCG@10", found[0]))
    won = [v == "reproduced" for v in verdicts[:2]]
    return on_seeds("reproduced" if all(won) else "partly" if any(won) else "not reproduced", entry)


def gains(e: Study, reward: str) -> dict[str, tuple]:
    """What one round under a reward changes: measure -> (difference with its interval, seeds)."""
    after, before = (
        {k: rows_of(e, "list-rewards", n + k) for k in ("", "-wide", "-thoughts")} for n in (reward, "start")
    )
    found = {m: difference([after[""]], [before[""]], m) for m in ("NDCG@10", "utility", "MRR", "HR@1")}
    found["merged NDCG@10"] = difference([after["-thoughts"]], [before["-thoughts"]], "NDCG@10")
    deep = [{s: deeper(r) for s, r in x["-wide"].items()} for x in (after, before)]
    both = sorted(set(deep[0]) & set(deep[1]))
    if both:
        found["NDCG@50"] = hierarchical([deep[0][s] - deep[1][s] for s in both]), len(both)
        change = [np.array([after["-wide"][s]["coverage"] - before["-wide"][s]["coverage"]]) for s in both]
        found["coverage"] = hierarchical(change), len(both)
        truth = [np.array([x[""][s]["audit"]["attribute_truth"] for x in (after, before)]) for s in both]
        found["true words"] = hierarchical([t[:1] - t[1:] for t in truth]), len(both)
    return {k: v for k, v in found.items() if v}


def deeper(row: dict) -> np.ndarray:
    """`(n,)`: NDCG over the whole of a wide list."""
    return np.array([0.0 if r is None else 1 / np.log2(r + 2.0) for r in row["ranks"]])


def n3(e: Study) -> Entry:
    """Whether what the rewarded metric gains, the shopper gains."""
    entry = Entry("N3", "the rank-aware reward is not tuned to the metric", commands=of_any_seed(e, "list-rewards"))
    after, before = rows_of(e, "list-rewards", "log2"), rows_of(e, "list-rewards", "start")
    if compared(entry, "1/log2:", [after], [before], ("NDCG@10", "utility")) is None:
        return Entry(entry.id, entry.claim)
    metric, utility = (effect.difference for effect in entry.effects)
    for name, label in REWARDS.items():
        found = gains(e, name) if name != "log2" else {}
        for measure in ("NDCG@10", "utility"):
            if measure in found:
                entry.effects.append(Effect(f"{label}: {measure}", found[measure][0]))
    if judge(metric, ()) != "reproduced" and judge(utility, ()) != "reproduced":
        return on_seeds("no gain to judge", entry)
    return on_seeds("reproduced" if judge(utility, ()) == "reproduced" else "not reproduced", entry)


def c6(e: Study) -> Entry:
    """Wider and deeper from scratch, on 12,500 requests; then more requests."""
    entry = Entry("C6", "quality grows with the size of the backbone", commands=of_any_seed(e, "sizes"))
    steps = []
    for asked, name in (("answer", "direct answer"), ("thought", "one thought")):
        known = [w for w in WIDTHS if 0 in cell(e, w, "1x", asked)]
        for small, large in zip(known, known[1:], strict=False):
            a, b = ({0: cell(e, w, "1x", asked)[0]} for w in (large, small))
            label = f"{name}, width {WIDTHS[large]} − {WIDTHS[small]}:"
            steps.append(compared(entry, label, [a], [b], ("NDCG@10",)))
    if not steps:
        return Entry(entry.id, entry.claim)
    for asked, name in (("answer", "direct answer"), ("thought", "one thought")):
        many, few = (cell(e, "usual", amount, asked) for amount in ("8x", "1x"))
        if found := difference([many], [few], "NDCG@10"):
            label = f"{name}, {AMOUNTS['8x']:,} − {AMOUNTS['1x']:,} requests ({COUNTED[found[1]]}): NDCG@10"
            entry.effects.append(Effect(label, found[0]))
    for amount, n in AMOUNTS.items():
        thought, answer = (cell(e, "usual", amount, asked) for asked in ("thought", "answer"))
        if found := difference([thought], [answer], "NDCG@10"):
            label = f"one thought − direct, {n:,} requests ({COUNTED[found[1]]}): NDCG@10"
            entry.effects.append(Effect(label, found[0]))
    won = [s == "reproduced" for s in steps]
    return on_seeds("reproduced" if all(won) else "partly" if any(won) else "not reproduced", entry)


def why_not() -> str:
    """What keeps the pretrained rows from being made, by the recorded count of tokens and speed of one core."""
    made, speed = pretrained.load(paths.LESSONS), results.load(paths.BENCH)["bench"]["pretrained"]["rows"][0]
    whole = pretrained.hours(made.stages, speed).loc["all"]
    took = f"{whole['bfloat16']:.0f} hours of one core in bfloat16, {whole['float32']:.0f} in float32"
    return f"{made.backbone}: the supervised stages alone would take {took}"


def p1(e: Study) -> Entry:
    """The main table on a pretrained backbone."""
    entry = Entry("P1", "the main table (C1, C2, C5) with a pretrained backbone", commands=of_any_seed(e, "pretrained"))
    crs, start, counting, direct = (rows_of(e, "pretrained", n) for n in ("rgrpo", "start", "counting", "direct"))
    verdict = compared(entry, "CRS over the counting model:", [crs or start], [counting], ("HR@1", "NDCG@10"))
    if verdict is None:
        return Entry(entry.id, entry.claim, effects=[why_not()])
    compared(entry, "one thought over direct:", [start], [direct], ("NDCG@10", "HR@1"))
    compared(entry, "after one round of R-GRPO:", [crs], [start], ("NDCG@10",))
    compared(entry, "8 thoughts over one:", [rows_of(e, "pretrained", "start-thoughts")], [start], ("NDCG@10",))
    return on_seeds(verdict, entry)


def p2(e: Study) -> Entry:
    """R-GRPO against GRPO on a pretrained backbone, one round."""
    entry = Entry("P2", "C3 with a pretrained backbone", commands=of_any_seed(e, "pretrained"))
    a, b = (rows_of(e, "pretrained", n) for n in ("rgrpo", "grpo"))
    verdict = compared(entry, "R-GRPO − GRPO:", [a], [b], ("HR@1", "NDCG@10", "utility"))
    return on_seeds(verdict, entry) if verdict else Entry(entry.id, entry.claim, effects=[why_not()])


CLAIMS: tuple[Callable[[Study], Entry], ...] = (c6, n1, n2, n3, p1, p2)


def ledger(folder: Path) -> list[Entry]:
    """Every claim of this protocol, judged by the rows in `folder` and, for the pretrained backbone, beside it."""
    found = study(folder)
    return [claim(found) for claim in CLAIMS]
