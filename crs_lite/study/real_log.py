"""The rows on a real log (`book/protocol-3.md`): every system beside every other, and five questions answered.

They judge no claim of the paper: the log has no truth, made-up queries, and three seeds. `spread` looks for the cause
of an answer, after the rows were seen, and answers nothing itself.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.evaluate import Difference
from crs_lite.study.comparison import NOT_RUN, Effect, difference, hierarchical
from crs_lite.study.recorded import Row, Rows, gather, values

EXPERIMENT, CHOICES, LESSONS = "own-log", "own-log-choices", "own-log-lessons"
SEEDS = 3  # fewer answer no question
# row -> what the system is, what it reads
SYSTEMS = {
    "popularity": ("popularity", "nothing"),
    "SASRec": ("SASRec", "past clicks"),
    "dense": ("dense", "the query"),
    "BM25": ("BM25", "the query"),
    "matching-popularity": ("matching, then popularity", "the query"),
    "matching-SASRec": ("matching, then SASRec", "query and past clicks"),
    "counting": ("the counting model", "query and past clicks"),
    "matching-counting": ("matching, then counting", "query and past clicks"),
    "aligned": ("aligned, direct answer", "the context"),
    "direct": ("direct training", "the context"),
    "distilled": ("distilled, one thought", "the context"),
    "distilled-thoughts": ("distilled, 16 thoughts", "the context"),
    "distilled-other": ("distilled, another request's conclusion", "the context"),
    "rgrpo": ("R-GRPO, one thought", "the context"),
    "rgrpo-thoughts": ("R-GRPO, 16 thoughts", "the context"),
}
# question -> in words, a system, minus another
QUESTIONS = {
    "R1": ("does one thought beat a direct answer?", "distilled", "direct"),
    "R2": ("do 16 merged thoughts beat one?", "distilled-thoughts", "distilled"),
    "R3": ("does R-GRPO add?", "rgrpo", "distilled"),
    "R4": ("does CRS beat counting?", "rgrpo", "counting"),
    "R5": ("does CRS beat matching, then counting?", "rgrpo", "matching-counting"),
}
METRICS = ("NDCG@10", "HR@1", "HR@10")


def rows(folder: Path) -> Rows:
    """The rows of the experiment, by name and seed."""
    return gather(folder, EXPERIMENT)


def beside(of: Rows, name: str, seeds: dict[int, Row]) -> dict[int, Row]:
    """The rows of a system beside the seeds of another; what does not learn has the same row beside each."""
    own = of.get(name, {})
    return {s: own[0] for s in seeds} if set(own) == {0} and own[0]["stage"] == "ids" else own


def answer(of: Rows, question: str) -> tuple[str, list[str], int]:
    """-> (yes, no, open, or why there is no answer yet; the differences as text; number of seeds)."""
    _, a, b = QUESTIONS[question]
    ours = of.get(a, {})
    found = [difference([ours], [beside(of, b, ours)], metric) for metric in METRICS[:2]]
    if found[0] is None:
        return NOT_RUN, [], 0
    (main, n), said = found[0], [Effect(metric, d) for metric, (d, _) in zip(METRICS, found, strict=False)]
    verdict = "yes" if main.low > 0 else "no" if main.high < 0 else "open"
    return (verdict if n >= SEEDS else f"{NOT_RUN}: {n} of {SEEDS} seeds so far"), said, n


def markdown(folder: Path) -> str:
    """Both tables, with where their numbers come from."""
    of = rows(folder)
    lines = ["| system | reads | " + " | ".join(METRICS) + " | seeds |", "|" + " --- |" * (len(METRICS) + 3)]
    for name, (label, reads) in SYSTEMS.items():
        cells = []
        for metric in METRICS if name in of else ():
            d = hierarchical([values(row, metric) for row in of[name].values()])
            cells.append(f"{d.mean:.3f} [{d.low:.3f}, {d.high:.3f}]")
        seeds = " ".join(map(str, sorted(of.get(name, {}))))
        lines.append(f"| {label} | {reads} | {' | '.join(cells or [NOT_RUN, '', ''])} | {seeds} |")
    lines += ["", "| | question | answer | difference, 95 % interval | seeds |", "|" + " --- |" * 5]
    for question, (words, *_) in QUESTIONS.items():
        verdict, said, n = answer(of, question)
        lines.append(f"| {question} | {words} | {verdict} | {'; '.join(said)} | {n or ''} |")
    return "\n".join(lines) + "\n" + _about([row for seeds in of.values() for row in seeds.values()])


def _about(found: list[Row]) -> str:
    if not found:
        return ""
    one, millions = found[0], found[0]["parameters"]["parameters"] / 1e6
    commits = sorted({row["commit"][:7] for row in found})
    commands = sorted({re.sub(r"--seed \d+", "--seed S", row["command"]) for row in found})
    return (
        f"\nLog {one['log']}, {one['n']:,} test requests; profile {one['profile']['name']}, about {millions:.1f} M "
        f"weights from scratch; made on {' and on '.join(sorted({row['hardware'] for row in found}))}, from commit "
        f"{', '.join(commits)}; {', '.join(f'`{c}`' for c in commands)}.\n"
    )


def chosen(folder: Path) -> dict[str, float]:
    """NDCG@10 on validation requests of everything that was tried."""
    return {n: float(np.mean(values(of[0], "NDCG@10"))) for n, of in gather(folder, CHOICES).items()}


# what the counts of the log would conclude of a request: nothing; or facets, of which none, or one at least, is the
# clicked item's
CONCLUSIONS = ("nothing", "false of the click", "true of the click")


def spread(
    folder: Path, a: dict[int, Row], b: dict[int, Row], split: str = "test"
) -> dict[str, tuple[int, Difference]]:
    """Where the difference a - b in NDCG@10 comes from: conclusion -> (number of requests, difference on these). `a`,
    `b`: two systems' rows by seed. Raises `CRSError` where they are not on the requests that were looked at."""
    expected = gather(folder, LESSONS)[f"expected-{split}"][0]
    said, true = np.array(expected["said"]), np.array(expected["true"])
    kind = np.where(said == 0, 0, np.where(true == 0, 1, 2))
    each = []
    for seed in sorted(set(a) & set(b)):
        if a[seed]["request_ids"] != expected["request_ids"] or b[seed]["request_ids"] != expected["request_ids"]:
            raise CRSError(f"rows {a[seed]['row']!r} and {b[seed]['row']!r}: not on the requests of {LESSONS}.")
        each.append(values(a[seed], "NDCG@10") - values(b[seed], "NDCG@10"))
    return {
        name: (int((kind == n).sum()), hierarchical([d[kind == n] for d in each])) for n, name in enumerate(CONCLUSIONS)
    }
