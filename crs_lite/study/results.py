"""Recorded results: one JSON file a run, with everything needed to rerun it; tables are made from the files only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, FiniteFloat, field_validator

from crs_lite.errors import CRSError
from crs_lite.files import read_json, write_json, write_text
from crs_lite.workspace import hardware, versions

SCHEMA = 1
NO_TRUTH = "no truth"
METRICS = ("HR@1", "HR@10", "NDCG@10", "MRR")  # of the table


class Metric(BaseModel):
    """A mean over requests and its interval."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class Probe(BaseModel):
    """A system's metrics, those of the table among them."""

    metrics: dict[str, Metric]

    @field_validator("metrics")
    @classmethod
    def _of_the_table(cls, metrics: dict[str, Metric]) -> dict[str, Metric]:
        if missing := [m for m in METRICS if m not in metrics]:
            raise ValueError(f"{missing[0]} is missing")
        return metrics


class System(Probe):
    """What a table says of a system."""

    name: str
    true_reasoning: Probe | None = None
    audit: dict | None = None


class Versions(BaseModel):
    """Of the libraries that a number depends on most."""

    torch: str
    transformers: str = ""
    trl: str = ""


class Named(BaseModel):
    """A profile."""

    name: str


class Run(BaseModel):
    """A results file of a run, as far as tables read it."""

    log: str
    profile: Named
    seed: int
    n_test: int
    minutes: FiniteFloat
    versions: Versions
    hardware: str
    date: str
    command: str
    baselines: list[System]
    stages: list[System]


class Pair(BaseModel):
    """Ours and the stock library's seconds."""

    name: str
    ours: FiniteFloat
    stock: FiniteFloat
    ratio: FiniteFloat
    target: FiniteFloat | None
    note: str


class Measured(BaseModel):
    """One benchmark."""

    rows: list[Pair]
    hardware: str
    versions: Versions
    date: str


class Bench(BaseModel):
    """A results file of benchmarks."""

    bench: dict[str, Measured]


class Summed(BaseModel):
    """A results file of the shop that is summed over: what made it, and at least one demonstration."""

    command: str
    commit: str
    versions: dict[str, str]
    hardware: str
    date: str
    minutes: FiniteFloat
    noise: dict[str, Any]


def save(path: Path, results: dict) -> None:
    """Write a results file, schema included."""
    write_json(path, {"schema": SCHEMA, **results}, indent=1)


def load(path: Path) -> dict:
    """Raises `CRSError` naming the file when it is missing, damaged or of another schema."""
    remedy = "restore it, or make it with `python -m crs_lite run`."
    results = read_json(path, dict, remedy)
    if results.get("schema") != SCHEMA:
        raise CRSError(f"{path}: results of another version; run again with this version of crs_lite.")
    kind = Bench if "bench" in results else Summed if "noise" in results else Run
    read_json(path, kind, remedy)
    return results


def rows(results: dict) -> list[dict]:
    """All table rows of a run in order: baselines, ceilings, then the stages of CRS."""
    return [*results["baselines"], *results["stages"]]


def interval(metric: dict) -> str:
    """`0.412 [0.398, 0.426]`: mean and 95 % bootstrap interval over requests."""
    return f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"


def table(results: dict, metrics: tuple[str, ...] = METRICS) -> pd.DataFrame:
    """Every system with its intervals, the two probes, and NDCG@10 as a share of the informed ceiling."""
    ceiling = next((r["metrics"]["NDCG@10"]["value"] for r in results["baselines"] if r["name"] == "informed"), None)
    out = []
    for r in rows(results):
        line = {"system": r["name"], **{m: interval(r["metrics"][m]) for m in metrics}}
        line["share of ceiling"] = f"{r['metrics']['NDCG@10']['value'] / ceiling:.2f}" if ceiling else NO_TRUTH
        probe, truth = r.get("true_reasoning"), (r.get("audit") or {}).get("attribute_truth")
        reasons = "audit" in r
        line["NDCG@10, true reasoning"] = (
            interval(probe["metrics"]["NDCG@10"]) if probe else (NO_TRUTH if reasons and not ceiling else "")
        )
        line["attribute truth"] = f"{truth:.3f}" if truth is not None else (NO_TRUTH if reasons and not ceiling else "")
        out.append(line)
    return pd.DataFrame(out).set_index("system")


def gap(results: dict, stage: str) -> dict[str, float] | None:
    """NDCG@10 lost on the way: ceiling -> true reasoning (the decoder) -> own reasoning. None without a truth."""
    by_name = {r["name"]: r for r in rows(results)}
    if "informed" not in by_name or "true_reasoning" not in by_name.get(stage, {}):
        return None
    ceiling = by_name["informed"]["metrics"]["NDCG@10"]["value"]
    true = by_name[stage]["true_reasoning"]["metrics"]["NDCG@10"]["value"]
    own = by_name[stage]["metrics"]["NDCG@10"]["value"]
    return {
        "ceiling": ceiling,
        "true reasoning": true,
        "own reasoning": own,
        "decoder gap": ceiling - true,
        "reasoning gap": true - own,
    }


def provenance(results: dict) -> str:
    """One line under every table: where its numbers come from."""
    v = results["versions"]
    return (
        f"profile {results['profile']['name']}, seed {results['seed']}, log {results['log']}, "
        f"{results['n_test']} test requests, {results['minutes']:.0f} min on {results['hardware']}, "
        f"torch {v['torch']}, transformers {v['transformers']}, trl {v['trl']}, "
        f"{results['date']}; `{results['command']}`"
    )


def markdown(results: dict) -> str:
    """The table as Markdown, with its provenance."""
    frame = table(results).reset_index()
    lines = ["| " + " | ".join(frame.columns) + " |", "|" + " --- |" * len(frame.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in frame.itertuples(index=False)]
    return "\n".join(lines) + f"\n\n{provenance(results)}\n"


def add_bench(path: Path, name: str, rows: Sequence) -> None:
    """Put the rows of one benchmark (see `bench.Row`) into a results file, with hardware, versions and date."""
    made = load(path) if path.exists() else {"bench": {}}
    made["bench"][name] = {
        "rows": [asdict(r) for r in rows],
        "hardware": hardware(),
        "versions": versions(),
        "date": date.today().isoformat(),
        "command": f"python -m crs_lite bench {name}",
    }
    save(path, made)


def bench_markdown(recorded: dict) -> str:
    """Every measured pair of a benchmark file, with its provenance."""
    lines = ["| | ours | stock | stock / ours | wanted | |", "|" + " --- |" * 6]
    where = set()
    for bench in recorded["bench"].values():
        where.add(f"{bench['hardware']}, torch {bench['versions']['torch']}, {bench['date']}")
        for r in bench["rows"]:
            wanted = f"at least {r['target']:.2f}" if r["target"] else ""
            lines.append(
                f"| {r['name']} | {r['ours']:.3g} s | {r['stock']:.3g} s | {r['ratio']:.2f} | {wanted} | {r['note']} |"
            )
    return "\n".join(lines) + "\n\n" + "; ".join(sorted(where)) + "; `python -m crs_lite bench`\n"


def with_block(text: str, block: str, name: str = "results") -> str:
    """`text` with everything between its `name` markers replaced. Raises `CRSError` when the markers are missing."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise CRSError(f"the page: the lines {begin} and {end} must each stand once; put them back.")
    head, rest = text.split(begin)
    return head + begin + "\n" + block + end + rest.split(end)[1]


def put_block(path: Path, block: str, name: str) -> None:
    """`with_block` on a page, in place."""
    write_text(path, with_block(path.read_text(encoding="utf-8"), block, name))
