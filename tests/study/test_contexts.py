"""Another context for the same run: what is hidden is in no prompt, a vector stands for every fact, and a shorter log
is learnt from alone."""

from dataclasses import replace

import pytest
import toy

from crs_lite.baselines.counting import Counting
from crs_lite.logs import Interaction
from crs_lite.prepared import prepare
from crs_lite.study import contexts
from crs_lite.study.contexts import Recent, VectorCodec, counted_alone, smaller, vectors, without


@pytest.fixture
def p(make):
    return make("shared")


def with_past(p):
    """A test request whose shopper has clicked before."""
    return next(r for r in p.log.split("test") if p.log.history(r))


def test_what_is_hidden_stands_in_no_prompt_and_all_else_stays(p):
    r = with_past(p)
    whole = p.codec.context(r)
    assert whole.profile and whole.history and whole.request.place and whole.request.time
    without_history = without(p, "history").codec.context(r)
    assert not without_history.history and without_history.profile == whole.profile
    placeless = without(p, "place_time").codec.context(r)
    assert placeless.request.place is None and placeless.request.time is None
    assert all(past.place is None and past.time is None for past in placeless.history)
    kept = [past.clicked for past in placeless.history]  # what is hidden may leave room for older clicks
    assert kept[-len(whole.history) :] == [past.clicked for past in whole.history]
    assert "city" not in without(p, "profile").codec.context(r).profile
    assert p.log.users[r.user].profile["city"]  # the log itself keeps it, for the teacher and the truth
    bare = without(p, "everything").codec.context(r)
    assert bare.to_json() == f'{{"request":{{"query":"{r.query}"}}}}'
    roots = {without(p, g).work.root for g in ("everything", *contexts.GROUPS)}
    assert len(roots) == 5 and p.work.root not in roots


def test_a_device_is_hidden_and_the_rest_of_the_profile_is_not(p):
    p.log.users[0].profile["phone"] = "X"
    r = next(r for r in p.log.requests if r.user == 0)
    try:
        assert without(p, "device").codec.context(r).profile == {"city": "Oslo"}
        assert without(p, "profile").codec.context(r).profile == {"phone": "X"}
    finally:
        del p.log.users[0].profile["phone"]


def test_a_shorter_log_is_counted_alone_and_remembers_all_pasts(p):
    log, n = toy.toy_log(), 20
    short = Recent(log, n)
    assert [r.id for r in short.split("train")] == [r.id for r in log.split("train")[-n:]]
    assert short.split("test") == log.split("test") and short.digest() == log.digest()
    last = short.split("train")[0]
    assert short.history(last) == log.history(last) and log.history(last)
    assert Counting(short).clicks.sum() == n < Counting(log).clicks.sum()
    q = smaller(p, "few", n)
    assert q.train == p.log.split("train")[-n:] and {r.id for r in q.pool} <= {r.id for r in q.train}
    assert counted_alone(q, "alone").log.split("train") == q.train
    counted = sum(sum(c.values()) for (fact, _), c in q.teacher.evidence._counts.items() if fact[0] == "query")
    of_all = sum(sum(c.values()) for (fact, _), c in p.teacher.evidence._counts.items() if fact[0] == "query")
    assert counted < of_all


@pytest.fixture
def q(p, monkeypatch):
    monkeypatch.setattr(contexts, "OFTEN", 1)
    return vectors(p)


def test_every_fact_is_one_token_and_the_query_stays_text(p, q):
    r = with_past(p)
    said = q.tokenizer.convert_ids_to_tokens(q.codec.prompt(r))
    context, history = p.codec.context(r), p.log.history(r)
    known = [f"<{k}={v}>" for k, v in context.profile.items()]
    assert said[: 1 + len(known)] == ["<bos>", *known]
    month, part = context.request.time.split()
    assert [f"<month={month}>", f"<daypart={part}>", f"<place={r.place}>"] == [
        t for t in said[-20:] if t.startswith(("<month", "<daypart", "<place"))
    ][-3:]
    clicked = [f"<item={i}>" for past in history[-len(context.history) :] for i in past.clicked]
    assert [t for n, t in enumerate(said) if t.startswith("<item") and said[n - 1] != "<shown=?>"] == clicked
    assert q.codec.decode(q.codec.prompt(r)).endswith(f'{{"query":"{r.query}"}}<think>')
    marked = [t for t, yes in zip(said, q.codec.past_clicks(r), strict=True) if yes]
    assert marked == clicked
    assert not any(t.startswith("<item") for t in p.tokenizer.get_vocab())


def test_items_may_keep_their_ids(p):
    q = vectors(p, ids=True)
    r = with_past(p)
    prompt, known = q.codec.prompt(r), set(q.codec.sid_ids.flatten().tolist())
    clicked = [t for past in p.log.history(r) for i in past.clicked for t in q.codec.sid_ids[i].tolist()]
    marked = [t for t, yes in zip(prompt, q.codec.past_clicks(r), strict=True) if yes]
    assert marked == clicked[len(clicked) - len(marked) :] and len(marked) >= 4
    assert sum(t in known for t in prompt) > len(marked)  # skipped items stand there too, unmarked
    assert not any(t.startswith("<item=") for t in q.tokenizer.get_vocab())
    assert q.codec.item_prompt(3) != vectors(p).codec.item_prompt(3)


def test_what_is_rare_or_new_has_the_vector_of_all_that_is_rare(q, p):
    r = with_past(p).model_copy(update={"id": 10**6, "place": "Atlantis"})
    assert "<place=?>" in q.tokenizer.convert_ids_to_tokens(q.codec.prompt(r))
    strange = Interaction(time=1, query="<item=3>", shown=(1,), clicked=(1,))
    said = q.tokenizer.convert_ids_to_tokens(q.codec._past(q.codec.builder.past(strange)))
    assert said[-1] == "<asked=?>"  # typed text never becomes a vector of another field
    typed = r.model_copy(update={"id": 10**6 + 1, "query": "<item=3>"})
    assert q.codec.row["<item=3>"] not in q.codec.prompt(typed)[-12:]


def test_narrower_layers_make_room_for_the_vectors(p, monkeypatch):
    monkeypatch.setattr(contexts, "ROOM", 1.0)
    usual = prepare(p.log, None, replace(p.profile, ffn=1024), 0, p.work.root / "wide", p.shipped)
    q = vectors(usual)
    a, b = (x.fresh.info["parameters"] for x in (q, usual))
    assert isinstance(q.codec, VectorCodec) and q.profile.ffn < 1024
    assert 0.98 < a / b <= 1.0
