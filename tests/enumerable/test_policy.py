"""The policy of tables: its probabilities against scipy, and what its parts are by hand."""

import numpy as np
import pytest
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import softmax as scipy_softmax

from crs_lite.enumerable.policy import Policy, log_softmax, softmax
from crs_lite.enumerable.shop import Generator, thoughts, truth


def test_softmax_is_scipys_at_any_height():
    x = np.random.default_rng(0).normal(scale=300, size=(5, 7))
    assert np.allclose(softmax(x), scipy_softmax(x, axis=-1)) and np.allclose(
        log_softmax(x), scipy_log_softmax(x, axis=-1)
    )


def test_a_policy_of_zeros_knows_nothing_and_a_copy_is_its_own():
    policy = Policy.zeros()
    for probs in policy.id_probs(0, thoughts()[5], 3):
        assert np.allclose(probs, 1 / len(probs))
    other = policy.copy()
    other.theta += 1.0
    assert (policy.theta == 0).all()


def test_the_probability_of_an_id_is_the_product_of_its_tokens():
    policy = Policy.start(Generator(3), 0.5)
    for item in range(truth().shape[1]):
        tokens = policy.id_probs(2, thoughts()[40], item)
        assert all(p.sum() == pytest.approx(1) for p in tokens) and len(tokens) == 3
