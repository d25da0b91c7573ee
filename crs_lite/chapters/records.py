"""Recorded rows as the tables that chapters show. Nothing is computed anew."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crs_lite.chapters.drawings import KINDS
from crs_lite.errors import CRSError
from crs_lite.paths import BENCH
from crs_lite.study import results


def bench(name: str) -> pd.DataFrame:
    """A recorded benchmark: milliseconds, and beside them the ratio of stock to ours, or of each row to the first where
    nothing stock was run. Raises `CRSError` for a name that is not recorded."""
    known = results.load(BENCH)["bench"]
    if name not in known:
        raise CRSError(f"no benchmark {name!r}; use one of {', '.join(known)}.")
    rows = known[name]["rows"]
    table = {}
    for r in rows:
        if name == "trie":  # the same step on more and more items: growth is what is asked
            times = {"one step": r["ours"], "beside a thousand items": r["ours"] / rows[0]["ours"]}
        else:
            times = {"ours": r["ours"], "stock": r["stock"], "stock / ours": r["stock"] / r["ours"]}
        *seconds, ratio = times
        table[r["name"]] = {k: f"{times[k] * 1000:.0f} ms" for k in seconds} | {ratio: f"{times[ratio]:.3g}"}
    return pd.DataFrame.from_dict(table, orient="index")


def mapping(recorded: list[dict]) -> pd.DataFrame:
    """The end of every recorded run of the experiment `mapping`, by kind of ID: means over the seeds, and each seed."""
    table = {}
    for kind, (label, _) in KINDS.items():
        rows = [r["final"] for r in recorded if r["kind"] == kind]
        titles = [r["sid_to_title_exact"] for r in rows]
        table[label] = {
            "item → ID": round(float(np.mean([r["item_to_sid_hr1"] for r in rows])), 3),
            "ID → title": round(float(np.mean(titles)), 3),
            "ID → title, seed by seed": ", ".join(f"{t:.2f}" for t in titles),
        }
    return pd.DataFrame.from_dict(table, orient="index")
