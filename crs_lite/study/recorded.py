"""Recorded rows: each finished arm of an experiment is one JSON file, written whole, that says how to make it again.

What repeats in every row (which requests were ranked, which of them are cold starts) is stored once, in the folder
`lists` beside the experiments, and rows refer to it by its hash.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from crs_lite.errors import CRSError
from crs_lite.evaluate import MISS, per_request
from crs_lite.files import read_json, write_text
from crs_lite.paths import ROOT

SCHEMA = 2
LISTS = "lists"
LISTING = "rows.json"  # in a folder of rows: the names of all, so that one that is gone is missed
SHARED = ("request_ids", "cold")
CODE = ("crs_lite", "requirements.txt", "constraints.txt", "data")  # what a number may depend on

Rank = Annotated[int, Field(ge=0, lt=MISS)]


class Form(BaseModel):
    """What a row holds, as far as tables and verdicts read it; one value a request in its lists."""

    model_config = ConfigDict(strict=True)
    experiment: str
    row: str
    seed: Annotated[int, Field(ge=0)]
    commit: str | None = None
    log: str = ""
    profile: dict = {}
    date: str = ""
    recorded_in: str = ""
    versions: dict[str, str] = {}
    hardware: str = ""
    n: Annotated[int, Field(ge=1)] | None = None
    ranks: list[Rank | None] | None = None
    true_reasoning_ranks: list[Rank | None] | None = None
    utility: list[FiniteFloat] | None = None

    @model_validator(mode="after")
    def _as_long(self) -> Form:
        for name in ("ranks", "true_reasoning_ranks", "utility"):
            if self.n and (values := getattr(self, name)) and len(values) != self.n:
                raise ValueError(f"{name} has {len(values)} values, for {self.n} requests")
        return self


Row = dict
Rows = dict[str, dict[int, Row]]  # row name -> seed -> row


def write(path: Path, row: Row) -> None:
    """One key a line, lists on one line: readable, and small. `path` is `FOLDER/EXPERIMENT/NAME-seedN.json`."""
    short = {key: _stored(path.parents[1] / LISTS, value) if key in SHARED else value for key, value in row.items()}
    body = ",\n".join(f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in short.items())
    write_text(path, "{\n" + body + "\n}\n")
    folder = path.parents[1]
    with FileLock(folder / ".rows.lock"):  # seeds are made side by side
        _list(folder, {*listed(folder), _named(path)})


def listed(folder: Path) -> list[str]:
    """`EXPERIMENT/NAME-seedN.json` of every row that was written to a folder; of older folders, none."""
    path = folder / LISTING
    return read_json(path, list[str], "restore it, or renew it with `results --list`.") if path.exists() else []


def renew_listing(folder: Path) -> int:
    """List the rows that are there. Returns how many."""
    found = {_named(p) for p in folder.glob("*/*.json") if p.parent.name != LISTS}
    _list(folder, found)
    return len(found)


def _list(folder: Path, names: set[str]) -> None:
    write_text(folder / LISTING, json.dumps(sorted(names), indent=0, ensure_ascii=False) + "\n")


def _named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def read(path: Path) -> Row:
    """Raises `CRSError` naming a file that is damaged, of another schema or not the row it is named after, and a list
    that is not what it was."""
    remedy = "delete it and run its experiment again."
    row = read_json(path, dict, remedy)
    if row.get("schema") != SCHEMA:
        raise CRSError(f"{path}: a row of another version; {remedy}")
    form = read_json(path, Form, remedy)
    if (form.experiment, f"{form.row}-seed{form.seed}.json") != (path.parent.name, path.name):
        raise CRSError(f"{path}: holds {form.experiment}, {form.row}, seed {form.seed}, which is another row; {remedy}")
    lists = path.parents[1] / LISTS
    return {k: _looked_up(lists / f"{v}.json") if k in SHARED and isinstance(v, str) else v for k, v in row.items()}


def _stored(folder: Path, value: list) -> str:
    text = json.dumps(value)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    if not (folder / f"{name}.json").exists():
        write_text(folder / f"{name}.json", text + "\n")
    return name


@lru_cache(maxsize=64)
def _looked_up(path: Path) -> list:
    value = read_json(path, list, "restore it, or run the experiments again.")
    if hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16] != path.stem:
        raise CRSError(f"{path}: not the list it is named after; restore it, or run the experiments again.")
    return value


def rows(folder: Path, experiment: str) -> list[Row]:
    """Every recorded row of an experiment, by file name. Raises `CRSError` when one that is listed is gone."""
    if gone := [n for n in listed(folder) if n.startswith(f"{experiment}/") and not (folder / n).exists()]:
        raise CRSError(
            f"{folder / gone[0]}: this recorded row is gone; restore it, or run its experiment again "
            "(`results --list` forgets it)."
        )
    return [read(path) for path in sorted((folder / experiment).glob("*.json"))]


def gather(folder: Path, experiment: str) -> Rows:
    """All rows of an experiment, by name and seed."""
    out: Rows = {}
    for row in rows(folder, experiment):
        out.setdefault(row["row"], {})[row["seed"]] = row
    return out


def values(row: Row, metric: str) -> np.ndarray:
    """`(n,)` values of a metric of the evaluator, or of "utility", in the order of `request_ids`."""
    if metric == "utility":
        return np.array(row["utility"], dtype=float)
    return per_request(np.array([MISS if r is None else r for r in row["ranks"]], dtype=np.int64))[metric]


def index(folder: Path) -> pd.DataFrame:
    """The study at a glance: every row of every experiment, its seeds, its mean NDCG@10, and where it was made."""
    lines = []
    for experiment in sorted(d.name for d in folder.iterdir() if d.is_dir() and d.name != LISTS):
        for name, of in sorted(gather(folder, experiment).items()):
            ndcg = [values(r, "NDCG@10").mean() for r in of.values() if "ranks" in r]
            lines.append(
                {
                    "experiment": experiment,
                    "row": name,
                    "seeds": " ".join(map(str, sorted(of))),
                    "split": " ".join(sorted({r.get("split", "") for r in of.values()})),
                    "NDCG@10": f"{np.mean(ndcg):.3f}" if ndcg else "",
                    "commit": " ".join(sorted({_made_from(r) for r in of.values()})),
                    "date": max(r.get("date", "") for r in of.values()),
                }
            )
    return pd.DataFrame(lines)


def _made_from(row: Row) -> str:
    """The commit, shortened; of rows that did not note it, the one that recorded them, marked as such."""
    return row["commit"][:7] if row.get("commit") else f"before {row.get('recorded_in', '')[:7]}"


# -- the code a row is made from --------------------------------------------------------------------


def code_version() -> str:
    """The commit of this checkout, "+changes" behind it when its code is not committed, or "no git"."""
    commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--", *CODE)
    return "no git" if commit is None else commit + ("+changes" if changed else "")


def committed() -> str:
    """The commit of this checkout. Raises `CRSError` when its code is not committed: nobody could make the row
    again."""
    version = code_version()
    if version.endswith("+changes") or version == "no git":
        raise CRSError(
            f"{ROOT}: the code is not committed ({version}), so a row made from it could not be made again; "
            "commit first, or try things with --try, whose rows are not kept among the recorded ones."
        )
    return version


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, encoding="utf-8")
    except OSError:  # no git on this machine
        return None
    return None if done.returncode else done.stdout.strip()
