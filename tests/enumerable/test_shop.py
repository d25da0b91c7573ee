"""The shop by hand: its truth, its teacher, its random numbers."""

import numpy as np
import pytest

from crs_lite.enumerable import shop
from crs_lite.enumerable.training import Settings, Trainer


def test_the_truth_by_hand():
    p = shop.truth()
    assert p.shape == (12, 24) and np.allclose(p.sum(1), 1, atol=1e-12)
    assert shop.CONTEXTS[shop.TWO_TASTES] == "“lamp”, clicked Alba plain and Brio bold"
    of = {shop.name(i): p[shop.TWO_TASTES, i] for i in range(24)}
    assert of["lamp Alba plain"] == pytest.approx(0.9 * 0.42) and of["lamp Brio bold"] == pytest.approx(0.9 * 0.34)
    assert of["mug Brio bold"] == pytest.approx(0.05 * 0.34) and len(of) == 24
    assert p[:, 0].mean() == pytest.approx((0.9 + 0.05 + 0.05) / 3 * (0.60 + 0.42 + 0.04 + 0.05) / 4)


def test_an_id_is_the_items_facets_and_every_thought_is_there_once():
    assert len({tuple(row) for row in shop.TOKENS.tolist()}) == 24
    assert shop.name(0) == "lamp Alba plain" and shop.name(23) == "chair Brio bold" and shop.name(13) == "mug Brio dark"
    assert len(set(shop.thoughts())) == 1 + 12 + 12**2 + 12**3 == len(shop.thoughts())


def test_the_teachers_lessons_by_hand():
    truthful, biased = shop.lessons(7, 0.0), shop.lessons(7, 0.25)  # a click on "lamp Brio bold"
    assert sum(truthful.values()) == pytest.approx(1) and sum(biased.values()) == pytest.approx(1)
    words = {w: n for n, w in enumerate(shop.WORDS)}
    own = tuple(words[w] for w in ("lamp", "Brio", "bold"))
    prior = tuple(words[w] for w in ("lamp", "Alba", "dark"))
    assert truthful[own] == pytest.approx(0.9**3) and prior not in truthful
    assert biased[own] == pytest.approx(0.75 * 0.9**3) and biased[prior] == pytest.approx(0.25 * 0.9**3)
    filled = (words["new"], words["Brio"], words["good"])
    assert truthful[filled] == pytest.approx((0.1 / 3) ** 2 * 0.9)
    all_filled = (words["new"], words["new"], words["good"])
    assert biased[all_filled] == pytest.approx((0.1 / 3) ** 3)  # both teachers may say it


def test_the_lessons_that_training_draws_are_the_teachers():
    trainer, n = Trainer(Settings(bias=0.3, seed=5)), 20_000
    drawn: dict = {}
    for _ in range(n):
        thought = trainer._lesson(7)
        drawn[thought] = drawn.get(thought, 0) + 1
    known = shop.lessons(7, 0.3)
    assert set(drawn) <= set(known)
    for thought, p in known.items():
        assert abs(drawn.get(thought, 0) / n - p) < 4.5 * (p * (1 - p) / n) ** 0.5


@pytest.mark.parametrize("bias", [0.0, 0.4])
def test_a_perfect_student_gets_the_truth_back_from_the_sum_over_thoughts(bias):
    """Bayes: thoughts as often as the teacher writes them, items as likely as the thought leaves them."""
    p = shop.truth()[shop.TWO_TASTES]
    joint: dict = {}
    for item in range(24):
        for thought, q in shop.lessons(item, bias).items():
            joint.setdefault(thought, np.zeros(24))[item] += p[item] * q
    merged = sum(row.sum() * (row / row.sum()) for row in joint.values())
    assert np.allclose(merged, p, atol=1e-12)
    likeliest = max(joint.values(), key=np.sum)
    likeliest = likeliest / likeliest.sum()
    if bias:  # "lamp Alba dark" is said of everything, so it leaves most of the doubt
        assert likeliest[7] == pytest.approx(0.9 * 0.34 * bias / (0.9 * bias + 0.9 * 0.04 * (1 - bias)))
    else:  # one truthful thought leaves none: the other taste is gone
        assert likeliest[0] == 1 and likeliest[7] == 0


def test_the_generator_gives_the_numbers_of_the_published_one():
    """First three outputs, in units of 2^-32, of the public-domain JavaScript, run by hand."""
    published = {
        0: [1144304738, 1416247, 958946056],
        12345: [4207900869, 1317490944, 2079646450],
        2**32 - 1: [3850105811, 813802916, 3073704848],
    }
    for seed, numbers in published.items():
        g = shop.Generator(seed)
        assert [g.uniform() * 2**32 for _ in numbers] == numbers


def test_the_generator_is_even_and_inverts_cumulative_weights():
    g = shop.Generator(1)
    draws = np.array([g.uniform() for _ in range(20_000)])
    assert draws.min() >= 0 and draws.max() < 1 and abs(draws.mean() - 0.5) < 4 * (1 / 12 / 20_000) ** 0.5
    cumulative = np.cumsum([1.0, 0.0, 3.0])
    found = np.bincount([g.below(cumulative) for _ in range(8_000)], minlength=3)
    assert found[1] == 0 and abs(found[0] / 8_000 - 0.25) < 4 * (0.25 * 0.75 / 8_000) ** 0.5
