"""A chat model beside the template teachers, on the same requests, before the same judge: what is kept, and why the
rest is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pandas as pd
import torch
from pydantic import BaseModel, FiniteFloat

from crs_lite.files import read_json
from crs_lite.logs import SearchRequest
from crs_lite.prepared import TEACHERS
from crs_lite.reasoning.audit import audit
from crs_lite.reasoning.chat import Draft
from crs_lite.reasoning.drafts import KEPT, REASONS, Beam, ChatTeacher, Judge, shares
from crs_lite.reasoning.teacher import TeacherBias
from crs_lite.tasks import Codec
from crs_lite.workspace import hardware, versions


class Row(BaseModel):
    """One teacher. `counts`: `KEPT` and every reason -> drafts; `with_one`: requests of which one or more is kept;
    `stated`: facets a draft; `truth`: share of stated facets that the clicked item has, None when nothing is stated."""

    name: str
    drafts: int
    counts: dict[str, int]
    with_one: int
    stated: FiniteFloat
    truth: FiniteFloat | None


class Written(BaseModel):
    """One draft of the chat model."""

    request: int
    text: str
    tokens: int
    closed: bool
    verdict: str


class Drafted(BaseModel):
    """The record. `judge`: the checkpoint whose beam looks for the target; `prompt`: the messages of the first request;
    `seconds`: of reading and writing alone, with whatever else the machine had to do; `fastest`: of the fastest
    request."""

    command: str
    commit: str
    log: str
    judge: str
    teacher: str
    hindsight: bool
    n: int
    temperature: FiniteFloat
    seed: int
    most: int
    shots: int
    least: FiniteFloat
    requests: list[int]
    rows: list[Row]
    written: list[Written]
    prompt: list[dict[str, str]]
    tokens_read: int
    tokens_written: int
    seconds: FiniteFloat
    fastest: FiniteFloat
    hardware: str
    threads: int
    versions: dict[str, str]
    date: str


def load(path: Path) -> Drafted:
    """Raises `CRSError` naming the file when it is missing or damaged."""
    return read_json(path, Drafted, "make it with `python -m crs_lite draft --record`.")


def measure(
    teacher: ChatTeacher,
    requests: Sequence[SearchRequest],
    codec: Codec,
    beam: Beam,
    judge: str,
    command: str,
    commit: str,
) -> Drafted:
    """Let the chat model write, and as many wordings of each template teacher; judge them all.

    The template teachers have the planted faults that runs give them, and each is judged by its own recipe."""
    answers = teacher.ask(requests)
    drafts = [a.drafts for a in answers]
    judges = {teacher.writer.name: Judge(teacher.template, codec, beam, teacher.writer.marks)}
    for name, kind in TEACHERS.items():
        judges[name] = Judge(kind(teacher.log, teacher.evidence, TeacherBias(0, 0)), codec, beam)
    rows, verdicts = [], []
    for name, texts in {teacher.writer.name: drafts, **_templates(teacher, requests)}.items():
        verdicts.append(judges[name].verdicts(requests, texts))
        rows.append(_row(name, requests, texts, verdicts[-1], judges[name]))
    written = [
        Written(request=r.id, text=d.text, tokens=d.tokens, closed=d.closed, verdict=v)
        for r, of, vs in zip(requests, drafts, verdicts[0], strict=True)
        for d, v in zip(of, vs, strict=True)
    ]
    return Drafted(
        command=command, commit=commit, log=teacher.log.name, judge=judge, teacher=teacher.writer.name,
        hindsight=teacher.hindsight, n=teacher.n, temperature=teacher.temperature, seed=teacher.seed,
        most=teacher.most, shots=teacher.shots, least=teacher.template.min_support, requests=[r.id for r in requests],
        rows=rows, written=written, prompt=teacher.messages(requests[0]), tokens_read=sum(a.read for a in answers),
        tokens_written=sum(d.tokens for of in drafts for d in of), seconds=sum(a.seconds for a in answers),
        hardware=hardware(), threads=torch.get_num_threads(), versions=versions(),
        fastest=min(a.seconds for a in answers), date=date.today().isoformat(),
    )  # fmt: skip


def _templates(teacher: ChatTeacher, requests: Sequence[SearchRequest]) -> dict[str, list[list[Draft]]]:
    """Name -> for each request `n` texts, seed by seed."""
    out = {}
    for name, kind in TEACHERS.items():
        writers = [kind(teacher.log, teacher.evidence, seed=teacher.seed + s) for s in range(teacher.n)]
        out[name] = [[Draft(text := w.write(r), len(text.split()), True) for w in writers] for r in requests]
    return out


def _row(name: str, requests: Sequence[SearchRequest], texts, verdicts, judge: Judge) -> Row:
    facets = [judge.template.log.items[r.target].facets() for r in requests]
    flat = [(d.text, f) for of, f in zip(texts, facets, strict=True) for d in of]
    found = audit([t for t, _ in flat], [f for _, f in flat], judge.parser)
    return Row(
        name=name, drafts=len(flat), counts=shares(verdicts), with_one=sum(KEPT in of for of in verdicts),
        stated=found["stated"], truth=found["attribute_truth"],
    )  # fmt: skip


def table(made: Drafted) -> pd.DataFrame:
    """Teacher by teacher: drafts kept and thrown away, by reason; requests with a lesson; truth of what is stated."""
    out = {}
    for row in made.rows:
        out[row.name.split()[0]] = {
            "drafts": row.drafts,
            "kept": row.counts[KEPT],
            **{REASONS[reason]: row.counts[reason] for reason in REASONS},
            f"requests with one kept, of {len(made.requests)}": row.with_one,
            "attributes stated": f"{row.stated:.2f}",
            "of these true of the click": "nothing stated" if row.truth is None else f"{row.truth:.2f}",
        }
    return pd.DataFrame(out, dtype=object)
