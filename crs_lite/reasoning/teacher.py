"""A teacher that explains a click in sentences, from the log alone (paper: distilled start; the rules are ours).

The paper's teacher is a large language model. Ours counts: a facet of the clicked item may be stated when some fact of
the context made that value likely in the training split, and the sentence cites that fact. Its two faults are dials.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crs_lite.context import escape, when
from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.reasoning.facets import Parser, facet_values

Rng = np.random.Generator
Fact = tuple[str, object]  # (type, what was seen); the types are query, season, profile, history, last
SMOOTHING = 3.0  # pseudo-counts at the overall share: a fact seen once cannot be sure of anything
N_PAST = 10
MOST_CLAIMS = 5
OWNED = ("device", "devices", "owned", "owns")  # profile fields that name things the shopper has


@dataclass(frozen=True)
class Seen:
    """Facts of one context: those for every key (the query first), those for one key, and past clicks by facet."""

    general: list[Fact]
    by_key: dict[str, dict[str, str]]
    clicks: Counter[tuple[str, str]]

    def of(self, key: str) -> list[Fact]:
        """Every fact that speaks of a facet."""
        return self.general + [(kind, (key, value[key])) for kind, value in self.by_key.items() if key in value]


class Evidence:
    """P(the target's facet has this value | a fact of the context), counted over the training split.

    Facts: ("query", text); ("season", (place or None, month)); ("profile", (field, value)), one for each part of a
    value with commas; ("history", (key, value)), the key's most frequent value among the items clicked in the last 10
    interactions (ties: the most recent); ("last", (key, value)) of the last clicked item. The last two speak of their
    own key only. Shares are smoothed towards the value's overall share among training targets that have the key.
    """

    def __init__(self, log: SearchLog):
        self.log, self._kept = log, None
        self._facets = [item.facets() for item in log.items]
        self._counts: defaultdict[tuple[Fact, str], Counter] = defaultdict(Counter)
        self._overall: defaultdict[str, Counter] = defaultdict(Counter)
        for request in log.split("train"):
            seen = self.seen(request)
            for key, value in self._facets[request.target].items():
                self._overall[key][value] += 1
                for fact in seen.of(key):
                    self._counts[fact, key][value] += 1

    def support(
        self, request: SearchRequest, key: str, value: str, held_out: bool = False
    ) -> tuple[Fact | None, float]:
        """The fact of this context with the highest P(value | fact), and that probability in [0, 1]; None and 0 for a
        context that tells nothing.

        `held_out` leaves the request's own click out of the counts (training requests only), so that a query typed
        once does not explain itself; otherwise `request.clicked` plays no part.
        """
        facts = self.seen(request).of(key)
        if not facts:
            return None, 0.0
        chances = [self._chance(request, fact, key, value, held_out) for fact in facts]
        best = int(np.argmax(chances))
        return facts[best], chances[best]

    def likeliest(self, request: SearchRequest, key: str, held_out: bool = False) -> tuple[str | None, float]:
        """The value of a facet that some fact of this context makes likeliest, and that probability; None if nothing is
        known of the facet. The click itself plays no part, with `held_out` not even in the counts."""
        best: tuple[float, str | None] = (0.0, None)
        for fact in self.seen(request).of(key):
            for value, _ in self._counts.get((fact, key), Counter()).most_common(2):  # one of them may be its own click
                p = self._chance(request, fact, key, value, held_out)
                if p > best[0]:
                    best = p, value
        return best[1], best[0]

    def _chance(self, request: SearchRequest, fact: Fact, key: str, value: str, held_out: bool) -> float:
        """P(value | fact), smoothed; with `held_out` without the request's own click."""
        own = self._facets[request.target].get(key) if held_out and request.split == "train" else None

        def share(counts: Counter, prior: float, weight: float) -> float:
            mine = counts[own] > 0  # this request's own click is among the counts and must not count
            n = counts.total() - mine + weight
            return (counts[value] - (mine and own == value) + weight * prior) / n if n else 0.0

        prior = share(self._overall.get(key, Counter()), 0.0, 0.0)
        return share(self._counts.get((fact, key), Counter()), prior, SMOOTHING)

    def seen(self, request: SearchRequest) -> Seen:
        """The facts of a request's context (the last answer is kept: one text asks many times)."""
        if self._kept is None or self._kept[0] is not request:
            self._kept = (request, self._see(request))
        return self._kept[1]

    def _see(self, request: SearchRequest) -> Seen:
        general: list[Fact] = [("query", request.query)] if request.query.strip() else []
        if request.timed:
            general.append(("season", (request.place, when(request.time).split()[0])))
        for name, text in self.log.users[request.user].profile.items():
            general += [("profile", (name, part)) for part in text.split(", ") if part]
        clicked = [item for past in self.log.history(request, N_PAST) for item in past.clicked]
        clicks: Counter[tuple[str, str]] = Counter()
        latest: dict[tuple[str, str], int] = {}
        for turn, item in enumerate(clicked):
            for pair in self._facets[item].items():
                clicks[pair] += 1
                latest[pair] = turn
        most = dict(sorted(clicks, key=lambda pair: (clicks[pair], latest[pair])))  # of one key, the last pair stays
        return Seen(general, {"history": most, "last": self._facets[clicked[-1]] if clicked else {}}, clicks)


@dataclass(frozen=True)
class TeacherBias:
    """The two faults of distillation; `TeacherBias(0, 0)` is the unbiased teacher.

    `prior`: probability, for each stated facet but the category, that the teacher states the value it expects from the
    world at large (the catalogue's most common value of that key, whatever this shop's shoppers click) and still
    cites a fact: *data-prior bias*. `overreach`: probability that a text adds one true facet that no fact supports,
    known to the teacher in hindsight and only guessable by a student: *capacity bias*.
    Raises `CRSError` for a probability outside [0, 1].
    """

    prior: float = 0.15
    overreach: float = 0.15

    def __post_init__(self):
        if not (0 <= self.prior <= 1 and 0 <= self.overreach <= 1):
            raise CRSError(f"teacher bias {self.prior}, {self.overreach}: both are probabilities; keep them in 0 to 1.")


# Wording. A slot that holds a value never starts a sentence: values stand verbatim and cannot be capitalised.
FACTS = {
    "query": (
        "the query is {q}",
        "the shopper typed {q}",
        "someone asks for {q}",
        "the request reads {q}",
        "the words are {q}",
    ),
    "season": (
        "it is {month}{where}",
        "it is {month} now{where}",
        "the calendar{where} says {month}",
        "the month is {month}{where}",
        "the season is {month}{where}",
    ),
    "profile": (
        "the profile lists {field} {v}",
        "the profile says {field} {v}",
        "on file is {field} {v}",
        "we know {field} {v}",
        "the account shows {field} {v}",
    ),
    "owned": (
        "the shopper owns {v}",
        "the profile lists {v}",
        "among the devices is {v}",
        "there is {v} at home",
        "already owned is {v}",
    ),
    "history": (
        "{n} of the recent clicks went to {np}",
        "recent clicks favour {np}, {n} in all",
        "the history leans to {np}, clicked {times}",
        "past clicks chose {np} {times}",
        "clicked {times} was {np}",
    ),
    "last": (
        "the last click was {np}",
        "the last click went to {np}",
        "just now the click was {np}",
        "the latest click chose {np}",
        "most recently the click went to {np}",
    ),
}
PLAIN = ("look for {c}", "expect {c}", "go for {c}", "choose {c}", "pick {c}")
CONCLUDE = (*PLAIN, "this calls for {c}", "that points to {c}", "that suggests {c}")
SO, BUT = (", so ", "; ", ": ", ". So ", ". "), (", but ", ", yet ", "; still, ", ". But ", ". Still, ")
VERBS = ("calls for", "suggests", "means", "points to")
SUBJECT = {
    "query": ("{q}", "the query {q}"),
    "season": ("{month}{where}", "now {month}{where}"),
    "profile": ("{field} {v}", "having {field} {v}"),
    "owned": ("owning {v}", "having {v}"),
}
FUSED = {  # fact and conclusion in one clause, the shortest wording; for past clicks, where both name the same value
    kind: [f"{subject} {verb} {{c}}" for subject in subjects for verb in VERBS] for kind, subjects in SUBJECT.items()
} | {
    "history": (
        "stay with {c}, clicked {times} lately",
        "keep to {c}, clicked {times} before",
        "expect {c} again, clicked {times}",
        "look for {c}, chosen {times} lately",
        "{n} of the recent clicks had {c}",
    ),
    "last": (
        "stay with {c}, the last click",
        "keep to {c}, as last clicked",
        "look for {c}, like the latest click",
        "expect {c} again, as just clicked",
        "the last click says {c}",
    ),
}
WORDS = {  # facet key -> how a value of it stands in a sentence
    "category": ("category {}", "the {} category"),
    "brand": ("{}", "brand {}", "the brand {}"),
    "weather": ("{}", "gear for {}"),
    "fits": ("a fit for {}", "something to fit {}"),
    "audience": ("something for {}",),
    "style": ("the {} style", "style {}"),
    "range": ("the {} range", "range {}"),
    "topic": ("topic {}", "the topic {}"),
}


class Teacher:
    """Writes reasoning for training requests of one log; the same text for the same (seed, request).

    A claim needs a fact with P(value | fact) >= `min_support`. Draws of the bias and of the wording are independent.
    """

    def __init__(self, log: SearchLog, evidence: Evidence, bias=TeacherBias(), seed: int = 0, min_support: float = 0.4):
        self.log, self.evidence, self.bias, self.seed, self.min_support = log, evidence, bias, seed, min_support
        self._parser = Parser(facet_values(log))
        found = Counter(pair for item in log.items for pair in item.facets().items())
        self.prior_value = dict(sorted(found, key=lambda pair: (found[pair], pair)))  # of one key, the last pair stays

    def claims(self, request: SearchRequest) -> dict[str, str]:
        """The facets that the teacher states, in `facets()` order: the category, then at most 4 supported ones, biased.

        Reads the target. Raises `CRSError` unless the request is a training request.
        """
        return self._biased_claims(request)[0]

    def write(self, request: SearchRequest) -> str:
        """The reasoning text of a training request. Raises `CRSError` for any other."""
        claims, cited = self._biased_claims(request)
        return self.render(request, claims, np.random.default_rng((self.seed, request.id, 1)), cited)

    def _biased_claims(self, request: SearchRequest) -> tuple[dict[str, str], frozenset[str]]:
        """Claims, and the keys that cite a fact although none supports them."""
        if request.split != "train":
            raise CRSError(f"request {request.id} is a {request.split} request; give a teacher training requests only.")
        rng = np.random.default_rng((self.seed, request.id, 0))
        facets = self.log.items[request.target].facets()
        support = {k: self.evidence.support(request, k, v, held_out=True)[1] for k, v in facets.items()}
        said = [k for k in facets if k == "category" or support[k] >= self.min_support][:MOST_CLAIMS]
        unsupported = [k for k in facets if k != "category" and support[k] < self.min_support]
        wrong = frozenset(k for k in said if rng.random() < self.bias.prior and k != "category")
        if rng.random() < self.bias.overreach and unsupported:
            said.append(unsupported[rng.integers(len(unsupported))])
        return {k: self.prior_value[k] if k in wrong else v for k, v in facets.items() if k in said}, wrong

    # -- wording -------------------------------------------------------------------------------

    def render(self, request: SearchRequest, claims: dict[str, str], rng: Rng, cited: frozenset = frozenset()) -> str:
        """Short sentences, each citing a fact of this context and concluding values; `request.clicked` plays no part.

        A claim below `min_support` is stated plainly, unless its key is in `cited`. `Parser.stated` gives the claims
        back: wordings that a value of the catalogue would garble are drawn again.
        """
        groups: list[tuple[Fact | None, list[str]]] = []
        for key, value in claims.items():
            fact, p = self.evidence.support(request, key, value)
            fact = fact if p >= self.min_support or key in cited else None
            mate = next((g for g in groups if g[0] == fact and len(g[1]) < 3), None)
            if mate and (fact or rng.random() < 0.5):
                mate[1].append(key)
            else:
                groups.append((fact, [key]))
        if len(groups) > 1 and rng.random() < 0.4:
            i = rng.integers(len(groups) - 1)
            groups[i : i + 2] = groups[i : i + 2][::-1]
        general = self.evidence.seen(request).general
        if general and (not groups or groups == [(None, list(claims))]):
            groups = [(general[0], list(claims))]  # a bare statement is no reasoning: cite what was asked
        return self._clean(claims, lambda: [self._sentence(request, g, claims, rng, len(groups)) for g in groups])

    def describe(self, claims: dict[str, str], rng: Rng) -> str:
        """One or two sentences that state the values in the words of a conclusion, citing nothing; "" for no claims."""
        if not claims:
            return ""
        keys = list(claims)
        in_two = len(keys) > 3 or (len(keys) > 1 and rng.random() < 0.3)
        cut = int(rng.integers(1, len(keys))) if in_two else len(keys)
        parts = (keys[:cut], keys[cut:]) if cut < len(keys) else (keys,)
        return self._clean(claims, lambda: [self._plainly(part, claims, CONCLUDE, rng) for part in parts])

    def _clean(self, claims: dict[str, str], draw: Callable[[], list[str]]) -> str:
        """The first drawn text that states just the claims; else the barest wording if it does; else the last drawn."""
        known = {k: forms[k] for k, v in claims.items() if k in (forms := self._parser.find(v))}
        for _ in range(12):
            text = " ".join(draw())
            if self._parser.stated(text) == known:
                return text
        bare = " ".join(f"{escape(k.replace('_', ' ')).capitalize()}: {escape(v)}." for k, v in claims.items())
        return bare if self._parser.stated(bare) == known else text

    def _words(self, key: str, value: str, rng: Rng) -> str:
        name = escape(key.replace("_", " "))
        options = WORDS.get(key, (f"{name} {{}}", f"{{}} as {name}"))
        if len(self._parser.find(value)) > 1:  # the name must stand beside a value that several keys share
            options = (f"{name} {{}}",)
        elif value.lower().endswith(name.lower()):  # no "mid-range range"
            options = [o for o in options if name not in o] or ("{}",)
        return _pick(options, rng).replace("{}", escape(value))

    def _list(self, keys: list[str], claims: dict[str, str], rng: Rng) -> str:
        *words, last = [self._words(key, claims[key], rng) for key in keys]
        return (", ".join(words) + " and " if words else "") + last

    def _plainly(self, keys: list[str], claims: dict[str, str], wording: Sequence[str], rng: Rng) -> str:
        return _capital(_pick(wording, rng).format(c=self._list(keys, claims, rng))) + "."

    def _sentence(self, request: SearchRequest, group: tuple, claims: dict[str, str], rng: Rng, n: int) -> str:
        """A fact and what follows from it; in two sentences where a text of `n` groups has room."""
        fact, keys = group
        if fact is None:
            return self._plainly(keys, claims, PLAIN, rng)
        kind, slots = self._slots(request, fact, keys, rng)
        if not keys:
            return _capital(_pick(FACTS[kind], rng).format(**slots)) + "."
        slots["c"] = self._list(keys, claims, rng)
        other = kind in ("history", "last") and fact[1][1] != claims[keys[0]]
        if n > 1 and not other and rng.random() < 0.7:
            return _capital(_pick(FUSED[kind], rng).format(**slots)) + "."
        join = _pick([j for j in (BUT if other else SO) if (n > 1 if j[0] != "." else n < 3)], rng)
        conclusion = _pick(CONCLUDE, rng)
        text = _pick(FACTS[kind], rng) + join + (_capital(conclusion) if join == ". " else conclusion) + "."
        return _capital(text.format(**slots))

    def _slots(self, request: SearchRequest, fact: Fact, keys: list[str], rng: Rng) -> tuple[str, dict[str, str]]:
        """The wording that fits the fact, and what stands in its slots."""
        kind, seen = fact

        def name(text: str) -> str:  # in quotes when it would read as a statement about another key
            text = escape(text, 40)
            return text if {k for k, _ in self._parser.mentions(text)} <= set(keys) else f'"{text}"'

        if kind == "query":
            return kind, {"q": '"' + escape(" ".join(seen.split()[:5]), 40) + '"'}
        if kind == "season":
            return kind, {"month": name(seen[1]), "where": f" in {name(seen[0])}" if seen[0] else ""}
        if kind == "profile":
            kind = "owned" if seen[0].lower() in OWNED else kind
            return kind, {"field": name(seen[0].replace("_", " ")), "v": name(seen[1])}
        count = self.evidence.seen(request).clicks[seen]
        times = {1: "once", 2: "twice"}.get(count, f"{count} times")
        return kind, {"np": self._words(*seen, rng), "n": str(count), "times": times}


def _pick(options: Sequence[str], rng: Rng) -> str:
    return options[rng.integers(len(options))]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
