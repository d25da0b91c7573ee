"""Recorded rows of a study whose answer is known."""

from pathlib import Path

import numpy as np

from crs_lite.study import recorded

QUALITY = {
    ("arms", "distilled"): 0.3,
    ("arms", "rgrpo-0"): 0.5,
    ("arms", "rgrpo-1"): 0.5,
    ("arms", "grpo-0"): 0.4,
    ("arms", "grpo-1"): 0.4,
    ("loop", "rgrpo-round0-sft"): 0.6,
    ("loop", "rgrpo-round1-rl"): 0.45,
    ("loop", "rgrpo-round1-sft"): 0.7,
    ("loop", "grpo-round1-rl"): 0.46,
    ("main", "direct-SFT"): 0.5,
    ("main", "direct-SFT-valid"): 0.5,
    ("main", "DSI"): 0.8,
    ("main", "DSI-valid"): 0.2,
    ("main", "aligned"): 0.4,
    ("main", "aligned-valid"): 0.4,
    ("main", "aligned-query-only-valid"): 0.1,
    ("main", "LTRGR"): 0.1,
    ("main", "LTRGR-valid"): 0.15,
    ("main", "latent-SFT-valid"): 0.45,
    ("main", "LatentR3"): 0.1,
    ("main", "LatentR3-valid"): 0.44,
}


def world(folder: Path, quality: dict[tuple[str, str], float], seeds: int = 5, n: int = 300) -> None:
    """Rows in which a system puts the target first with the given probability, and misses it otherwise."""
    for (experiment, name), p in quality.items():
        for seed in range(seeds):
            rng = np.random.default_rng([seed, len(name), sum(map(ord, experiment + name))])
            hit = rng.random(n) < p
            prior = int(400 * (1 - p))
            planted = {"claims": 1000, "prior": prior, "judged": 500, "prior_false": 10, "unsupported": 100}
            row = {
                "schema": recorded.SCHEMA,
                "row": name,
                "seed": seed,
                "experiment": experiment,
                "request_ids": list(range(n)),
                "cold": [int(i % 4 == 0) for i in range(n)],
                "ranks": [0 if h else None for h in hit],
                "true_reasoning_ranks": [
                    0 if i % 5 else 1 for i in range(n)
                ],  # first in four of five lists, else second
                "utility": (p + 0.01 * rng.normal(size=n)).tolist(),
                "n": n,
                "log": "w",
                "hardware": "h",
                "command": f"experiment {experiment}",
                "commit": "abc",
                "profile": {"hidden": 1, "layers": 1, "name": "x"},
                "parameters": {"parameters": 1},
                "stage_info": {"item_to_sid_hr1": 1.0, "sid_to_title_exact": 0.9},
                "audit": {"planted": planted, "repeated": 0.2, "contradicts_itself": 0.0, "contradicts_context": 0.1},
            }
            recorded.write(folder / experiment / f"{name}-seed{seed}.json", row)


def without(path: Path) -> None:
    """Make a world in which this row was never made: the list of rows does not know it either."""
    path.unlink()
    recorded.renew_listing(path.parents[1])
