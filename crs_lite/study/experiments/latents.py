"""LatentR3 on the log that `answers` is about: does it reason without words, once or often?"""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.controls import Perturbed
from crs_lite.study.experiments.shared import BASELINES, Made, both, checked, later, tested, tuned
from crs_lite.study.learned_baselines import Latent
from crs_lite.training import align

RATES = (6e-4, 2e-3)  # of the supervised phase: what tuning on the small log chose, and what direct SFT has here
RATE = 6e-4  # the better of the two on validation
NOISES = (0.3, 1.0)  # of the perturbed latents: the default of LatentR3 here, and what its tuning chose


def latents(p: Prepared) -> Made:
    """The supervised phase at each rate on validation requests; from the better one that phase and the reinforced one,
    by their latents as they are; then sixteen perturbed chains of them merged, whose noise is to be chosen by the
    validation rows."""
    of, aligned = Latent(p), later(align, p)
    for lr in RATES:
        first, name = later(of.supervised, aligned, lr=lr), f"latent SFT lr={lr}"
        yield f"{name.replace(' ', '-')}-valid", partial(checked, p, name, first, "none", of.ranker)
    first = later(of.supervised, aligned, lr=RATE)
    yield "latent-SFT", partial(tested, p, "latent SFT", first, "none", of.ranker)
    last = later(of.reinforced, first, **tuned(p, BASELINES["LatentR3"]))
    yield from both(p, "LatentR3", last, "none", of.ranker)
    for noise in NOISES:
        name = f"LatentR3 16 latents noise={noise}"
        yield from both(p, name, last, "none", partial(Perturbed, p, name, noise))
