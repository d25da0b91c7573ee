"""Residual K-means against nearest centroids by plain search, layer by layer."""

import faiss
import numpy as np
import pytest
from vectors import clusters

from crs_lite.errors import CRSError
from crs_lite.sid.kmeans import ResidualKMeans


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return clusters()


def test_codes_are_nearest_centroids_of_residuals(x):
    kmeans = ResidualKMeans((8, 6, 4), seed=3).fit(x)
    unseen = clusters(n=50, seed=9)
    codes, residual = kmeans.encode(unseen), unseen.copy()
    for layer, codebook in enumerate(kmeans.codebooks):
        index = faiss.IndexFlatL2(codebook.shape[1])
        index.add(codebook)
        by_faiss = index.search(residual, 1)[1][:, 0]
        brute = [min(range(len(codebook)), key=lambda k: float(((r - codebook[k]) ** 2).sum())) for r in residual]
        assert codes[:, layer].tolist() == by_faiss.tolist() == brute
        residual = residual - codebook[by_faiss]
    np.testing.assert_allclose(kmeans.reconstruct(codes) + residual, unseen, atol=1e-5)


def test_centroids_are_means_and_beat_chance(x):
    """A K-means centroid is about the mean of its members, and much nearer to them than random items are."""
    kmeans = ResidualKMeans((8, 8, 8), seed=0).fit(x)
    first = kmeans.encode(x)[:, 0]
    for k, centroid in enumerate(kmeans.codebooks[0]):
        assert np.linalg.norm(x[first == k].mean(axis=0) - centroid) < 0.1
    chance = x[np.random.default_rng(0).choice(len(x), 8, replace=False)]
    chance_error = ((x[:, None] - chance) ** 2).sum(-1).min(1).mean()
    assert ((x - kmeans.codebooks[0][first]) ** 2).sum(1).mean() < chance_error


def test_same_seed_same_codes_other_seed_other_codes(x):
    one, two, other = (ResidualKMeans((8, 8, 8), seed).fit(x).encode(x) for seed in (5, 5, 6))
    assert (one == two).all() and (one != other).any()


def test_fitting_and_encoding_in_one_pass_is_no_different(x):
    one, two = ResidualKMeans((8, 8, 8), 1), ResidualKMeans((8, 8, 8), 1).fit(x)
    assert (one.fit_encode(x) == two.encode(x)).all()


def test_a_row_gets_the_same_codes_alone_and_among_others(x):
    kmeans = ResidualKMeans((16, 16, 16)).fit(x)
    assert (np.vstack([kmeans.encode(row[None]) for row in x]) == kmeans.encode(x)).all()


def test_fewer_items_than_codes_are_reproduced_exactly():
    few = clusters(n=5)
    kmeans = ResidualKMeans((32, 32, 32)).fit(few)
    codes = kmeans.encode(few)
    assert len(set(codes[:, 0])) == 5
    np.testing.assert_allclose(kmeans.reconstruct(codes), few, atol=1e-6)


def test_unusable_vectors_are_refused_by_row(x):
    bad = x.copy()
    bad[7, 2] = np.nan
    with pytest.raises(CRSError, match="row 7"):
        ResidualKMeans((4, 4, 4)).fit(bad)
    with pytest.raises(CRSError, match="at least one item"):
        ResidualKMeans((4, 4, 4)).fit(x[:0])
    with pytest.raises(CRSError, match="dimensions"):
        ResidualKMeans((4, 4, 4)).fit(x).encode(x[:, :5])
    with pytest.raises(CRSError, match="fit"):
        ResidualKMeans().encode(x)
    with pytest.raises(CRSError, match="at least one code"):
        ResidualKMeans((4, 0, 4))
