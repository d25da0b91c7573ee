"""RQ-VAE: what lies together gets one first code, and random codebooks collapse."""

import numpy as np
import pytest

from crs_lite.baselines.rqvae import RQVAE
from crs_lite.errors import CRSError
from crs_lite.sid.codes import SemanticIDs


def four_groups(n=120, d=16, seed=0):
    """Vectors in 4 tight groups far apart."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(4, d)) * 3
    return (centres[np.arange(n) % 4] + 0.05 * rng.normal(size=(n, d))).astype(np.float32)


@pytest.mark.slow
def test_rqvae_puts_what_lies_together_on_one_first_code(tmp_path):
    x = four_groups()
    rq = RQVAE((4, 4, 4), seed=0, latent=8, hidden=32, epochs=150, batch=40)
    codes = rq.fit_encode(x)
    groups = [set(codes[k::4, 0].tolist()) for k in range(4)]
    assert all(len(g) == 1 for g in groups) and len(set.union(*groups)) >= 3
    assert not set.intersection(*({tuple(c) for c in codes[k::4].tolist()} for k in range(4)))
    errors = [((x - rq.reconstruct(codes[:, :m])) ** 2).sum() for m in (1, 2, 3)]
    assert errors[2] < 0.2 * ((x - x.mean(0)) ** 2).sum() and errors[2] <= errors[0]
    assert (RQVAE((4, 4, 4), seed=0, latent=8, hidden=32, epochs=150, batch=40).fit_encode(x) == codes).all()
    ids = SemanticIDs.build(x, (4, 4, 4), quantiser=rq)
    ids.save(tmp_path)
    again = SemanticIDs.load(tmp_path, RQVAE)
    assert (again.codes == ids.codes).all() and (again.quantiser.encode(x[:7]) == rq.encode(x[:7])).all()
    assert again.assign_new(four_groups(8, seed=0)).codes.shape == (128, 4)
    (tmp_path / "rqvae.json").write_text("{")
    with pytest.raises(CRSError, match="rqvae.json"):
        SemanticIDs.load(tmp_path, RQVAE)


def test_random_codebooks_collapse_and_kmeans_ones_do_not():
    """The failure the paper names: with random codebooks most codes are never used."""
    x = np.random.default_rng(0).normal(size=(300, 24)).astype(np.float32)
    used = {}
    for init in (True, False):
        codes = RQVAE((16, 16, 16), seed=0, latent=16, hidden=32, epochs=15, kmeans_init=init).fit_encode(x)
        used[init] = len(np.unique(codes[:, 0]))
    assert used[False] < used[True] / 2


def test_an_untrained_rqvae_says_so():
    with pytest.raises(CRSError, match="fit"):
        RQVAE().encode(np.zeros((1, 4), dtype=np.float32))
