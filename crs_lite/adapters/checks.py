"""What to know of a real log before a number on it is believed. Measured, printed, and kept with the results.

Shares are of the test requests, 0 to 1. A log of the marketplace knows why each click happened; a real one does not,
so nothing here or later can say how good the best possible ranking is: "no truth".
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice

import numpy as np
from tqdm import tqdm

from crs_lite.adapters.synthetic import words
from crs_lite.errors import CRSError
from crs_lite.logs import SPLITS, SearchLog, SearchRequest

SITTING = 1800  # seconds without a search that end a sitting, where the log names no sessions
WORD = {
    "all_words_in_title": "the query's words all stand in the target's title or brand",
    "names_target": "and in no other item's: the query names the target",
    "types_key": "the query is the target's own key",
    "repeats_in_session": "the same query with the same target came before in the session",
    "target_in_history": "the target was clicked before by this shopper",
    "never_clicked_in_train": "the target is clicked in no training request",
    "cold_shoppers": "the shopper has at most 2 searches before",
    "same_moment": "another search of this shopper has the same time: which came first is not known",
    "untimed": "no clock was read",
}


def check(log: SearchLog, sessions: Sequence[int] = ()) -> dict:
    """The measures by name; `sessions`: a number for each request where a reader knows it, -1 where not.

    Raises `CRSError` when a split is empty, because then nothing can be trained, chosen or measured.
    """
    splits = {name: log.split(name) for name in SPLITS}
    if empty := [name for name, of in splits.items() if not of]:
        counts = ", ".join(f"{name} {len(of)}" for name, of in splits.items())
        times = len({r.time for r in log.requests})
        raise CRSError(
            f"log {log.name!r}: no request is left for {' and '.join(empty)} ({counts}; {times} different times); "
            "give a log of more searches, over a longer time."
        )
    known = any(s >= 0 for s in sessions)
    number = sessions if known else _sittings(log)
    test = splits["test"]
    trained: set[int] = set()
    about, inside = {}, []
    for name, of in splits.items():
        about[name], met = _about(of, number, trained if name == "train" else set())
        inside.append(met)
    met, times = np.unique(np.concatenate(inside), return_counts=True)
    flags = _flags(log, test, number, trained)
    return {
        "truth": "no truth",
        "splits": about,
        "sessions": "as logged" if known else f"ours: searches at most {SITTING // 60} minutes apart",
        "sessions_across_splits": int(((times > 1) & (met >= 0)).sum()),
        "test": {name: sum(found) / len(test) for name, found in flags.items()},
    }


def _about(requests: Sequence[SearchRequest], number: Sequence[int], clicked: set[int]) -> tuple[dict, np.ndarray]:
    """Counts of a split, and the numbers of its sessions; adds its clicked items to `clicked`. In one pass, since a
    large log makes its requests anew each time."""
    shoppers, targets, skipped, stronger = set(), set(), 0, 0
    sessions = array("q")
    for r in requests:
        shoppers.add(r.user)
        targets.add(r.target)
        clicked.update(r.clicked)
        skipped += bool(r.skipped)
        stronger += any(x > 1 for x in r.strength)
        sessions.append(number[r.id])
    return {
        "requests": len(requests),
        "shoppers": len(shoppers),
        "targets": len(targets),
        "with_skipped": skipped,
        "stronger_than_a_click": stronger,
        "from": requests[0].time,
        "to": requests[-1].time,
    }, np.unique(sessions)


def _sittings(log: SearchLog) -> array:
    last: dict[int, tuple[int, int]] = {}  # user -> (time, sitting)
    out = array("q")
    for r in log.requests:
        time, sitting = last.get(r.user, (-(10**12), -1))
        sitting = sitting if r.time - time <= SITTING else len(out)
        last[r.user] = (r.time, sitting)
        out.append(sitting)
    return out


def _flags(
    log: SearchLog, test: Sequence[SearchRequest], session: Sequence[int], trained: set[int]
) -> dict[str, list[bool]]:
    texts = [frozenset(words(f"{item.title} {item.brand or ''}")) for item in log.items]
    having: dict[str, list[int]] = defaultdict(list)  # word -> items, for words of the test queries alone
    asked = {word for r in test for word in words(r.query)}
    for item, text in enumerate(texts):
        for word in text & asked:
            having[word].append(item)
    holders: dict[str, int] = {}  # query -> items that hold all of its words; 2 stands for more

    def here(r: SearchRequest) -> tuple:
        return session[r.id], r.query.casefold(), r.target

    # What no test request asks for is not kept: it would take more memory than the log.
    asked_for = {here(r) for r in test}, {(r.user, r.target) for r in test}
    before: set[tuple] = set()
    clicked: set[tuple[int, int]] = set()
    moments = Counter((r.user, r.time) for r in test)
    out: dict[str, list[bool]] = {name: [] for name in WORD}
    for r in tqdm(log.requests, desc="checks", delay=5):
        if r.split == "test":
            said = words(r.query)
            inside = bool(said) and texts[r.target].issuperset(said)
            if inside and r.query not in holders:
                rarest = min((having[w] for w in said), key=len)
                holders[r.query] = len(list(islice((i for i in rarest if texts[i].issuperset(said)), 2)))
            out["all_words_in_title"].append(inside)
            out["names_target"].append(inside and holders[r.query] == 1)
            out["types_key"].append(r.query.casefold() == log.items[r.target].key.casefold())
            out["repeats_in_session"].append(session[r.id] >= 0 and here(r) in before)
            out["target_in_history"].append((r.user, r.target) in clicked)
            out["never_clicked_in_train"].append(r.target not in trained)
            out["cold_shoppers"].append(log.n_past(r) <= 2)
            out["untimed"].append(not r.timed)
        elif (r.user, r.time) in moments:
            moments[r.user, r.time] += 1
        before.update({here(r)} & asked_for[0])
        clicked.update(asked_for[1].intersection((r.user, item) for item in r.clicked))
    out["same_moment"] = [moments[r.user, r.time] > 1 for r in test]
    return out


def words_of(found: dict) -> str:
    """The measures as lines to be read."""
    lines = ["before you believe a number:"]
    for name, s in found["splits"].items():
        lines.append(
            f"  {name}: {s['requests']} requests of {s['shoppers']} shoppers, {s['targets']} different targets; "
            f"{s['with_skipped']} with skipped items, {s['stronger_than_a_click']} with more than a click"
        )
    lines += [f"  {share:6.1%} of test: {WORD[name]}" for name, share in found["test"].items()]
    lines.append(f"  sessions ({found['sessions']}): {found['sessions_across_splits']} lie on both sides of a split")
    lines.append(f"  {found['truth']}: nobody knows the best possible ranking, so no share of a ceiling is given")
    return "\n".join(lines)
