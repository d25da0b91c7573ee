"""The exact sums against plain loops, a beam search, and finite differences."""

from itertools import product

import numpy as np
import pytest

from crs_lite.enumerable import exact, shop
from crs_lite.enumerable.policy import NOWHERE, START, Policy, add_item, add_thought, softmax, steps
from crs_lite.trie import Trie


@pytest.fixture
def policy():
    """Random tables, large enough to make peaked distributions."""
    return Policy(np.random.default_rng(3).normal(size=Policy.zeros().theta.size))


def by_hand(policy, c):
    """p(thought) and p(item | thought), token by token, in plain loops."""
    t, probs, items = policy.tables, {}, {}
    for n in range(4):
        for thought in product(range(12), repeat=n):
            p, last = 1.0, START
            for word in (*thought, *([shop.STOP] if n < 3 else [])):
                e = np.exp(t["words"][c, last])
                p, last = p * e[word] / e.sum(), word
            probs[thought] = p
            pull = sum((t["meaning"][w] for w in thought), np.zeros(9))
            row = []
            for a, b, s in product(range(3), range(2), range(4)):
                q = 1.0
                for logits, token in (
                    (t["category"][c] + pull[:3], a),
                    (t["brand"][c, a] + pull[3:5], b),
                    (t["style"][c, 2 * a + b] + pull[5:], s),
                ):
                    q *= np.exp(logits[token]) / np.exp(logits).sum()
                row.append(q)
            items[thought] = row
    return probs, items


def test_sums_are_those_of_plain_loops(policy):
    s = exact.sums(policy, 4)
    probs, items = by_hand(policy, 4)
    assert np.allclose(s.prob, [probs[t] for t in shop.thoughts()], rtol=1e-10)
    assert np.allclose(s.items, [items[t] for t in shop.thoughts()], rtol=1e-9)
    assert s.prob.sum() == pytest.approx(1) and np.allclose(s.items.sum(1), 1)
    assert np.allclose(s.merged, sum(np.array(items[t]) * p for t, p in probs.items()))
    greedy, last = [], START
    while len(greedy) < 3 and (word := int(policy.tables["words"][4, last].argmax())) != shop.STOP:
        greedy.append(word)
        last = word
    assert shop.thoughts()[s.greedy] == tuple(greedy)


def test_a_beam_of_six_along_the_trie_finds_the_exact_list(policy):
    trie, s = Trie.build(shop.TOKENS), exact.sums(policy, 2)
    root: dict = {}
    for i, row in enumerate(shop.TOKENS.tolist()):
        root.setdefault(row[0], {}).setdefault(row[1], {})[row[2]] = i
    assert trie.widest == (3, 2, 4)
    for n in (0, 5, 700):
        beams = [(0.0, root, 0)]  # log-probability, node, an item below it
        for level in range(3):
            grown = []
            for score, node, below in beams:
                for token, child in node.items():
                    item = child
                    while isinstance(item, dict):
                        item = next(iter(item.values()))
                    p = policy.id_probs(2, shop.thoughts()[n], item)[level][token - (0, 3, 5)[level]]
                    grown.append((score + np.log(p), child, below))
            beams = sorted(grown, key=lambda b: -b[0])[: exact.PLACES]
        assert [b[1] for b in beams] == s.lists[n].tolist()


def test_worth_of_a_list_by_hand():
    names = {shop.name(i): i for i in range(24)}
    target = names["lamp Alba plain"]
    listed = np.array([names[n] for n in ("lamp Alba dark", "lamp Brio plain", "lamp Alba plain", "mug Alba plain")])
    assert exact.list_worth(listed, target, "list") == pytest.approx(0.5)  # third place: 1 / log2(4)
    assert exact.list_worth(listed, target, "list", 0.06) == pytest.approx(0.06 + 0.02 / np.log2(3) + 0.5)
    assert exact.list_worth(listed, target, "first", 0.06) == 0
    assert exact.list_worth(listed, listed[0], "first") == 1
    wanted = np.zeros(24)
    wanted[[target, names["lamp Alba dark"]]] = 0.7, 0.3
    assert exact.quality(listed, wanted) == pytest.approx(0.3 + 0.35)
    assert exact.entropy(np.array([0.5, 0.25, 0.25, 0.0])) == 1.5


def test_the_largest_credit_that_keeps_a_hit_above_all_near_misses():
    weights = 1 / np.log2(np.arange(2, 8))
    assert weights[-1] / weights.sum() == pytest.approx(0.1078, abs=1e-4)


def test_grpos_value_is_the_merged_probability_of_the_target(policy):
    s = exact.sums(policy, 1)
    assert exact.value(s, 7, "drawn") == pytest.approx(s.merged[7])
    assert exact.value(s, 7, "first") == pytest.approx(s.prob[s.lists[:, 0] == 7].sum())


@pytest.mark.parametrize(("judge", "credit"), [("list", 0.0), ("list", 0.06), ("first", 0.0), ("drawn", 0.0)])
def test_exact_gradients_are_finite_differences(policy, judge, credit):
    c, target, h = 3, 6, 1e-5
    g = exact.gradient(policy, c, target, judge, credit)
    moved, rng = policy.copy(), np.random.default_rng(0)
    table = moved.tables["words"][c].reshape(-1)
    for n in rng.choice(169, size=25, replace=False):
        at, values = table[n], []
        for sign in (1, -1):
            table[n] = at + sign * h
            values.append(exact.value(exact.sums(moved, c), target, judge, credit))
        table[n] = at
        assert g[n] == pytest.approx((values[0] - values[1]) / (2 * h), abs=1e-8)
    assert np.allclose(exact.sums(policy, c).prob @ exact.scores(policy, c), 0, atol=1e-12)


@pytest.mark.parametrize("thought", [(), (0, 4), (2, 2, 11)])
def test_the_slopes_of_training_are_finite_differences(policy, thought):
    c, item, h = 5, 13, 1e-5
    weights, id_weights = np.array([0.3, -1.0, 2.0, 0.7])[: len(steps(thought))], (0.5, -0.2, 1.0)

    def total(p):
        words = np.log(softmax(p.tables["words"][c]))
        own = sum(w * words[at] for w, at in zip(weights, steps(thought), strict=True))
        at = np.unravel_index(item, shop.SIZES)
        ids = [np.log(q[t]) for q, t in zip(p.id_probs(c, thought, item), at, strict=True)]
        return own + np.dot(id_weights, ids)

    gradient = Policy.zeros()
    add_thought(gradient, softmax(policy.tables["words"][c]), c, thought, weights)
    add_item(gradient, policy, c, thought, item, id_weights)
    moved, rng = policy.copy(), np.random.default_rng(1)
    touched = np.flatnonzero(gradient.theta)
    for n in [*rng.permutation(touched)[:30], *rng.choice(len(moved.theta), size=10)]:
        at, values = moved.theta[n], []
        for sign in (1, -1):
            moved.theta[n] = at + sign * h
            values.append(total(moved))
        moved.theta[n] = at
        assert gradient.theta[n] == pytest.approx((values[0] - values[1]) / (2 * h), abs=1e-8)


def test_a_lesson_without_a_context_moves_no_context(policy):
    gradient = Policy.zeros()
    add_item(gradient, policy, NOWHERE, shop.TOKENS[3], 3, (1, 1, 1))
    assert not gradient.tables["category"][:NOWHERE].any() and gradient.tables["category"][NOWHERE].any()
    assert gradient.tables["meaning"][shop.TOKENS[3]].any()


def test_measure_by_hand():
    """A policy that always says "lamp Alba nice" and whose lists ignore it."""
    policy = Policy.zeros()
    words = policy.tables["words"]
    for last, word in ((START, 0), (0, 3), (3, 9)):
        words[:, last, word] = 200.0
    found = exact.measure(policy)
    assert found["entropy"] == pytest.approx(0, abs=1e-9) and found["prior"] == pytest.approx(0, abs=1e-9)
    assert found["fillers"] == pytest.approx(1 / 3)
    p = shop.truth()
    lamp, alba = p[:, :8].sum(1), p.reshape(12, 3, 2, 4)[:, :, 0].sum((1, 2))
    assert found["true_words"] == pytest.approx(((lamp + alba) / 2).mean())
    first_six = (p[:, :6] / np.log2(np.arange(2, 8))).sum(1).mean()  # all equal: the catalogue's order
    for source in ("one", "thought", "merged", "direct"):
        assert found[source] == pytest.approx(first_six)
    assert exact.ceiling() > first_six
