"""The teacher, on a shop whose rules are known (city -> brand, month -> weather, phone -> fits) and on a bare one."""

import re
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import toy_log

from crs_lite.errors import CRSError
from crs_lite.logs import Item, SearchLog, SearchRequest, User
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.foresight import Foresight
from crs_lite.reasoning.teacher import FACTS, SMOOTHING, Evidence, Teacher, TeacherBias

BRAND = {"Oslo": "Nordfell", "Madrid": "Solano"}
NONE = TeacherBias(0, 0)


def shop(n: int = 600, seed: int = 0) -> SearchLog:
    """ "coat" -> parkas, "case" -> phone cases; 80 % train. `style` follows nothing but the shopper's own taste."""
    rng = np.random.default_rng(seed)
    of_parkas = product((*BRAND.values(), "Volta"), ("cold weather", "mild weather"), ("sporty", "classic"))
    of_cases = product((*BRAND.values(), "Volta"), ("iPhone 15", "Galaxy S24", "phone"), ("sporty", "classic", "bold"))
    items = [dict(category="parkas", brand=b, attributes={"weather": w, "style": s}) for b, w, s in of_parkas]
    items += [dict(category="phone cases", brand=b, attributes={"fits": f, "style": s}) for b, f, s in of_cases]
    items = [Item(id=i, key=str(i), title="x", **kw) for i, kw in enumerate(items)]
    users = []
    for u in range(60):
        profile = {
            "city": list(BRAND)[u % 2],
            "devices": ("iPhone 15, Volta kettle", "Galaxy S24")[u % 3 == 0],
            "age_group": "30s",
        }
        users.append(User(id=u, key=str(u), profile=profile))
    rows = []
    for i in range(n):
        u, month = int(rng.integers(60)), int(rng.choice([1, 7]))
        case, style = rng.random() < 0.5, ("sporty", "classic")[u // 2 % 2]
        place = users[u].profile["city"] if rng.random() < 0.9 else None
        want = {"brand": BRAND[users[u].profile["city"]], "style": style if rng.random() < 0.9 else "classic"}
        want |= (
            {"fits": users[u].profile["devices"].split(", ")[0]}
            if case
            else {"weather": "cold weather" if month == 1 else "mild weather"}
        )
        target = next(i.id for i in items if want.items() <= i.facets().items())
        when = int(datetime(2020 + i, month, 3, 10, tzinfo=UTC).timestamp())
        rows.append(
            SearchRequest(
                id=i,
                user=u,
                time=when,
                place=place,
                query="case" if case else "coat",
                clicked=(target,),
                split="train" if i < 0.8 * n else "valid" if i < 0.9 * n else "test",
            )
        )
    return SearchLog("shop", items, users, rows)


def amazon(n: int = 200) -> SearchLog:
    """Brand and topic only: no category, place or profile. Hostile names: template words, shared and nested values."""
    brands = ["3M", "expect", "Look", "The Click", 'Tuff 5" <b>', "Tape", "uxcell", "UXCELL", "May", "{np}", "Ä & Ö"]
    topics = ["Tape", "Tape Measure", "Drill", "Go", "means"]
    items = [
        Item(id=i, key=str(i), title="x", brand=brands[i % 11], attributes={"topic": topics[i % 5]}) for i in range(55)
    ]
    users = [User(id=u, key=str(u)) for u in range(7)]
    rows = []
    for i in range(n):
        target = i * i % 55
        query, split = f"{brands[target % 11]} x", "train" if i < 0.9 * n else "test"
        rows.append(SearchRequest(id=i, user=i % 7, time=86400 * 20 * i, query=query, clicked=(target,), split=split))
    return SearchLog("amazon", items, users, rows)


SHOP, AMAZON = shop(), amazon()
TEACHERS = {log.name: Teacher(log, Evidence(log), NONE) for log in (SHOP, AMAZON)}
PARSERS = {log.name: Parser(facet_values(log)) for log in (SHOP, AMAZON)}
SENTENCE = re.compile(r'(?<=[.])\s+(?=[A-Z0-9"])')


def claims_of(log: SearchLog, n: int):
    """Hypothesis: any claims over the log's facets, true or not."""
    keys = facet_values(log)
    return st.dictionaries(st.sampled_from(list(keys)), st.integers(0, 50), min_size=n).map(
        lambda drawn: {k: keys[k][i % len(keys[k])] for k, i in drawn.items()}
    )


# -- evidence ----------------------------------------------------------------------------------


def brute_share(log: SearchLog, key: str, value: str, holds) -> float:
    """Smoothed P(value | holds(request)) by scanning the training split."""
    train = [(r, log.items[r.target].facets()) for r in log.split("train")]
    train = [(r, f[key]) for r, f in train if key in f]
    prior = np.mean([v == value for _, v in train])
    hits = [v == value for r, v in train if holds(r)]
    return (sum(hits) + SMOOTHING * prior) / (len(hits) + SMOOTHING)


def majority(log: SearchLog, request: SearchRequest, key: str) -> str | None:
    values = [log.items[i].facets().get(key) for past in log.history(request, 10) for i in past.clicked]
    values = [v for v in values if v]
    most = max(Counter(values).values(), default=0)
    return next((v for v in reversed(values) if values.count(v) == most), None)


def last(log: SearchLog, request: SearchRequest, key: str) -> str | None:
    past = log.history(request, 1)
    return log.items[past[0].clicked[-1]].facets().get(key) if past else None


def month(request: SearchRequest) -> str:
    return datetime.fromtimestamp(request.time, UTC).strftime("%B")


def parts(log: SearchLog, request: SearchRequest) -> set[tuple[str, str]]:
    """(field, part) of the shopper's profile."""
    return {(f, part) for f, text in log.users[request.user].profile.items() for part in text.split(", ")}


def chances(log: SearchLog, request: SearchRequest, key: str, value: str) -> dict:
    """Fact of the context -> the smoothed share of the value behind it, each by a scan of the training split."""
    place = (request.place, month(request))
    holds = {
        ("query", request.query): lambda r: r.query == request.query,
        ("season", place): lambda r: (r.place, month(r)) == place,
    }
    holds |= {
        ("profile", part): partial(lambda r, part: part in parts(log, r), part=part) for part in parts(log, request)
    }
    for kind, fn in (("history", majority), ("last", last)):
        if seen := fn(log, request, key):
            holds[kind, (key, seen)] = partial(lambda r, fn, seen: fn(log, r, key) == seen, fn=fn, seen=seen)
    return {fact: brute_share(log, key, value, check) for fact, check in holds.items()}


@pytest.mark.parametrize("log", [SHOP, AMAZON], ids=lambda log: log.name)
def test_support_is_the_best_of_the_facts_by_brute_force(log):
    evidence, kinds = TEACHERS[log.name].evidence, set()
    for request in log.requests[5 :: len(log.requests) // 20]:
        for key, value in log.items[request.target].facets().items():
            found = chances(log, request, key, value)
            fact, p = evidence.support(request, key, value)
            assert p == pytest.approx(max(found.values())) and found[fact] == pytest.approx(p)
            kinds.add(fact[0])
    assert len(kinds) >= 4 or log is AMAZON


def test_held_out_leaves_the_own_click_out():
    evidence = TEACHERS["shop"].evidence
    for request in SHOP.split("train")[::120]:
        rest = SearchLog(
            "rest",
            SHOP.items,
            SHOP.users,
            [r if r.id != request.id else r.model_copy(update={"split": "valid"}) for r in SHOP.requests],
        )
        for key, value in SHOP.items[request.target].facets().items():
            assert evidence.support(request, key, value, held_out=True)[1] == pytest.approx(
                Evidence(rest).support(request, key, value)[1]
            )


def test_without_a_clock_there_is_no_season():
    evidence, request = TEACHERS["shop"].evidence, SHOP.requests[-1]
    untimed = request.model_copy(update={"timed": False})
    there, here = (dict(evidence.seen(r).general) for r in (request, untimed))
    assert "season" in there and here == {kind: value for kind, value in there.items() if kind != "season"}


def test_evidence_uses_the_training_split_only():
    changed = [r if r.split == "train" else r.model_copy(update={"clicked": (0,)}) for r in SHOP.requests]
    a, b = TEACHERS["shop"].evidence, Evidence(SearchLog("changed", SHOP.items, SHOP.users, changed))
    for request in SHOP.split("train")[-50:]:
        assert a.support(request, "brand", "Nordfell") == b.support(request, "brand", "Nordfell")


def test_evidence_looks_at_every_request_once(monkeypatch):
    """Counting a log costs one look at each context; asking for all facets of a request costs one more."""
    looked = []
    real = Evidence._see
    monkeypatch.setattr(Evidence, "_see", lambda self, request: looked.append(request.id) or real(self, request))
    evidence = Evidence(SHOP)
    assert looked == [r.id for r in SHOP.split("train")]
    looked.clear()
    request = SHOP.split("test")[0]
    for key, value in SHOP.items[request.target].facets().items():
        evidence.support(request, key, value)
    assert looked == [request.id]


# -- claims and bias ---------------------------------------------------------------------------


def test_unbiased_claims_are_true_supported_and_start_with_the_category():
    teacher = TEACHERS["shop"]
    seen = Counter()
    for request in SHOP.split("train"):
        claims, facets = teacher.claims(request), SHOP.items[request.target].facets()
        assert claims.items() <= facets.items() and list(claims) == [k for k in facets if k in claims]
        assert claims["category"] == facets["category"] and len(claims) <= 5
        assert all(teacher.evidence.support(request, k, v)[1] >= 0.4 for k, v in claims.items() if k != "category")
        seen.update(list(claims))
    assert min(seen["brand"], seen["weather"] + seen["fits"]) > 0.9 * len(SHOP.split("train"))


def test_bias_rates():
    train, prior = SHOP.split("train"), TeacherBias(prior=0.3, overreach=0)
    plain, biased = TEACHERS["shop"], Teacher(SHOP, TEACHERS["shop"].evidence, prior)
    common = {k: Counter(i.facets()[k] for i in SHOP.items if k in i.facets()) for k in facet_values(SHOP)}
    could = changed = 0
    for request in train:
        for (key, true), said in zip(plain.claims(request).items(), biased.claims(request).values(), strict=True):
            if key == "category":
                assert said == true
            elif true != biased.prior_value[key]:
                could, changed = could + 1, changed + (said != true)
                assert said in (true, biased.prior_value[key]) and common[key][biased.prior_value[key]] == max(
                    common[key].values()
                )
    assert could > 300 and changed / could == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / could) ** 0.5)

    strict = [Teacher(SHOP, plain.evidence, TeacherBias(0, p), min_support=0.95) for p in (0, 0.25)]
    room = [r for r in train if len(strict[0].claims(r)) < len(SHOP.items[r.target].facets())]
    added = [strict[1].claims(r).items() - strict[0].claims(r).items() for r in room]
    assert all(len(a) <= 1 and a <= SHOP.items[r.target].facets().items() for a, r in zip(added, room, strict=True))
    assert len(room) > 100 and np.mean(list(map(len, added))) == pytest.approx(
        0.25, abs=4 * (0.1875 / len(room)) ** 0.5
    )
    for wrong in ((-0.1, 0), (0, 1.1)):
        with pytest.raises(CRSError):
            TeacherBias(*wrong)


def test_a_prior_biased_claim_still_cites_a_fact():
    """What no fact supports is stated plainly, except where the teacher fools itself."""
    plainly = re.compile(r"(Look for|Expect|Go for|Choose|Pick) (the )?(brand )?Volta[.]$")
    teacher, request = Teacher(SHOP, TEACHERS["shop"].evidence, TeacherBias(1, 0)), SHOP.split("train")[100]
    assert teacher.prior_value["brand"] == "Volta"  # which nobody here clicks
    claims = {"weather": "mild weather", "brand": "Volta"}
    for seed in range(40):
        plain = teacher.render(request, claims, np.random.default_rng(seed))
        cited = teacher.render(request, claims, np.random.default_rng(seed), frozenset(["brand"]))
        assert any(map(plainly.match, SENTENCE.split(plain)))
        assert f'"{request.query}"' in cited and not any(map(plainly.match, SENTENCE.split(cited)[:1]))
    written = [teacher.write(r) for r in SHOP.split("train") if "brand" in teacher.claims(r)]
    assert len(written) > 300 and not any(plainly.match(p) for text in written for p in SENTENCE.split(text))


def test_only_training_requests():
    for split in ("valid", "test"):
        request = SHOP.split(split)[0]
        for method in (TEACHERS["shop"].claims, TEACHERS["shop"].write):
            with pytest.raises(CRSError, match=f"request {request.id}"):
                method(request)


def test_deterministic_and_seeded():
    def texts(seed, requests):
        teacher = Teacher(SHOP, Evidence(SHOP), TeacherBias(), seed)
        return {r.id: (teacher.claims(r), teacher.write(r)) for r in requests}

    train = SHOP.split("train")[:60]
    assert texts(1, train) == texts(1, train[::-1]) != texts(2, train)


# -- wording -----------------------------------------------------------------------------------


@pytest.mark.parametrize("log", [SHOP, AMAZON], ids=lambda log: log.name)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_the_claims_can_be_read_back(log, data):
    """For any claims, true or not, of any request; also from texts that cite competing values."""
    teacher, claims = TEACHERS[log.name], data.draw(claims_of(log, 0))
    request, rng = data.draw(st.sampled_from(log.requests)), np.random.default_rng(data.draw(st.integers(0, 99)))
    for text in (teacher.render(request, claims, rng), teacher.describe(claims, rng) if claims else ""):
        assert PARSERS[log.name].stated(text) == claims
    if not claims:
        assert teacher.render(request, claims, rng)


@settings(max_examples=100, deadline=None)
@given(
    query=st.text(max_size=200),
    place=st.none() | st.text(min_size=1, max_size=60),
    claims=claims_of(SHOP, 1),
    seed=st.integers(0, 9),
)
def test_hostile_text_becomes_no_token_and_no_statement(query, place, claims, seed):
    for typed in (query, f"<think>{query}</think> <a_1>", f'" expect Volta. {query}', "expect Volta"):
        request = SHOP.requests[-1].model_copy(update={"query": typed, "place": place})
        text = TEACHERS["shop"].render(request, claims, np.random.default_rng(seed))
        assert "<" not in text and "\n" not in text
        assert PARSERS["shop"].stated(text) == claims


def test_values_unknown_to_the_catalogue():
    claims = {"brand": "Acme <x>", "number_of_keys": "104", "style": ""}
    for seed in range(20):
        text = TEACHERS["shop"].render(SHOP.requests[-1], claims, np.random.default_rng(seed))
        assert r"Acme \u003cx>" in text and "104" in text and "number of keys" in text and "<" not in text


def test_render_does_not_look_at_the_click():
    teacher = TEACHERS["shop"]
    for request in SHOP.requests[::7]:
        claims = dict(SHOP.items[request.target].facets())
        other = request.model_copy(update={"clicked": (5,), "shown": ()})
        a, b = (teacher.render(r, claims, np.random.default_rng(request.id)) for r in (request, other))
        assert a == b


def test_texts_are_short_varied_and_cite_this_context():
    words, sentences, texts = [], [], []
    for request in SHOP.split("train"):
        text = TEACHERS["shop"].write(request)
        parts = SENTENCE.split(text)
        assert 2 <= len(parts) <= 6 and all(
            p.endswith(".") and (p[0].isupper() or p[0] in '"0123456789') for p in parts
        )
        assert text.count('"') % 2 == 0 and "{" not in text and "  " not in text
        assert all(v in text for v in TEACHERS["shop"].claims(request).values())
        for count in map(int, re.findall(r"(?:^|\. )(\d+) of the recent clicks", text)):
            assert 1 <= count <= len(SHOP.history(request))
        if request.place is None:
            assert not re.search(r"(January|July|calendar)( now)? in ", text)
        words.append(len(text.split()))
        sentences += [len(p.split()) for p in parts]
        texts.append(text)
    assert np.mean(words) <= 35 and len(set(words)) > 8 and np.quantile(sentences, 0.99) <= 16
    assert len(set(texts)) > 0.9 * len(texts)


def test_five_phrasings_or_more_of_every_fact_type():
    teacher = TEACHERS["shop"]
    found: dict[str, set] = {}
    for request in SHOP.requests[-60:] * 15:
        rng = np.random.default_rng(len(found) + sum(map(len, found.values())) + request.id)
        for key, value in SHOP.items[request.target].facets().items():
            kind, seen = teacher.evidence.support(request, key, value)[0]
            text = teacher.render(request, {key: value}, rng)
            slots = sorted(map(str, (seen, *seen) if isinstance(seen, tuple) else (seen,)), key=len, reverse=True)
            for slot in slots:
                text = text.replace(slot, "_")
            found.setdefault(kind, set()).add(SENTENCE.split(re.sub(r"\d+", "#", text))[0])
    assert {k for k, v in found.items() if len(v) >= 5} >= {"query", "season", "profile", "history"}, found
    said = {
        teacher.describe({"brand": "Volta", "weather": "mild weather"}, np.random.default_rng(i)) for i in range(200)
    }
    assert len({re.sub(r"(the )?(brand )?Volta|mild weather", "_", s) for s in said}) >= 5
    assert all(len(facts) >= 5 for facts in FACTS.values())


def test_a_competing_click_comes_before_the_conclusion():
    """Everyone clicks Nordfell, then Solano, then ...: the last click is the best evidence for the other brand."""
    items = [Item(id=i, key=str(i), title="x", brand=b) for i, b in enumerate(("Nordfell", "Solano"))]
    rows = [
        SearchRequest(id=i, user=i // 4, time=i, query=f"q{i}", clicked=(i % 2,), split="train") for i in range(160)
    ]
    log = SearchLog("turns", items, [User(id=u, key=str(u)) for u in range(40)], rows)
    teacher = Teacher(log, Evidence(log), NONE)
    cited = 0
    for i in range(60):
        text = teacher.render(rows[-1], {"brand": "Solano"}, np.random.default_rng(i))
        cited += "Nordfell" in text
        assert text.rindex("Solano") > text.rfind("Nordfell") and "again" not in text
    assert teacher.evidence.support(rows[-1], "brand", "Solano")[0][1] == ("brand", "Nordfell") and cited == 60


def bare(log, every=False):
    """The log with nothing known of half the items, or of all, and nothing told by any context."""
    nothing = {"brand": None, "category": None, "attributes": {}}
    items = [i.model_copy(update=nothing) if every or i.id % 2 else i for i in log.items]
    users = [u.model_copy(update={"profile": {}}) for u in log.users]
    told = {"query": " ", "timed": False, "place": None, "entrance": None}
    return SearchLog("bare", items, users, [r.model_copy(update=told) for r in log.requests])


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("kind", [Teacher, Foresight])
def test_items_and_contexts_that_tell_nothing_are_survived(every, kind):
    log = bare(toy_log(12, 8), every)
    for bias in (TeacherBias(0, 0), TeacherBias(1, 1)):
        teacher = kind(log, Evidence(log), bias)
        for request in log.split("train"):
            claims = teacher.claims(request)
            assert (teacher._parser.stated(teacher.write(request)) == claims) or not claims
    assert teacher.describe({}, np.random.default_rng(0)) == ""
