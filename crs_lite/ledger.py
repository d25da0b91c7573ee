"""The ledger: every claim of the paper, and what our recorded rows say of it.

Verdicts follow the rules of `book/protocol.md` and are computed from the rows of `experiments.py`, never typed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .errors import CRSError
from .evaluate import Difference
from .experiments import LESSONS, Row, rows, values

SEEDS = 5  # fewer make no verdict
GOAL = 0.75
NOT_RUN = "not run"
# A learned baseline -> what it must beat to be used as one.
ABLATION = {
    "aligned": "aligned-query-only", "direct-SFT": "aligned", "DSI": "aligned-query-only", "LTRGR": "DSI",
    "latent-SFT": "aligned", "LatentR3": "latent-SFT",
}  # fmt: skip
Rows = dict[str, dict[int, Row]]  # row name -> seed -> row


@dataclass
class Entry:
    """One line of the ledger. `effects`: what was compared -> the paired difference (or a description)."""

    id: str
    claim: str
    verdict: str = NOT_RUN
    effects: list[str] = field(default_factory=list)
    seeds: int = 0
    commands: list[str] = field(default_factory=list)
    about: Row | None = None  # a row whose log, profile and size speak for all
    hardware: list[str] = field(default_factory=list)


def hierarchical(differences: Sequence[np.ndarray], n: int = 2000, seed: int = 0) -> Difference:
    """Mean of paired differences, one array `(m,)` a seed, with its 95 % interval: seeds are drawn with replacement,
    and within each drawn seed its requests are drawn with replacement (protocol, analysis)."""
    rng = np.random.default_rng(seed)
    means = np.empty(n)
    for i in range(n):
        drawn = rng.integers(len(differences), size=len(differences))
        means[i] = np.mean([d[rng.integers(len(d), size=len(d))].mean() for d in (differences[j] for j in drawn)])
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(float(np.mean([d.mean() for d in differences])), float(low), float(high))


def gather(folder: Path, experiment: str) -> Rows:
    """All rows of an experiment, by name and seed."""
    out: Rows = {}
    for row in rows(folder, experiment):
        out.setdefault(row["row"], {})[row["seed"]] = row
    return out


def difference(a: Sequence[dict[int, Row]], b: Sequence[dict[int, Row]], metric: str, cold: bool = False) -> tuple[Difference, int] | None:
    """Systems `a` minus systems `b` over the seeds both have; several runs of one system at the same start are averaged
    first. None if there are none. `cold`: on cold starts only. -> (difference, number of seeds)."""
    per_seed = []
    for s in sorted({s for of in a for s in of} & {s for of in b for s in of}):
        ours, theirs = ([of[s] for of in runs if s in of] for runs in (a, b))
        if len({tuple(r["request_ids"]) for r in (*ours, *theirs)}) > 1:
            raise CRSError(f"rows {ours[0]['row']!r} and {theirs[0]['row']!r}, seed {s}: different requests; run both again.")
        d = np.mean([values(r, metric) for r in ours], axis=0) - np.mean([values(r, metric) for r in theirs], axis=0)
        per_seed.append(d[np.array(ours[0]["cold"], dtype=bool)] if cold else d)
    return (hierarchical(per_seed), len(per_seed)) if per_seed else None


def judge(main: Difference, others: Sequence[Difference], sign: int = 1) -> str:
    """The protocol's verdict: the claim's own metric first, then the others; `sign` is the claimed direction."""

    def shown(d: Difference) -> bool:
        return d.low > 0 if sign > 0 else d.high < 0

    return "reproduced" if shown(main) else "partly" if any(map(shown, others)) else "not reproduced"


def text(label: str, d: Difference) -> str:
    return f"{label} {d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"


# -- the claims -----------------------------------------------------------------------------------


def _compared(
    entry: Entry, a: Sequence[dict], b: Sequence[dict], metrics: Sequence[str], label: str = "", cold=False
) -> str | None:
    """Fill an entry with the differences a - b; the first metric is the claim's own. -> its verdict, None without rows."""
    found = [difference(a, b, metric, cold) for metric in metrics]
    if any(f is None for f in found):
        return None
    (main, n), *others = found
    entry.effects += [text(f"{label}{metric}", d) for metric, (d, _) in zip(metrics, found)]
    entry.seeds, entry.about = n, next(iter(a[0].values()))
    return judge(main, [d for d, _ in others])


def commands(e: dict[str, Rows], *names: str) -> list[str]:
    """What made the rows of these experiments."""
    return list(dict.fromkeys(row["command"] for name in names for of in e[name].values() for row in of.values()))


def _enough(entry: Entry, verdict: str | None) -> Entry:
    if verdict is None:
        return entry
    entry.verdict = verdict if entry.seeds >= SEEDS else f"{NOT_RUN}: {entry.seeds} of {SEEDS} seeds so far"
    return entry


def best_baseline(main: Rows) -> str | None:
    """The learned system without worded reasoning that has the highest NDCG@10 on validation requests, mean over seeds,
    among those that beat their own ablation there (protocol, arms and budgets) and were run on the most seeds."""

    def score(name: str) -> float:
        return float(np.mean([values(r, "NDCG@10").mean() for r in main[f"{name}-valid"].values()]))

    seeds = {a: len(main.get(f"{a}-valid", {}).keys() & main.get(f"{b}-valid", {}).keys()) for a, b in ABLATION.items()}
    known = [a for a, n in seeds.items() if n and n == max(seeds.values())]
    return max((n for n in known if score(n) > score(ABLATION[n])), key=score, default=None)


def c1(e: dict[str, Rows]) -> Entry:
    entry = Entry("C1", "CRS beats the strongest baseline in HR@1")
    best = best_baseline(e["main"])
    crs = e["loop"].get("rgrpo-round1-sft")
    if not best or not crs or best not in e["main"]:
        return entry
    verdict = _compared(entry, [crs], [e["main"][best]], ("HR@1", "NDCG@10", "utility"), f"over {best}: ")
    entry.commands = commands(e, "main", "loop")
    return _enough(entry, verdict)


def c2(e: dict[str, Rows], cold: bool = False) -> Entry:
    entry = Entry("C5", "cold-start users gain too") if cold else Entry("C2", "CRS beats its own distilled start in NDCG@10")
    a, b = e["loop"].get("rgrpo-round1-sft"), e["arms"].get("distilled")
    if not a or not b:
        return entry
    metrics = ("NDCG@10", "utility") if cold else ("NDCG@10", "HR@1", "utility")
    entry.commands = commands(e, "arms", "loop")
    return _enough(entry, _compared(entry, [a], [b], metrics, cold=cold))


def c3(e: dict[str, Rows]) -> Entry:
    entry = Entry("C3", "R-GRPO beats GRPO in HR@1 at every iteration")
    metrics = ("HR@1", "NDCG@10", "utility")

    def runs(arm: str) -> list[dict]:
        return [found for s in (0, 1) if (found := e["arms"].get(f"{arm}-{s}"))] or [{}]

    first = _compared(entry, runs("rgrpo"), runs("grpo"), metrics, "round 1: ")
    seeds = entry.seeds
    a, b = (e["loop"].get(f"{arm}-round1-rl", {}) for arm in ("rgrpo", "grpo"))
    later = Entry(entry.id, entry.claim)
    second = _compared(later, [a], [b], metrics, "round 2: ")
    entry.commands = commands(e, "arms")
    if seeds >= SEEDS > later.seeds:  # too few for a verdict: the first iteration is judged alone
        entry.effects.append(f"round 2 {NOT_RUN}" + (f": {later.seeds} of {SEEDS} seeds so far" if second else ""))
        second = None
    else:
        entry.effects += later.effects
        entry.commands = commands(e, "arms", "loop")
        entry.seeds, entry.about = min(seeds, later.seeds) if first and second else max(seeds, later.seeds), entry.about or later.about
    verdicts = [v for v in (first, second) if v]
    if not verdicts:
        return entry
    same = set(verdicts) == {"reproduced"} and second is not None
    some = set(verdicts) & {"reproduced", "partly"}
    return _enough(entry, "reproduced" if same else "partly" if some else "not reproduced")


def c4(e: dict[str, Rows]) -> Entry:
    entry = Entry("C4", "RL can lower the metric; the next SFT recovers it")
    pairs = [
        ("round 1: RL − before ", e["arms"].get("rgrpo-0"), e["arms"].get("distilled"), -1),
        ("round 1: SFT − RL ", e["loop"].get("rgrpo-round0-sft"), e["arms"].get("rgrpo-0"), 1),
        ("round 2: RL − before ", e["loop"].get("rgrpo-round1-rl"), e["loop"].get("rgrpo-round0-sft"), -1),
        ("round 2: SFT − RL ", e["loop"].get("rgrpo-round1-sft"), e["loop"].get("rgrpo-round1-rl"), 1),
    ]
    shown: list[bool] = []
    for label, a, b, sign in pairs:
        found = difference([a or {}], [b or {}], "NDCG@10")
        if found is None:
            return Entry(entry.id, entry.claim)
        d, n = found
        entry.effects.append(text(label + "NDCG@10", d))
        entry.seeds, entry.about = n, next(iter(a.values()))
        shown.append(judge(d, (), sign) == "reproduced")
    entry.commands = commands(e, "arms", "loop")
    whole = (shown[0] and shown[1]) or (shown[2] and shown[3])
    return _enough(entry, "reproduced" if whole else "partly" if any(shown) else "not reproduced")


def c7(e: dict[str, Rows]) -> Entry:
    entry = Entry("C7", "the mapping item ↔ ID converges on 1,000 items")
    aligned = e["main"].get("aligned") or {}
    if not aligned:
        return entry
    info = [r["stage_info"] for r in aligned.values()]
    there, back = (np.array([i[k] for i in info]) for k in ("item_to_sid_hr1", "sid_to_title_exact"))
    for label, x in (("item → ID right", there), ("ID → title exact", back)):
        entry.effects.append(f"{label} {x.mean():.3f} (worst seed {x.min():.3f})")
    for kind, of in e["mapping"].items():  # the same pairs alone, without the other tasks of alignment
        there_alone, back_alone = (np.array([r["final"][k] for r in of.values()]) for k in ("item_to_sid_hr1", "sid_to_title_exact"))
        entry.effects.append(
            f"pairs alone, {kind}: {there_alone.mean():.3f} (worst seed {there_alone.min():.3f}), "
            f"{back_alone.mean():.3f} (worst seed {back_alone.min():.3f})"
        )
    entry.seeds, entry.about, entry.commands = len(info), next(iter(aligned.values())), commands(e, "main", "mapping")
    met = [there.min() >= 0.99, back.min() >= 0.95]
    return _enough(entry, "reproduced" if all(met) else "partly" if any(met) else "not reproduced")


def b1(e: dict[str, Rows]) -> Entry:
    entry = Entry("B1", "self-evolution removes the teacher's prior and capacity bias")
    start, end = e["arms"].get("distilled") or {}, e["loop"].get("rgrpo-round1-sft") or {}
    seeds = sorted(set(start) & set(end))
    if not seeds:
        return entry
    found = []
    for label, key in (("claims that repeat the prior", "prior"), ("claims nothing supports", "unsupported")):
        share = lambda row: row["audit"]["planted"][key] / max(row["audit"]["planted"]["claims"], 1)  # noqa: B023, E731
        found.append(hierarchical([np.array([share(end[s]) - share(start[s])]) for s in seeds]))
        before = np.mean([share(start[s]) for s in seeds])
        entry.effects.append(text(f"{label}: {before:.3f} at the start, change", found[-1]))
    entry.seeds, entry.about, entry.commands = len(seeds), start[seeds[0]], commands(e, "arms", "loop")
    fell = [d.high < 0 for d in found]
    return _enough(entry, "reproduced" if all(fell) else "partly" if any(fell) else "not reproduced")


def o1(e: dict[str, Rows]) -> Entry:
    entry = Entry("O1", "reasoning can repeat or contradict itself")
    stages = {"distilled": e["arms"].get("distilled") or {}, "after two rounds": e["loop"].get("rgrpo-round1-sft") or {}}
    if not all(stages.values()):
        return entry
    worst = 0.0
    for name, of in stages.items():
        shares = {k: np.mean([r["audit"][k] for r in of.values()]) for k in ("repeated", "contradicts_itself", "contradicts_context")}
        worst = max(worst, *shares.values())
        entry.effects.append(
            f"{name}: repeats {shares['repeated']:.3f}, contradicts itself {shares['contradicts_itself']:.3f}, "
            f"its context {shares['contradicts_context']:.3f}"
        )
    entry.seeds = min(map(len, stages.values()))
    entry.about, entry.commands = next(iter(stages["distilled"].values())), commands(e, "arms", "loop")
    return _enough(entry, "reproduced" if worst >= 0.01 else "not reproduced")


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
            raise CRSError(f"rows 'informed' and {row['row']!r}, seed {row['seed']}: different requests; run both again.")
        own.append(values(row, "NDCG@10"))
        true.append(values({"ranks": row["true_reasoning_ranks"]}, "NDCG@10"))
    share = hierarchical([x / top.mean() for x in own])
    entry.effects = [
        f"share of the ceiling {share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]",
        text("lost between ceiling and true reasoning (decoder)", hierarchical([t - top for t in true])),
        text("between true and own reasoning (reasoner)", hierarchical([o - t for o, t in zip(own, true)])),
    ]
    if fixed := e["mend"].get("rgrpo-round1-sft"):
        entry.effects += [text(f"of it, {label}", d) for label, d in words(fixed)]
    if first := e["mend"].get("distilled"):
        entry.effects += [text(f"at the distilled start, {label}", d) for label, d in words(first)[2:]]
    rewarded = difference([e["arms"].get("rgrpo-0") or {}], [e["arms"].get("form-only-0") or {}], "NDCG@10")
    if rewarded:
        entry.effects.append(text("what the list's reward gives in round 1 (R-GRPO − form only)", rewarded[0]))
    if noise := e["noise"].get("noise"):
        luck = np.mean([row["arms"]["grpo"]["noise_share"] for row in noise.values()])
        entry.effects.append(f"credit: share of luck in an advantage {luck:.2f} for GRPO, 0 for R-GRPO")
    entry.effects += sizes(e) or ["capacity: not run"]
    entry.effects += lengths(e) or ["lessons: not run"]
    entry.seeds, entry.about = len(own), next(iter(crs.values()))
    entry.commands = commands(e, "main", "arms", "loop", "noise", "mend", "capacity", "lessons")
    entry.hardware = sorted({row["hardware"] for of in e.values() for rows in of.values() for row in rows.values()})
    return _enough(entry, "reached" if share.low >= GOAL else "missed")


def sizes(e: dict[str, Rows]) -> list[str]:
    """What the width of the backbone does to the distilled start, with its own and with true reasoning, and to the
    aligned model's direct answer; as with a verdict, no effect before five seeds."""
    start, direct = e["arms"].get("distilled") or {}, e["main"].get("aligned") or {}
    effects = []
    for name, rows in sorted(e["capacity"].items()):
        width = name.removesuffix("-aligned")
        millions = next(iter(rows.values()))["parameters"]["parameters"] / 1e6
        kinds = [("direct answer", direct, "ranks")] if name != width else [
            ("distilled start, own reasoning", start, "ranks"), ("distilled start, true reasoning", start, "true_reasoning_ranks")
        ]  # fmt: skip
        for label, usual, key in kinds:
            effects += against_usual(f"capacity: {width} ({millions:.1f} M), {label}", rows, usual, key)
    return effects


def lengths(e: dict[str, Rows]) -> list[str]:
    """What a longer lesson does to the distilled start, with its own and with true reasoning, and to direct SFT; and where
    RL from that start leads."""
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


def against_usual(label: str, rows: dict[int, Row], usual: dict[int, Row], key: str, metric: str = "NDCG@10") -> list[str]:
    """The difference between two systems in the lists at `key`, or how many seeds there are so far."""
    pair = [{s: {**row, "ranks": row[key]} for s, row in of.items()} for of in (rows, usual)]
    found = difference([pair[0]], [pair[1]], metric)
    if not found:
        return []
    return [text(label, found[0]) if found[1] >= SEEDS else f"{label}: {found[1]} of {SEEDS} seeds so far"]


def words(rows: Rows) -> list[tuple[str, Difference]]:
    """The reasoner's loss in NDCG@10, part by part, from the `mend` rows of one checkpoint: false words on the category,
    on the brand, on any attribute; and what true reasoning says beyond words put right."""
    ndcg = lambda ranks: values({"ranks": ranks}, "NDCG@10")  # noqa: E731
    own = {s: ndcg(row["ranks"]) for s, row in rows.items()}
    better = {k: {s: ndcg(row["mended"][k]["ranks"]) for s, row in rows.items()} for k in ("category", "brand", "all")}
    true = {s: ndcg(row["true_reasoning_ranks"]) for s, row in rows.items()}
    parts = [(f"false words: {k}", own, better[k]) for k in ("category", "brand", "all")]
    parts.append(("left unsaid or said otherwise", better["all"], true))
    return [(label, hierarchical([low[s] - high[s] for s in rows])) for label, low, high in parts]


def _later(id: str, claim: str, why: str = "") -> Callable[[dict], Entry]:
    return lambda e: Entry(id, claim, effects=[why] if why else [])


PRETRAINED = "SmolLM2-135M, pretrained: needs a GPU; a step of SFT and of RL is tested, no more"
C6 = "asks for CRS on pretrained backbones of several sizes; the widths in row G are of tiny distilled starts and judge no claim"
CLAIMS: tuple[Callable[[dict[str, Rows]], Entry], ...] = (
    c1, c2, c3, c4, lambda e: c2(e, cold=True), _later("C6", "quality grows with the size of the backbone", C6), c7,
    _later("N1", "text context beats embedding context"), _later("N2", "alternation beats pure SFT, pure RL and other schedules"),
    _later("N3", "the rank-aware reward is not tuned to the metric"), b1, o1,
    _later("P1", "the main table (C1, C2, C5) with a pretrained backbone", PRETRAINED),
    _later("P2", "C3 with a pretrained backbone", PRETRAINED), goal,
)  # fmt: skip


def evidence(folder: Path) -> dict[str, Rows]:
    """The rows in `folder` (one log, one profile) of every experiment that a claim is judged by."""
    return {name: gather(folder, name) for name in ("main", "arms", "loop", "mapping", "noise", "mend", "capacity", "lessons")}


def ledger(folder: Path) -> list[Entry]:
    """Every claim in the order of the list, judged by the rows in `folder`."""
    found = evidence(folder)
    return [claim(found) for claim in CLAIMS]


def backbone(row: Row) -> str:
    return row["profile"].get("backbone", "tiny")


def markdown(entries: Sequence[Entry]) -> str:
    """The ledger as a table, with where its numbers come from."""
    lines = ["| | claim | verdict | effect, 95 % interval | seeds | command |", "|" + " --- |" * 6]
    for x in entries:
        verdict = f"{x.verdict} ({backbone(x.about)})" if x.about and not x.verdict.startswith(NOT_RUN) else x.verdict
        commands = ", ".join(f"`{c}`" for c in x.commands)
        lines.append(f"| {x.id} | {x.claim} | {verdict} | {'<br>'.join(x.effects)} | {x.seeds or ''} | {commands} |")
    about = next((x.about for x in entries if x.about), None)
    if about:
        hidden, layers = about["profile"]["hidden"], about["profile"]["layers"]
        lines += ["", (
            f"Log {about['log']}; backbone {backbone(about)} "
            + (f"({layers} layers, width {hidden}, from scratch), " if backbone(about) == "tiny" else "")
            + f"about {about['parameters']['parameters'] / 1e6:.1f} M weights; profile {about['profile']['name']}; {about['n']:,} test requests; made on "
            f"{' and on '.join(next((x.hardware for x in entries if x.hardware), [about['hardware']]))}."
        )]  # fmt: skip
    return "\n".join(lines) + "\n"
