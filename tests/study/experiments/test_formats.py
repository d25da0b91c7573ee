"""Text, vectors, and contexts that lack a part: each aligned by itself."""

import toy

from crs_lite.study.contexts import vectors
from crs_lite.study.experiments import EXPERIMENTS, runner


def test_every_format_is_aligned_by_itself_and_judged_without_words(job, hollow, make):
    assert runner.run_seed(job("formats", "without-*")) == 5
    assert hollow.count("align") == 5 and "distil" not in hollow
    names = [name for name, _ in EXPERIMENTS["formats"](make("shared", toy.Known()))]
    assert names[:4] == [f"informed-without-{g}" for g in ("history", "place_time", "profile", "device")]


def test_rows_of_the_formats(toy_study):
    rows = toy_study.rows["formats"]
    hidden = {f"without-{g}" for g in ("everything", "history", "place_time", "profile", "device")}
    assert set(rows) == hidden | {"text", "vectors", "vectors-ids", "vectors-updates", "vectors-thought"}
    assert rows["vectors"]["tokens"] == 0 < rows["vectors-thought"]["tokens"]
    assert rows["vectors"]["parameters"]["vectors"] > 24 and "vectors" not in rows["text"]["parameters"]
    assert rows["vectors"]["profile"]["ffn"] <= rows["text"]["profile"]["ffn"]
    often, usual = (rows[n]["profile"]["batch_tokens"] for n in ("vectors-updates", "vectors"))
    p = toy_study.open("run")
    q = vectors(p)
    some = p.train[-500:]
    share = sum(len(q.codec.prompt(r)) for r in some) / sum(len(p.codec.prompt(r)) for r in some)
    assert often == int(usual * share) < usual
    assert rows["without-everything"]["request_ids"] == rows["text"]["request_ids"]
