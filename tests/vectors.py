"""Item vectors as embeddings are: unit length, in clusters."""

import numpy as np


def clusters(n: int = 300, d: int = 16, seed: int = 0) -> np.ndarray:
    """Unit vectors around 12 centres, as item embeddings are."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(12, d))[rng.integers(0, 12, n)] + 0.4 * rng.normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
