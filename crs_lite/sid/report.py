"""How good a set of semantic IDs is, before any model is trained on it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from crs_lite.sid.codes import SemanticIDs


def report(x: np.ndarray, ids: SemanticIDs) -> dict:
    """Figures for item vectors `x` `(N, d)` and their IDs, N > 0. The per-layer lists are for layers a, b, c.

    collision_rate: share of items, 0..1, whose three codes another item has too (before the fourth code)
    items_per_code, max_items_per_code: mean and largest number of items on one triple of codes in use
    max_d: largest fourth code
    utilisation: share of the layer's codes that some item uses, 0..1
    entropy_bits: Shannon entropy of the layer's codes over items; entropy_share: that over log2(layer size), 0..1
    error: squared error after layers 1..l over the items' variance; 1 = no better than the mean vector, 0 = exact
    build_seconds: wall time of building, None when unknown

    Without a quantiser (random IDs) `error` uses the best codebooks for the given codes, layer by layer,
    so that the comparison is as kind to them as it can be.
    """
    three = ids.codes[:, :3]
    _, group_sizes = np.unique(three, axis=0, return_counts=True)
    counts = [np.bincount(three[:, layer], minlength=ids.sizes[layer]) for layer in range(3)]
    bits = [entropy_bits(c) for c in counts]
    return {
        "items": len(ids),
        "collision_rate": float(group_sizes[group_sizes > 1].sum() / len(ids)),
        "items_per_code": float(group_sizes.mean()),
        "max_items_per_code": int(group_sizes.max()),
        "max_d": int(ids.codes[:, 3].max()),
        "utilisation": [float((c > 0).mean()) for c in counts],
        "entropy_bits": bits,
        "entropy_share": [b / math.log2(len(c)) if len(c) > 1 else 1.0 for b, c in zip(bits, counts, strict=True)],
        "error": _errors(np.asarray(x, dtype=np.float64), ids),
        "build_seconds": ids.build_seconds,
    }


def table(reports: dict[str, dict]) -> pd.DataFrame:
    """One row per kind of ID, e.g. `table({"residual K-means": report(x, ids), "random": ...})`."""
    rows = {}
    for name, figures in reports.items():
        row = {"collision rate": figures["collision_rate"], "items / code": figures["items_per_code"]}
        row["max d"] = figures["max_d"]
        for key, label in (("utilisation", "used"), ("entropy_share", "entropy"), ("error", "error")):
            row |= {f"{label} {letter}": value for letter, value in zip("abc", figures[key], strict=False)}
        rows[name] = row | {"build s": figures["build_seconds"]}
    return pd.DataFrame.from_dict(rows, orient="index")


def entropy_bits(counts: np.ndarray) -> float:
    """Shannon entropy in bits of the distribution given by counts."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum()) + 0.0  # + 0.0 turns -0.0 into 0.0


def _errors(x: np.ndarray, ids: SemanticIDs) -> list[float]:
    variance = ((x - x.mean(axis=0)) ** 2).sum()
    errors, residual = [], x
    for layer in range(3):
        if ids.quantiser is not None:
            residual = x - ids.quantiser.reconstruct(ids.codes[:, : layer + 1])
        else:
            code = ids.codes[:, layer]
            sums = np.zeros((ids.sizes[layer], x.shape[1]))
            np.add.at(sums, code, residual)
            residual = residual - (sums / np.maximum(np.bincount(code, minlength=len(sums)), 1)[:, None])[code]
        # Identical items leave nothing to explain.
        errors.append(float((residual**2).sum() / variance) if variance > 1e-12 else 0.0)
    return errors
