"""The ledger: every claim of the paper, and what our recorded rows say of it.

Verdicts follow the rules of `book/protocol.md` and are computed from the rows of the experiments, never typed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from crs_lite.study.comparison import (
    BIAS,
    FAULTS,
    NOT_RUN,
    SEEDS,
    Effect,
    Entry,
    commands,
    compared,
    difference,
    enough,
    faults_of_reasoning,
    judge,
    planted_biases,
)
from crs_lite.study.losses import goal
from crs_lite.study.recorded import Row, Rows, gather, values

# A learned baseline -> what it must beat to be used as one.
ABLATION = {
    "aligned": "aligned-query-only",
    "direct-SFT": "aligned",
    "DSI": "aligned-query-only",
    "LTRGR": "DSI",
    "latent-SFT": "aligned",
    "LatentR3": "latent-SFT",
}


# -- the claims -----------------------------------------------------------------------------------


def best_baseline(main: Rows) -> str | None:
    """The learned system without worded reasoning that has the highest NDCG@10 on validation requests, mean over seeds,
    among those that beat their own ablation there (protocol, arms and budgets) and were run on the most seeds."""

    def score(name: str) -> float:
        return float(np.mean([values(r, "NDCG@10").mean() for r in main[f"{name}-valid"].values()]))

    seeds = {a: len(main.get(f"{a}-valid", {}).keys() & main.get(f"{b}-valid", {}).keys()) for a, b in ABLATION.items()}
    known = [a for a, n in seeds.items() if n and n == max(seeds.values())]
    return max((n for n in known if score(n) > score(ABLATION[n])), key=score, default=None)


def c1(e: dict[str, Rows]) -> Entry:
    """CRS after two rounds against the best baseline that passes its own ablation on validation."""
    entry = Entry("C1", "CRS beats the strongest baseline in HR@1")
    best = best_baseline(e["main"])
    crs = e["loop"].get("rgrpo-round1-sft")
    if not best or not crs or best not in e["main"]:
        return entry
    verdict = compared(entry, f"over {best}:", [crs], [e["main"][best]], ("HR@1", "NDCG@10", "utility"))
    entry.commands = commands(e, "main", "loop")
    return enough(entry, verdict)


def c2(e: dict[str, Rows], cold: bool = False) -> Entry:
    """CRS after two rounds against its distilled start; with `cold`, C5: the same on cold starts only."""
    entry = (
        Entry("C5", "cold-start users gain too")
        if cold
        else Entry("C2", "CRS beats its own distilled start in NDCG@10")
    )
    a, b = e["loop"].get("rgrpo-round1-sft"), e["arms"].get("distilled")
    if not a or not b:
        return entry
    metrics = ("NDCG@10", "utility") if cold else ("NDCG@10", "HR@1", "utility")
    entry.commands = commands(e, "arms", "loop")
    return enough(entry, compared(entry, "", [a], [b], metrics, cold=cold))


def c3(e: dict[str, Rows]) -> Entry:
    """R-GRPO against GRPO, in the first round and in the second."""
    entry = Entry("C3", "R-GRPO beats GRPO in HR@1 at every iteration")
    metrics = ("HR@1", "NDCG@10", "utility")

    def runs(arm: str) -> list[dict]:
        return [found for s in (0, 1) if (found := e["arms"].get(f"{arm}-{s}"))] or [{}]

    first = compared(entry, "round 1:", runs("rgrpo"), runs("grpo"), metrics)
    seeds = entry.seeds
    a, b = (e["loop"].get(f"{arm}-round1-rl", {}) for arm in ("rgrpo", "grpo"))
    later = Entry(entry.id, entry.claim)
    second = compared(later, "round 2:", [a], [b], metrics)
    entry.commands = commands(e, "arms")
    if seeds >= SEEDS > later.seeds:  # too few for a verdict: the first iteration is judged alone
        entry.effects.append(f"round 2 {NOT_RUN}" + (f": {later.seeds} of {SEEDS} seeds so far" if second else ""))
        second = None
    else:
        entry.effects += later.effects
        entry.commands = commands(e, "arms", "loop")
        entry.seeds, entry.about = (
            min(seeds, later.seeds) if first and second else max(seeds, later.seeds),
            entry.about or later.about,
        )
    verdicts = [v for v in (first, second) if v]
    if not verdicts:
        return entry
    same = set(verdicts) == {"reproduced"} and second is not None
    some = set(verdicts) & {"reproduced", "partly"}
    return enough(entry, "reproduced" if same else "partly" if some else "not reproduced")


def c4(e: dict[str, Rows]) -> Entry:
    """Whether RL lowers the list, and whether the SFT behind it recovers it, in either round."""
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
        entry.effects.append(Effect(label + "NDCG@10", d))
        entry.seeds, entry.about = n, next(iter(a.values()))
        shown.append(judge(d, (), sign) == "reproduced")
    entry.commands = commands(e, "arms", "loop")
    whole = (shown[0] and shown[1]) or (shown[2] and shown[3])
    return enough(entry, "reproduced" if whole else "partly" if any(shown) else "not reproduced")


def c7(e: dict[str, Rows]) -> Entry:
    """The check of the aligned checkpoints, in both directions; beside it the pairs trained alone."""
    entry = Entry("C7", "the mapping item ↔ ID converges on 1,000 items")
    aligned = e["main"].get("aligned") or {}
    if not aligned:
        return entry
    info = [r["stage_info"] for r in aligned.values()]
    there, back = (np.array([i[k] for i in info]) for k in ("item_to_sid_hr1", "sid_to_title_exact"))
    for label, x in (("item → ID right", there), ("ID → title exact", back)):
        entry.effects.append(f"{label} {x.mean():.3f} (worst seed {x.min():.3f})")
    for kind, of in e["mapping"].items():  # the same pairs alone, without the other tasks of alignment
        there_alone, back_alone = (
            np.array([r["final"][k] for r in of.values()]) for k in ("item_to_sid_hr1", "sid_to_title_exact")
        )
        entry.effects.append(
            f"pairs alone, {kind}: {there_alone.mean():.3f} (worst seed {there_alone.min():.3f}), "
            f"{back_alone.mean():.3f} (worst seed {back_alone.min():.3f})"
        )
    entry.seeds, entry.about, entry.commands = len(info), next(iter(aligned.values())), commands(e, "main", "mapping")
    met = [there.min() >= 0.99, back.min() >= 0.95]
    return enough(entry, "reproduced" if all(met) else "partly" if any(met) else "not reproduced")


def b1(e: dict[str, Rows]) -> Entry:
    """What self-evolution changes in the two biases that were planted in the teacher."""
    entry = Entry("B1", BIAS, commands=commands(e, "arms", "loop"))
    start, end = e["arms"].get("distilled") or {}, e["loop"].get("rgrpo-round1-sft") or {}
    return enough(entry, planted_biases(entry, start, end))


def o1(e: dict[str, Rows]) -> Entry:
    """How often reasoning repeats or contradicts itself, or its context."""
    entry = Entry("O1", FAULTS, commands=commands(e, "arms", "loop"))
    ends = {"distilled": e["arms"].get("distilled"), "after two rounds": e["loop"].get("rgrpo-round1-sft")}
    return enough(entry, faults_of_reasoning(entry, ends))


def _later(id: str, claim: str, why: str = "") -> Callable[[dict], Entry]:
    return lambda e: Entry(id, claim, effects=[why] if why else [])


PRETRAINED = "SmolLM2-135M, pretrained: needs a GPU; a step of SFT and of RL is tested, no more"
C6 = (
    "asks for CRS on pretrained backbones of several sizes; "
    "the widths in row G are of tiny distilled starts and judge no claim"
)
CLAIMS: tuple[Callable[[dict[str, Rows]], Entry], ...] = (
    c1,
    c2,
    c3,
    c4,
    lambda e: c2(e, cold=True),
    _later("C6", "quality grows with the size of the backbone", C6),
    c7,
    _later("N1", "text context beats embedding context"),
    _later("N2", "alternation beats pure SFT, pure RL and other schedules"),
    _later("N3", "the rank-aware reward is not tuned to the metric"),
    b1,
    o1,
    _later("P1", "the main table (C1, C2, C5) with a pretrained backbone", PRETRAINED),
    _later("P2", "C3 with a pretrained backbone", PRETRAINED),
    goal,
)


def evidence(folder: Path) -> dict[str, Rows]:
    """The rows in `folder` (one log, one profile) of every experiment that a claim is judged by."""
    return {
        name: gather(folder, name)
        for name in ("main", "arms", "loop", "mapping", "noise", "mend", "capacity", "lessons")
    }


def ledger(folder: Path) -> list[Entry]:
    """Every claim in the order of the list, judged by the rows in `folder`."""
    found = evidence(folder)
    return [claim(found) for claim in CLAIMS]


def backbone(row: Row) -> str:
    """What kind of model a row is of."""
    return row["profile"].get("backbone", "tiny")


def verdict(entry: Entry) -> str:
    """The verdict, with the backbone it was taken on."""
    judged = entry.about and not entry.verdict.startswith(NOT_RUN)
    return f"{entry.verdict} ({backbone(entry.about)})" if judged else entry.verdict


def markdown(entries: Sequence[Entry]) -> str:
    """The ledger as one table, as the command prints it, with where its numbers come from."""
    lines = ["| | claim | verdict | effect, 95 % interval | seeds | command |", "|" + " --- |" * 6]
    for x in entries:
        commands = ", ".join(f"`{c}`" for c in x.commands)
        effects = "<br>".join(x.effects)
        lines.append(f"| {x.id} | {x.claim} | {verdict(x)} | {effects} | {x.seeds or ''} | {commands} |")
    about = provenance(entries)
    return "\n".join([*lines, "", about] if about else [*lines, ""])


def provenance(entries: Sequence[Entry]) -> str:
    """Log, backbone, profile, requests and machines of the rows."""
    about = next((x.about for x in entries if x.about), None)
    if not about:
        return ""
    profile, millions = about["profile"], about["parameters"]["parameters"] / 1e6
    scratch = (
        f"({profile['layers']} layers, width {profile['hidden']}, from scratch), " if backbone(about) == "tiny" else ""
    )
    machines = next((x.hardware for x in entries if x.hardware), [about["hardware"]])
    return (
        f"Log {about['log']}; backbone {backbone(about)} {scratch}about {millions:.1f} M weights; "
        f"profile {profile['name']}; {about['n']:,} test requests; made on {' and on '.join(machines)}.\n"
    )
