"""LatentR3 on the log that `answers` is about: does it reason without words, once or often?"""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.controls import Perturbed
from crs_lite.study.experiments.shared import BASELINES, Made, both, later, tuned
from crs_lite.study.learned_baselines import Latent
from crs_lite.training import align

NOISES = (0.3, 1.0)  # of the perturbed latents: the default of LatentR3 here, and what its tuning chose


def latents(p: Prepared) -> Made:
    """The supervised phase and the reinforced one, each by its latents as they are; then sixteen perturbed chains of
    them merged, whose noise is to be chosen by the validation rows."""
    of, aligned = Latent(p), later(align, p)
    first = later(of.supervised, aligned, **tuned(p, BASELINES["latent SFT"]))
    yield from both(p, "latent SFT", first, "none", of.ranker)
    last = later(of.reinforced, first, **tuned(p, BASELINES["LatentR3"]))
    yield from both(p, "LatentR3", last, "none", of.ranker)
    for noise in NOISES:
        name = f"LatentR3 16 latents noise={noise}"
        yield from both(p, name, last, "none", partial(Perturbed, p, name, noise))
