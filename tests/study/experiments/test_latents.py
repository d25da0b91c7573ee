"""LatentR3 with one chain of latents and with several: what is merged, and that no noise is no change."""

import numpy as np
import torch

from crs_lite.study.controls import Perturbed
from crs_lite.study.experiments import runner
from crs_lite.study.experiments.latents import NOISES, RATES
from crs_lite.study.learned_baselines import Latent
from crs_lite.training import align


def test_two_phases_from_one_alignment_each_on_test_and_validation(job, hollow):
    assert runner.run_seed(job("latents")) == len(RATES) + 3 + 2 * len(NOISES)
    assert [n for n in hollow if not n.startswith("score")] == [
        "align",
        *(f"latent-lr={lr}" for lr in RATES),
        "latent-rl-noise=1.0-lr=0.003",
    ]


def test_chains_without_noise_are_all_the_same_and_with_it_the_first_is(toy_study):
    p = toy_study.open("run")
    folder = Latent(p).supervised(align(p), lr=6e-4).folder
    one = Latent(p).ranker(folder)
    prompts = [p.codec.prompt(r) for r in p.test[:5]]
    alone, chances = one.beams(prompts, 6)
    for noise, equal in ((0.0, True), (3.0, False)):
        items, logp = one.beams(prompts, 6, chains=4, noise=noise, generator=torch.Generator().manual_seed(0))
        assert items.shape == logp.shape == (5, 4, 6)
        np.testing.assert_array_equal(items[:, 0], alone[:, 0])
        np.testing.assert_allclose(logp[:, 0], chances[:, 0], atol=1e-4)
        assert np.allclose(logp[:, 3], chances[:, 0], atol=1e-4) == equal
    lists = Perturbed(p, "still", 0.0, folder, chains=3).rank(p.test, 5)
    np.testing.assert_array_equal(lists, one.rank(p.test, 20)[:, :5])  # a wider beam finds more
