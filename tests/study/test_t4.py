"""Minutes on a T4: by hand, and the counts against a run that is counted."""

from types import SimpleNamespace

import pytest

from crs_lite.merging import MergingRanker
from crs_lite.model.backbones import load_model
from crs_lite.paths import LESSONS
from crs_lite.profiles import get_profile
from crs_lite.ranker import CRSRanker
from crs_lite.study import pretrained, t4


def test_minutes_by_hand():
    """A model of 100 M weights. Learning a million tokens: 6e14 operations at 13e12 a second, 46.2 s. Reading two
    million: 4e14 at 4.05e12, 98.8 s. A thousand passes of a twentieth of a second: 50 s."""
    speed = t4.Speed(half=0.2, single=0.5, a_pass=0.05)
    done = t4.Work("stage", learnt=1e6, read=2e6, passes=1000)
    assert done.minutes(10**8, speed) == pytest.approx((46.1538 + 98.7654 + 50) / 60, rel=1e-5)
    assert done._replace(operations=10, read=0, passes=0).minutes(10**8, speed) == pytest.approx(76.9231 / 60, rel=1e-5)


def test_a_list_costs_its_context_once_and_a_pass_a_token():
    """Ten requests, four at a time: three batches. Each: the context, five tokens, three more of an ID."""
    work = t4.lists("x", 10, 4, context=100, thought=5, branches=2, beams=4)
    assert (work.read, work.passes) == (10 * (100 + 2 * (5 + 3 * 4)), 3 * (1 + 5 + 3))
    given = t4.forced("x", 10, 4, context=100, thought=7)
    assert (given.read, given.passes) == (10 * (100 + 7 + 30), 3 * 5)


def test_passes_and_tokens_are_those_of_the_rankers(make):
    """Against the calls of a model that never ends a thought by itself, counted; one request at a time, so nothing is
    padded."""
    p, calls = make("shared"), []
    model = load_model(p.fresh.folder)

    def counted(module, args, kwargs, out):
        calls.append(kwargs["input_ids"].numel())
        out.logits[..., p.codec.end_think] = -1e4
        return out

    model.register_forward_hook(counted, with_kwargs=True)
    some = p.test[:3]
    context = sum(len(p.codec.prompt(r)) for r in some) / len(some)
    CRSRanker("own", model, p.codec, "own", 5, 1, progress=False).rank(some, 2)
    work = t4.lists("x", 3, 1, context, 5, beams=2)
    assert (len(calls), sum(calls)) == (work.passes, pytest.approx(work.read))
    calls.clear()
    MergingRanker("merged", model, p.codec, 4, 1.0, beams=2, max_reasoning=5, batch=1).rank(some, 2)
    work = t4.lists("x", 3, 1, context, 5, branches=4, beams=2)
    assert (len(calls), sum(calls)) == (work.passes, pytest.approx(work.read))
    calls.clear()
    CRSRanker("none", model, p.codec, "none", 5, 1, progress=False).rank(some, 10)
    work = t4.forced("x", 3, 1, context, 1)
    assert len(calls) == work.passes and sum(calls) <= work.read


def test_a_budget_moves_its_stage_alone():
    made, profile = pretrained.load(LESSONS), get_profile("colab")

    def stages(**changes):
        return {work.stage: work for work in t4.work(made, get_profile("colab", **changes))}

    before, twice = stages(), stages(rl_steps=2 * profile.rl_steps)
    assert {s for s in before if before[s] != twice[s]} == {"R-GRPO"}
    assert twice["R-GRPO"].learnt == 2 * before["R-GRPO"].learnt
    assert twice["R-GRPO"].passes == 2 * before["R-GRPO"].passes


def test_the_table_says_that_it_is_an_estimate():
    stages = [
        pretrained.Lessons(stage=s, lessons=1000, length=n, passes=1)
        for s, n in (("direct", 300), ("distillation", 350))
    ]
    made = SimpleNamespace(stages=stages, parameters=10**8, command="the command")
    shown = t4.markdown(made, get_profile("colab"))
    assert "Estimates: nobody has measured them." in shown and "`the command`" in shown
    # 300,000 tokens x 6e8 operations = 1.8e14: 11.1 s at a quarter of 65 TFLOP/s, 18.5 s at 0.15
    assert "| direct | 300,000 |  |  | 0.2 to 0.3 |" in shown
