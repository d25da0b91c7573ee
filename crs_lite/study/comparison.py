"""Differences between systems over seeds and requests, with their intervals, and the protocol's rule for a verdict; an
`Entry` is a line of the ledger."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.evaluate import Difference
from crs_lite.study.recorded import Row, Rows, values

SEEDS = 5  # fewer make no verdict
NOT_RUN, OPEN = "not run", "no verdict yet"
BIAS = "self-evolution removes the teacher's prior and capacity bias"
FAULTS = "reasoning can repeat or contradict itself"

Seeds = dict[int, Row]  # the rows of one system
Study = dict[str, Rows]  # experiment -> its rows


class Effect(str):
    """`label +0.020 [+0.001, +0.036]`: a paired difference in words that still knows its numbers."""

    label: str
    difference: Difference

    def __new__(cls, label: str, d: Difference) -> Effect:
        self = super().__new__(cls, f"{label} {d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]")
        self.label, self.difference = label, d
        return self


@dataclass
class Entry:
    """One line of the ledger. `effects`: an `Effect` for every paired difference, or a description."""

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
    resamples = _resamples(tuple(map(len, differences)), n, seed)
    means = np.array([np.mean([differences[s][of].mean() for s, of in drawn]) for drawn in resamples])
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(float(np.mean([d.mean() for d in differences])), float(low), float(high))


@lru_cache(maxsize=2)  # up to 2 bytes x 2,000 x 5 x 4,000 in one; most differences of a study have the same sizes
def _resamples(sizes: tuple[int, ...], n: int, seed: int) -> list[list[tuple[int, np.ndarray]]]:
    """`n` times: the drawn seeds, each with the requests drawn of its `sizes[seed]`. To draw costs most."""
    rng = np.random.default_rng(seed)
    small = np.uint16 if max(sizes) <= 2**16 else np.int64
    return [
        [(s, rng.integers(sizes[s], size=sizes[s]).astype(small)) for s in rng.integers(len(sizes), size=len(sizes))]
        for _ in range(n)
    ]


def difference(
    a: Sequence[dict[int, Row]], b: Sequence[dict[int, Row]], metric: str, cold: bool = False
) -> tuple[Difference, int] | None:
    """Systems `a` minus systems `b` over the seeds both have; several runs of one system at the same start are averaged
    first. None if there are none. `cold`: on cold starts only. -> (difference, number of seeds)."""
    per_seed = []
    for s in sorted({s for of in a for s in of} & {s for of in b for s in of}):
        ours, theirs = ([of[s] for of in runs if s in of] for runs in (a, b))
        if len({tuple(r["request_ids"]) for r in (*ours, *theirs)}) > 1:
            names = f"{ours[0]['row']!r} and {theirs[0]['row']!r}"
            raise CRSError(f"rows {names}, seed {s}: different requests; run both again.")
        d = np.mean([values(r, metric) for r in ours], axis=0) - np.mean([values(r, metric) for r in theirs], axis=0)
        per_seed.append(d[np.array(ours[0]["cold"], dtype=bool)] if cold else d)
    return (hierarchical(per_seed), len(per_seed)) if per_seed else None


def between_ensembles(a: Row, b: Row, metric: str, n: int = 2000, seed: int = 0) -> Difference:
    """Ensemble `a` minus ensemble `b`, or minus a system without members, with its 95 % interval. An ensemble is one
    system: a resample takes one drawing of its members, the same in both, and draws the requests again. Raises
    `CRSError` where the two differ in their requests or in the members that were drawn."""
    members = [[of["members"] for of in row["drawn"]] for row in (a, b) if "drawn" in row]
    if a["request_ids"] != b["request_ids"] or any(of != members[0] for of in members):
        raise CRSError(f"rows {a['row']!r} and {b['row']!r}: different requests or drawings; run both again.")
    own = values(a, metric) - values(b, metric)
    others = b.get("drawn", [b] * len(a["drawn"]))
    drawn = [values(x, metric) - values(y, metric) for x, y in zip(a["drawn"], others, strict=True)]
    rng = np.random.default_rng(seed)
    means = [drawn[rng.integers(len(drawn))][rng.integers(len(own), size=len(own))].mean() for _ in range(n)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(float(own.mean()), float(low), float(high))


def judge(main: Difference, others: Sequence[Difference], sign: int = 1) -> str:
    """The protocol's verdict: the claim's own metric first, then the others; `sign` is the claimed direction."""

    def shown(d: Difference) -> bool:
        return d.low > 0 if sign > 0 else d.high < 0

    return "reproduced" if shown(main) else "partly" if any(map(shown, others)) else "not reproduced"


def compared(
    entry: Entry, label: str, a: Sequence[Seeds], b: Sequence[Seeds], metrics: Sequence[str], sign: int = 1, cold=False
) -> str | None:
    """Add the differences a - b in these metrics to an entry; the first is the claim's own. -> the verdict, None
    without common seeds. Several runs of a system at one start stand side by side in `a` or `b`."""
    found = [difference(a, b, metric, cold) for metric in metrics]
    if found[0] is None:
        return None
    entry.effects += [Effect(f"{label} {metric}".strip(), d) for metric, (d, _) in zip(metrics, found, strict=True)]
    entry.seeds = min(entry.seeds or found[0][1], found[0][1])
    entry.about = entry.about or next(iter(a[0].values()))
    return judge(found[0][0], [d for d, _ in found[1:]], sign)


def planted_biases(entry: Entry, start: Seeds, end: Seeds) -> str | None:
    """Add what changes, from `start` to `end`, in the two biases that were planted in the teacher. -> the verdict on
    both having fallen, None without common seeds."""
    seeds = sorted(set(start) & set(end))
    if not seeds:
        return None

    def share(row: Row, key: str) -> float:
        planted = row["audit"]["planted"]
        return planted[key] / max(planted["claims"], 1)

    fell = []
    for label, key in (("claims that repeat the prior", "prior"), ("claims nothing supports", "unsupported")):
        change = hierarchical([np.array([share(end[s], key) - share(start[s], key)]) for s in seeds])
        before = np.mean([share(start[s], key) for s in seeds])
        entry.effects.append(Effect(f"{label}: {before:.3f} at the start, change", change))
        fell.append(change.high < 0)
    entry.seeds, entry.about = len(seeds), start[seeds[0]]
    return "reproduced" if all(fell) else "partly" if any(fell) else "not reproduced"


def faults_of_reasoning(entry: Entry, stages: dict[str, Seeds]) -> str | None:
    """Add how often, at each stage, texts repeat or contradict themselves, or their context. -> reproduced where one
    share reaches a hundredth, None where a stage has no rows."""
    if not all(stages.values()):
        return None
    kinds = {"repeats": "repeated", "contradicts itself": "contradicts_itself", "its context": "contradicts_context"}
    worst = 0.0
    for name, of in stages.items():
        shares = {label: float(np.mean([r["audit"][key] for r in of.values()])) for label, key in kinds.items()}
        worst = max(worst, *shares.values())
        entry.effects.append(f"{name}: " + ", ".join(f"{label} {share:.3f}" for label, share in shares.items()))
    entry.seeds, entry.about = min(map(len, stages.values())), next(iter(next(iter(stages.values())).values()))
    return "reproduced" if worst >= 0.01 else "not reproduced"


def commands(e: dict[str, Rows], *names: str) -> list[str]:
    """What made the rows of these experiments."""
    return list(dict.fromkeys(row["command"] for name in names for of in e[name].values() for row in of.values()))


def rows_of(e: Study, experiment: str, name: str) -> Seeds:
    """The rows of one system; {} where none is recorded."""
    return e[experiment].get(name) or {}


def of_any_seed(e: Study, *names: str) -> list[str]:
    """What made the rows of these experiments; S stands for the seed."""
    return sorted({re.sub(r"--seed \d+", "--seed S", command) for command in commands(e, *names)})


def enough(entry: Entry, verdict: str | None) -> Entry:
    """The entry with its verdict, or with how many seeds there are so far."""
    if verdict is None:
        return entry
    entry.verdict = verdict if entry.seeds >= SEEDS else f"{OPEN}: {entry.seeds} of {SEEDS} seeds so far"
    return entry
