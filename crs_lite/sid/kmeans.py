"""Residual K-means: quantise a vector, then what is left of it, then what is left of that.

Method section "Semantic IDs": three layers, one K-means each, one pass per layer. A new item is placed
in the existing codebook by nearest centroids alone; nothing is retrained.
"""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
from scipy.spatial.distance import cdist

from crs_lite.errors import CRSError
from crs_lite.files import read_arrays, read_json, write_arrays, write_json

SIZES = (32, 32, 32)  # our choice for 1,000 items: about the square root of the catalogue in every layer
_CHUNK = 65536  # rows encoded at a time, which bounds the memory for exact distances
KMEANS = {
    "niter": 25,
    "init_method": faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
    "min_points_per_centroid": 1,  # small catalogues have few items a centroid: no warning
}  # and large ones are not subsampled: see `max_points_per_centroid` below


class ResidualKMeans:
    """One codebook a layer. `codebooks[l]` is `(k_l, d)` float32 with `k_l <= sizes[l]`.

    `k_l` is smaller only when a layer has fewer distinct vectors than `sizes[l]`.
    """

    kind = "kmeans"

    def __init__(self, sizes: tuple[int, ...] = SIZES, seed: int = 0):
        if not sizes or min(sizes) < 1:
            raise CRSError(f"codebook sizes {tuple(sizes)}: every layer needs at least one code; use e.g. {SIZES}.")
        self.sizes, self.seed = tuple(int(k) for k in sizes), int(seed)
        self.codebooks: list[np.ndarray] = []

    def fit(self, x: np.ndarray) -> ResidualKMeans:
        """Learn the codebooks from `(N, d)` vectors; the same `x` and seed give the same codebooks."""
        self.fit_encode(x)
        return self

    def fit_encode(self, x: np.ndarray) -> np.ndarray:
        """`fit(x)` and `encode(x)` in one pass: `(N, layers)` int64 codes."""
        residual = _matrix(x)
        if not len(residual):
            raise CRSError("no item vectors to cluster; the catalogue must hold at least one item.")
        self.codebooks, codes = [], np.empty((len(residual), len(self.sizes)), dtype=np.int64)
        for layer, k in enumerate(self.sizes):
            self.codebooks.append(_centroids(residual, k, self.seed + layer))
            codes[:, layer] = _nearest(residual, self.codebooks[-1])
            residual = residual - self.codebooks[-1][codes[:, layer]]
        return codes

    def encode(self, x: np.ndarray) -> np.ndarray:
        """`(n, layers)` int64 codes of seen or unseen `(n, d)` vectors; a row's codes never depend on other rows."""
        if not self.codebooks:
            raise CRSError("these codebooks are empty; call fit() before encode().")
        residual = _matrix(x)
        if residual.shape[1] != self.codebooks[0].shape[1]:
            raise CRSError(
                f"vectors have {residual.shape[1]} dimensions, the codebooks {self.codebooks[0].shape[1]}; "
                "embed with the model the codebooks were built from."
            )
        codes = np.empty((len(residual), len(self.sizes)), dtype=np.int64)
        for layer, codebook in enumerate(self.codebooks):
            codes[:, layer] = _nearest(residual, codebook)
            residual = residual - codebook[codes[:, layer]]
        return codes

    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """`(n, d)` sum of centroids for `(n, m)` codes; `m` below the number of layers gives the coarser vector."""
        return sum(self.codebooks[layer][codes[:, layer]] for layer in range(codes.shape[1]))

    def save(self, folder: Path) -> None:
        """Write `kmeans.safetensors` (the codebooks) and `kmeans.json` (sizes, seed)."""
        write_arrays(folder / "kmeans.safetensors", {f"layer_{n}": c for n, c in enumerate(self.codebooks)}, {})
        write_json(folder / "kmeans.json", {"sizes": self.sizes, "seed": self.seed})

    @classmethod
    def load(cls, folder: Path) -> ResidualKMeans:
        """Read what `save` wrote. Raises `CRSError` for missing or damaged files."""
        arrays, _ = read_arrays(folder / "kmeans.safetensors")
        about = read_json(folder / "kmeans.json", dict, "build the codes again.")
        try:
            kmeans = cls(tuple(about["sizes"]), about["seed"])
            kmeans.codebooks = [arrays[f"layer_{n}"] for n in range(len(kmeans.sizes))]
        except (KeyError, TypeError) as e:
            raise CRSError(f"{folder / 'kmeans.json'}: damaged ({e!r}); build the codes again.") from None
        return kmeans


def _matrix(x: np.ndarray) -> np.ndarray:
    x = np.ascontiguousarray(x, dtype=np.float32)
    if x.ndim != 2:
        raise CRSError(f"item vectors have shape {x.shape}; pass one row per item, (n, d).")
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise CRSError(f"item vectors, row {bad[0]}: not a finite number; mend that item's text and embed again.")
    return x


def _centroids(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    """`(min(k, distinct rows), d)`: with no more distinct rows than codes, each row is its own centroid."""
    if len(np.unique(x[: 4 * k], axis=0)) <= k:  # the first few usually settle it; sorting a million rows is slow
        distinct = np.unique(x, axis=0)
        if len(distinct) <= k:
            return distinct
    kmeans = faiss.Kmeans(x.shape[1], k, seed=seed, **KMEANS, max_points_per_centroid=len(x))
    kmeans.train(x)
    return kmeans.centroids.copy()


def _nearest(x: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Row numbers of the nearest centroids, `(n,)`; the lower number wins a tie.

    faiss finds the two nearest, but its distances change in the last bits with the number of rows asked at once, and an
    item encoded alone must get the codes it got among all others. So where the two are close, exact distances decide.
    """
    if len(codebook) == 1:
        return np.zeros(len(x), dtype=np.int64)
    index = faiss.IndexFlatL2(codebook.shape[1])
    index.add(codebook)
    codes = np.empty(len(x), dtype=np.int64)
    # |x - c|^2 is computed as |x|^2 - 2xc + |c|^2, so its error is in proportion to these norms, not to the distance.
    largest = float((codebook.astype(np.float64) ** 2).sum(1).max())
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK]
        distance, nearest = index.search(part, 2)
        best = nearest[:, 0]
        scale = np.einsum("nd,nd->n", part, part) + largest
        close = np.flatnonzero(distance[:, 1] - distance[:, 0] <= 1e-4 * scale)
        if len(close):
            best[close] = cdist(part[close], codebook, "sqeuclidean").argmin(axis=1)
        codes[start : start + _CHUNK] = best
    return codes
