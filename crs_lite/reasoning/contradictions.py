"""Does a text contradict itself, or the context it cites? (our choice; the paper names the fault and does not count it)

A sentence may *conclude* ("so look for the Graypeak brand") and may *cite* ("the last click was a parka"). Conclusions
are what follows a verb of concluding; citations are recognised by a few words each and held against the request.
Nothing here knows how our teacher builds its sentences: what is not recognised is not judged.
"""

from __future__ import annotations

import re
from collections import Counter

from crs_lite.context import MONTHS, escape, when
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.reasoning.facets import QUOTED, SENTENCE_END, Parser

N_PAST = 10
_CONCLUDE = re.compile(
    r"\b(?:look for|expect|go for|choose|pick|calls? for|points? to|suggests?|means|stay with|keep to)\b", re.I
)
_LAST = re.compile(r"\b(?:last|latest) click|\bjust now the click|\bmost recently|\b(?:last|just) clicked", re.I)
_PAST = re.compile(r"\brecent clicks|\bhistory leans|\bpast clicks|\b(?:clicked|chosen) (?:once|twice|\d+ times)", re.I)
_PROFILE = re.compile(
    r"\bprofile\b|\bon file\b|\bwe know\b|\baccount\b|\bown(?:s|ed|ing)\b|\bhaving\b|\bdevices\b|\bat home\b", re.I
)
_MONTH = re.compile(rf"\b({'|'.join(MONTHS)})\b")
_TIMES = re.compile(
    r"\b(?:clicked|chosen|chose|choose)\b.{0,500}?\b(once|twice|(\d{1,9}) times)|^(\d{1,9}) of the|, (\d{1,9}) in all",
    re.I,
)
KINDS = ("query", "season", "profile", "history", "last", "count")


def sentences(text: str) -> list[str]:
    """A full stop inside double quotes ends nothing."""
    masked = QUOTED.sub(lambda q: re.sub(r"[.!?]", "_", q[0]), text)
    out, start = [], 0
    for end in SENTENCE_END.finditer(masked):
        out.append(text[start : end.start()].strip())
        start = end.end()
    return [s for s in [*out, text[start:].strip()] if s]


def conclusions(text: str, parser: Parser) -> list[tuple[str, str]]:
    """(key, value) named after a verb of concluding, sentence by sentence."""
    found = []
    for sentence in sentences(text):
        verb = _CONCLUDE.search(QUOTED.sub(lambda q: "_" * len(q[0]), sentence))
        if verb:
            found += parser.mentions(sentence[verb.end() :])
    return found


def contradicts_itself(text: str, parser: Parser) -> bool:
    """Whether two different values of one key are concluded."""
    concluded = conclusions(text, parser)
    return len({(k, v.lower()) for k, v in concluded}) > len({k for k, _ in concluded})


class Context:
    """What may truly be said of one request: its words, month, place, profile, and the facets clicked before."""

    def __init__(self, log: SearchLog, request: SearchRequest):
        self.month = when(request.time).split()[0] if request.timed else ""
        self.query = escape(request.query).lower()
        profile = log.users[request.user].profile
        self.own = {part.lower() for text in profile.values() for part in text.split(", ")}
        self.place = (request.place or "").lower()
        clicked = [item for past in log.history(request, N_PAST) for item in past.clicked]
        self.clicks = Counter((k, v.lower()) for item in clicked for k, v in log.items[item].facets().items())
        self.last = {(k, v.lower()) for k, v in log.items[clicked[-1]].facets().items()} if clicked else set()


class Citations:
    """Counts true and false citations against one log."""

    def __init__(self, log: SearchLog, parser: Parser):
        self.log, self.parser = log, parser
        self.known: dict[str, set[str]] = {}  # profile field -> all of its values in this log
        for user in log.users:
            for field, text in user.profile.items():
                self.known.setdefault(field, set()).update(part.lower() for part in text.split(", "))

    def check(self, text: str, request: SearchRequest) -> dict[str, tuple[int, int]]:
        """Kind of fact -> (false, cited)."""
        context, out = Context(self.log, request), {kind: [0, 0] for kind in KINDS}
        for sentence in sentences(text):
            for kind, true in self._cited(sentence, context):
                out[kind][0] += not true
                out[kind][1] += 1
        return {kind: (false, cited) for kind, (false, cited) in out.items()}

    def _cited(self, sentence: str, context: Context) -> list[tuple[str, bool]]:
        """(kind, is it so) of everything recognised as cited in one sentence."""
        out = []
        plain = QUOTED.sub('""', sentence)
        named = [(k, v.lower()) for k, v in self.parser.mentions(sentence)]
        last, past = _LAST.search(plain), _PAST.search(plain)
        fact = _CONCLUDE.split(sentence)[0].lower()
        named_field = _CONCLUDE.split(plain)[0].lower()
        own = _PROFILE.search(plain) or any(re.search(rf"\b{re.escape(field)}\b", named_field) for field in self.known)
        if not (last or past or own):
            out += [("query", quoted[1:-1].lower() in context.query) for quoted in QUOTED.findall(sentence)]
        month = _MONTH.search(plain)
        if month:
            out.append(("season", month[1] == context.month))
        if last and named:
            out.append(("last", named[0] in context.last))
        elif past and named:
            count = _TIMES.search(plain)
            said = count and next(g for g in (count[2], count[3], count[4], count[1]) if g)
            n = {"once": 1, "twice": 2}.get(said.lower()) or int(said) if said else None
            out.append(("history", named[0] in context.clicks))
            if n is not None and named[0] in context.clicks:
                out.append(("count", context.clicks[named[0]] == n))
        if own and not (last or past):
            field_values = {v for values in self.known.values() for v in values}
            here = [v for v in field_values if v and v in fact]
            said = [v for v in here if re.search(rf"(?<!\w){re.escape(v)}(?!\w)", fact)]
            if said:
                out.append(("profile", max(said, key=len) in context.own))
        return out
