"""A run is its settings: the same numbers for the same seed, stage after stage."""

import numpy as np

from crs_lite.enumerable import exact
from crs_lite.enumerable.demonstrations import trained
from crs_lite.enumerable.shop import TOKENS, WORDS
from crs_lite.enumerable.training import Settings, Trainer, true_facts

SHORT = {"align": 30, "distil": 30, "rl": 10}


def test_the_same_settings_make_the_same_run_and_another_seed_another():
    first, again, other = (Trainer(Settings(seed=s, **SHORT)) for s in (1, 1, 2))
    for trainer in (first, again, other):
        list(trainer.run())
    assert np.array_equal(first.policy.theta, again.policy.theta)
    assert not np.array_equal(first.policy.theta, other.policy.theta)


def test_a_run_can_be_stopped_and_goes_on():
    whole, halves = Trainer(Settings(seed=4, **SHORT)), Trainer(Settings(seed=4, **SHORT))
    rows = list(whole.run())
    early = list(halves.run(40))
    assert len(early) == 40 and early + list(halves.run()) == rows and len(rows) == len(whole.plan)
    assert np.array_equal(whole.policy.theta, halves.policy.theta)


def test_facts_are_counted_by_hand_and_paying_for_them_makes_thoughts_truer():
    lamp, mug, alba, plain, nice = (WORDS.index(w) for w in ("lamp", "mug", "Alba", "plain", "nice"))
    item = TOKENS.tolist().index([lamp, alba, plain])
    thoughts = ((), (nice, nice), (lamp,), (lamp, lamp), (lamp, mug, nice), (mug,), (lamp, alba, plain))
    assert [true_facts(t, item) for t in thoughts] == [0, 0, 1, 1, 0, -1, 3]
    paid, unpaid = (exact.measure(trained(Settings(bias=1.0, facts=facts))) for facts in (0.3, 0.0))
    assert paid["true_words"] > unpaid["true_words"] + 0.1 and paid["prior"] < unpaid["prior"] / 2


def test_alignment_and_distillation_teach():
    trainer = Trainer(Settings(seed=0, rl=0))
    before = exact.measure(trainer.policy)
    list(trainer.run())
    after = exact.measure(trainer.policy)
    assert after["one"] > before["one"] + 0.1 and after["merged"] > before["merged"] + 0.1
