"""A language model as teacher: it is shown the facts, writes several drafts, and what can be checked is kept.

The facts are those of the template teacher: the context in words, and for every facet what was counted. The recipe is
foresight: the click is not told. With `hindsight` it is, and the model explains it.

A draft is kept when the parser finds that it states something and that all it states is supported, when it has none of
the faults that `audit` counts, and when the beam of a given checkpoint finds the target under it. MIND: the last of
these reads the click, whatever the prompt tells: of several honest drafts those survive that happen to fit it, which is
*hindsight* by another door. Without a `beam`, nothing of a foresight draft has seen the click. (Recipe and checks are
our choice.)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError
from tqdm import tqdm

from crs_lite.context import escape, when
from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.reasoning.audit import repeats
from crs_lite.reasoning.chat import Answer, Draft, Message, Writer
from crs_lite.reasoning.contradictions import Citations, contradicts_itself
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.foresight import Foresight
from crs_lite.reasoning.teacher import Evidence, Fact, Teacher, TeacherBias
from crs_lite.tasks import Codec

Beam = Callable[[Sequence[SearchRequest], Sequence[str]], np.ndarray]  # `ranker.rank_with`: the lists texts lead to
KEPT = "kept"
# Why a draft is thrown away: the first that holds, in this order.
REASONS = {
    "token": "a control token or an ID in it",
    "unfinished": "breaks off",
    "nothing": "no claim",
    "unsupported": "an unsupported claim",
    "repeated": "says a sentence twice",
    "contradiction": "contradicts itself or the context",
    "missed": "the beam does not find the target",
}
ASK = (
    "In two or three short sentences and no list, cite facts and conclude what to look for. "
    "Name only values that at least {least} of 100 searches led to."
)
TOLD = "The shopper clicked {item}."


class ChatTeacher:
    """Asks a chat model for drafts of a training request's reasoning; `n` of them, the same for the same seed.

    `shots`: how many worked examples stand before the question: other training requests, and what the template
    teacher of the same recipe writes of them, without planted faults. `cache`: a JSON-lines file that drafts are
    kept in (see `Drafts`).
    """

    def __init__(
        self, log: SearchLog, evidence: Evidence, writer: Writer, n: int = 4, temperature: float = 0.7, seed: int = 0,
        most: int = 80, shots: int = 1, hindsight: bool = False, cache: Path | None = None,
    ):  # fmt: skip
        if min(n, most) < 1 or shots < 0 or not 0 < temperature <= 10:
            said = f"{n} drafts of {most} tokens behind {shots} examples at temperature {temperature}"
            raise CRSError(f"chat teacher: {said}; give one or more of the first two and a temperature in (0, 10].")
        self.log, self.evidence, self.writer, self.cache = log, evidence, writer, cache
        self.n, self.temperature, self.seed, self.most, self.hindsight = n, temperature, seed, most, hindsight
        self.template = (Teacher if hindsight else Foresight)(log, evidence, TeacherBias(0, 0), seed)
        train = log.split("train")
        rows = np.random.default_rng([seed, 7]).choice(len(train), min(shots + 1, len(train)), replace=False)
        self.shots, self._examples = shots, [train[i] for i in rows]
        self._of_category: dict[str | None, set[str]] = {}
        for item in log.items:
            self._of_category.setdefault(item.category, set()).update(item.facets())

    def messages(self, request: SearchRequest) -> list[Message]:
        """The whole chat before the model's turn. Raises `CRSError` unless the request is a training request."""
        others = [r for r in self._examples if r.id != request.id][: self.shots]
        said = [(self.facts(r), self.template.write(r)) for r in others]
        chat = [m for q, a in said for m in ({"role": "user", "content": q}, {"role": "assistant", "content": a})]
        return [*chat, {"role": "user", "content": self.facts(request)}]

    def facts(self, request: SearchRequest) -> str:
        """What the template teacher of this recipe may see, in words. Typed text is escaped."""
        if request.split != "train":
            raise CRSError(f"request {request.id} is a {request.split} request; give a teacher training requests only.")
        seen = self.evidence.seen(request)
        lines = [f'The shopper typed "{escape(request.query)}".'] if request.query.strip() else []
        if request.timed:
            where = f" in {escape(request.place)}" if request.place else ""
            lines.append(f"It is {when(request.time).split()[0]}{where}.")
        profile = [f"{_name(k)} {escape(v)}" for k, v in self.log.users[request.user].profile.items()]
        lines += [f"The profile says: {', '.join(profile)}."] if profile else []
        most = [f"{_pair(p)} ({seen.clicks[p]})" for p in seen.by_key["history"].items()]
        lines += [f"Past clicks: {', '.join(most)}."] if most else []
        last = [_pair(p) for p in seen.by_key["last"].items()]
        lines += [f"The last click: {', '.join(last)}."] if last else []
        lines.append("Earlier searches with the same facts led to:")
        lines += [
            f"- {_pair((k, v))}: {100 * p:.0f} of 100 ({_cite(fact)})" for k, v, fact, p in self._counted(request)
        ]
        if self.hindsight:
            facets = self.log.items[request.target].facets()
            lines.append(TOLD.format(item=", ".join(map(_pair, facets.items()))))
        return "\n".join([*lines, ASK.format(least=round(100 * self.template.min_support))])

    def _counted(self, request: SearchRequest) -> Iterator[tuple[str, str, Fact | None, float]]:
        """(facet, value, best fact, chance): of the clicked item's values with hindsight, else of the likeliest."""
        if self.hindsight:
            values = self.log.items[request.target].facets()
        else:
            likeliest = {k: self.evidence.likeliest(request, k, held_out=True)[0] for k in facet_values(self.log)}
            able = self._of_category.get(likeliest.get("category"), likeliest)
            values = {k: v for k, v in likeliest.items() if v is not None and k in able}
        for key, value in values.items():
            yield key, value, *self.evidence.support(request, key, value, held_out=True)

    def ask(self, requests: Sequence[SearchRequest]) -> list[Answer]:
        """n drafts a request; those that the cache knows are not written again."""
        with Drafts(self.cache) as known:
            out = []
            for request in tqdm(requests, desc=f"drafts of {self.writer.name}", mininterval=5):
                chat = self.messages(request)
                key = self._key(request, chat)
                if key not in known:
                    # A seed of its own for every request: the order of requests plays no part.
                    seed = int(np.random.default_rng([self.seed, request.id]).integers(2**31))
                    known.add(key, self.writer.answer(chat, self.n, self.temperature, seed, self.most))
                out.append(known[key])
            return out

    def _key(self, request: SearchRequest, chat: list[Message]) -> str:
        by = [self.writer.name, chat, self.seed, request.id, self.temperature, self.n, self.most]
        return hashlib.sha256(json.dumps(by).encode()).hexdigest()


def _name(key: str) -> str:
    return escape(key.replace("_", " "))


def _pair(pair: tuple[str, str]) -> str:
    return f"{_name(pair[0])} {escape(pair[1])}"


def _cite(fact: Fact | None) -> str:
    names = {"query": "the query", "season": "the month", "history": "past clicks", "last": "the last click"}
    return names.get(fact[0]) or f"the profile: {_name(fact[1][0])}" if fact else "nothing"


# -- drafts on disk ---------------------------------------------------------------------------------


class Drafts(dict):
    """key -> answer, in a JSON-lines file: one request a line, written as soon as its drafts are there.

    So a kill costs the request that was being written, at most. A last line without its end is such a request, and is
    dropped. Raises `CRSError` for any other damaged line, naming it, and while another process writes the file.
    """

    def __init__(self, path: Path | None):
        super().__init__()
        self.path, self._lock = path, None

    def __enter__(self) -> Drafts:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(f"{self.path}.lock", timeout=0)
            try:
                self._lock.acquire()
            except Timeout:
                raise CRSError(f"{self.path}: another process writes drafts here; wait for it.") from None
            try:
                self._read()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(self, *_) -> None:
        if self._lock:
            self._lock.release()

    def add(self, key: str, answer: Answer) -> None:
        """Kept here and on disk."""
        self[key] = answer
        if self.path is not None:
            line = json.dumps({"key": key, "answer": asdict(answer)})  # ASCII, so no line end but ours
            with self.path.open("ab") as f:
                f.write(line.encode() + b"\n")
                f.flush()
                os.fsync(f.fileno())

    def _read(self) -> None:
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for row, line in enumerate(whole.splitlines(), 1):
            try:
                found = _LINE.validate_json(line)
                self[found.key] = found.answer
            except ValidationError as e:
                why = e.errors()[0]["msg"]
                remedy = "delete that row, and its drafts are written again."
                raise CRSError(f"{self.path}, row {row}: damaged ({why[:120]}); {remedy}") from None
        if len(whole) < len(data):
            with self.path.open("r+b") as f:
                f.truncate(len(whole))


@dataclass(frozen=True)
class _Line:
    key: str
    answer: Answer


_LINE = TypeAdapter(_Line)

# -- which are kept ---------------------------------------------------------------------------------


class Judge:
    """Says of each draft `KEPT`, or why not (a key of `REASONS`).

    `template`: the template teacher of the recipe. A claim is supported when some fact of the context gives it
    `min_support`, or when `template` would state it (the category is always stated). `marks`: texts that no draft may
    hold, besides the control tokens and IDs of `codec`. `beam`: None to leave the click out of it altogether.
    """

    def __init__(self, template: Teacher, codec: Codec, beam: Beam | None, marks: Sequence[str] = ()):
        self.template, self.codec, self.beam, self.marks = template, codec, beam, marks
        self.parser = Parser(facet_values(template.log))
        self._citations = Citations(template.log, self.parser)
        self._barred = {*codec.not_words().tolist(), codec.end_think}

    def verdicts(self, requests: Sequence[SearchRequest], drafts: Sequence[Sequence[Draft]]) -> list[list[str]]:
        """One word a draft, in their order."""
        out = [[self._of_words(r, d) for d in of] for r, of in zip(requests, drafts, strict=True)]
        if self.beam is None:
            return out
        left = [(i, j) for i, of in enumerate(out) for j, verdict in enumerate(of) if verdict == KEPT]
        for n in range(max((j for _, j in left), default=-1) + 1):  # a beam takes one text a request
            at = [i for i, j in left if j == n]
            asked = [requests[i] for i in at]
            lists = self.beam(asked, [drafts[i][n].text for i in at]) if at else []
            for i, request, found in zip(at, asked, lists, strict=True):
                out[i][n] = KEPT if request.target in found.tolist() else "missed"
        return out

    def _of_words(self, request: SearchRequest, draft: Draft) -> str:
        text = draft.text
        if self._barred & set(self.codec.encode(text)) or any(mark in text for mark in self.marks):
            return "token"
        if not draft.closed or not re.search(r"[.!?]$", text):
            return "unfinished"
        stated = self.parser.stated(text)
        if not stated:
            return "nothing"
        if not all(self._supported(request, *claim) for claim in stated.items()):
            return "unsupported"
        if repeats(text):
            return "repeated"
        # Wrong counts too, which `audit` forgives a student: a teacher has every past click before it.
        false = any(wrong for wrong, _ in self._citations.check(text, request).values())
        return "contradiction" if false or contradicts_itself(text, self.parser) else KEPT

    def _supported(self, request: SearchRequest, key: str, value: str) -> bool:
        chance = self.template.evidence.support(request, key, value, held_out=True)[1]
        return chance >= self.template.min_support or self.template.claims(request).get(key) == value


def shares(verdicts: Sequence[Sequence[str]]) -> dict[str, int]:
    """`KEPT` and every reason -> how many drafts."""
    found = Counter(v for of in verdicts for v in of)
    return {name: found[name] for name in (KEPT, *REASONS)}


def lessons(
    teacher: ChatTeacher, judge: Judge, requests: Sequence[SearchRequest], seed: int = 0
) -> list[tuple[SearchRequest, str]]:
    """(request, text) pairs to distil from, with `tasks.reasoned`: of each request one kept draft, drawn at random;
    requests of which none was kept are left out."""
    drafts = [answer.drafts for answer in teacher.ask(requests)]
    out, rng = [], np.random.default_rng(seed)
    for request, of, verdicts in zip(requests, drafts, judge.verdicts(requests, drafts), strict=True):
        good = sorted({d.text for d, verdict in zip(of, verdicts, strict=True) if verdict == KEPT})
        if good:
            out.append((request, good[rng.integers(len(good))]))
    return out
