"""A shop as a whole: made from a seed, saved, loaded again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import BaseModel, FiniteFloat

from crs_lite.errors import CRSError
from crs_lite.files import read_json, write_json
from crs_lite.logs import SearchLog, read_jsonl_gz, write_jsonl_gz
from crs_lite.marketplace.catalogue import make_items
from crs_lite.marketplace.shoppers import make_log, make_users
from crs_lite.marketplace.truth import Truth
from crs_lite.marketplace.utility import FROZEN_WEIGHTS, TASTES, Utility, Weights, theta_index

N_ITEMS, N_USERS = 1000, 3600
FROZEN_SHA256 = "519103c23130f8ef556d474b41fff734bd9bf3de891300fc8693cb11ee8feb1b"
# The second frozen log: six times as many requests of other shoppers, made when it is asked for.
LARGE_USERS, LARGE_CROWD = 24_000, 1
LARGE_SHA256 = "2dadd70f92f7bd52fa02e734df09d20dbff9555a230ebac8d9ebb06aa2c1aedb"
NAMES = {
    (0, N_ITEMS, N_USERS, 0): "marketplace",
    (0, N_ITEMS, LARGE_USERS, LARGE_CROWD): "marketplace-large",
}


class About(BaseModel):
    """What `world.json` must say."""

    name: str
    sha256: str
    weights: dict[str, FiniteFloat]


def generate(
    seed: int = 0, n_items: int = N_ITEMS, n_users: int = N_USERS, weights: Weights = FROZEN_WEIGHTS, crowd: int = 0
) -> tuple[SearchLog, Truth]:
    """A shop of `n_items` items and `n_users` shoppers; the defaults give the frozen one.

    About 6 requests a user, split by time. Another `crowd` is other shoppers of the same shop: the items of a seed do
    not depend on it. Generation takes time proportional to requests x items.
    """
    if n_items < 100 or n_users < 1:
        raise CRSError(f"a marketplace of {n_items} items and {n_users} users is too small; use at least 100 and 1.")
    items = make_items(np.random.default_rng((seed, 0)), n_items)
    others = (crowd,) if crowd else ()
    users, tastes = make_users(np.random.default_rng((seed, 1, *others)), n_users)
    thetas = np.array([theta_index(t) for t in tastes])
    name = NAMES.get((seed, n_items, n_users, crowd)) if weights == FROZEN_WEIGHTS else None
    name = name or f"marketplace-{'-'.join(map(str, (seed, n_items, n_users, *others)))}"
    log = make_log(np.random.default_rng((seed, 2, *others)), name, items, users, thetas, Utility(items, weights))
    return log, Truth(log, tastes, weights)


def generate_large() -> tuple[SearchLog, Truth]:
    """The second frozen log, in seconds. Raises `CRSError` when it does not come out as frozen."""
    log, truth = generate(n_users=LARGE_USERS, crowd=LARGE_CROWD)
    if log.digest() != LARGE_SHA256:
        raise CRSError(
            f"marketplace-large: expected {LARGE_SHA256}, got another log; use the numpy of requirements.txt."
        )
    return log, truth


def save(folder: Path, log: SearchLog, truth: Truth, about: dict) -> None:
    """Write the log, the hidden tastes (in a file of their own) and `world.json`; equal worlds give equal bytes.

    `about`: further facts for `world.json`, such as the generator's parameters.
    """
    log.save(folder)
    write_jsonl_gz(folder / "tastes.jsonl.gz", ({"user": u, **taste} for u, taste in enumerate(truth.tastes)))
    world = {"name": log.name, "sha256": log.digest(), "weights": asdict(truth.weights), **about}
    write_json(folder / "world.json", world, indent=2)


def load(folder: Path) -> tuple[SearchLog, Truth]:
    """Read what `save` wrote. Raises `CRSError` for a missing or damaged file, or one that is of another world."""
    folder = Path(folder)
    path = folder / "world.json"
    world = read_json(path, About, "check the folder, or regenerate it with `python -m crs_lite data`.")
    try:
        name, digest, weights = world.name, world.sha256, Weights(**world.weights)
    except TypeError as e:
        raise CRSError(f"{path}: not the description of a marketplace ({e!r}); regenerate the folder.") from None
    log = SearchLog.load(folder, name)
    if log.digest() != digest:
        raise CRSError(f"{folder}: its log differs from the sha256 in world.json; regenerate the folder.")
    tastes = []
    path = folder / "tastes.jsonl.gz"
    for n, row in enumerate(read_jsonl_gz(path), 1):
        taste = {name: row.get(name) for name in TASTES}
        if row.get("user") != n - 1 or any(taste[name] not in values for name, values in TASTES.items()):
            raise CRSError(f"{path}, row {n}: not the taste of user {n - 1}; regenerate the folder.")
        tastes.append(taste)
    return log, Truth(log, tastes, weights)
