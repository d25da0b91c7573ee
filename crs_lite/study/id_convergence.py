"""How fast a model learns item <-> ID, by the kind of ID: residual K-means, RQ-VAE, random (first experiment of the
paper's digest). Nothing else is trained: no contexts, no queries, no reasoning."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crs_lite import sft
from crs_lite.baselines.rqvae import RQVAE
from crs_lite.context import item_context
from crs_lite.files import read_json, write_json
from crs_lite.logs import SearchLog
from crs_lite.model import backbones
from crs_lite.profiles import Profile
from crs_lite.ranker import roundtrip
from crs_lite.sid import SemanticIDs, random_ids
from crs_lite.sid.report import report
from crs_lite.tasks import Codec, item_to_sid, sid_to_item
from crs_lite.unfinished import Keeper, fit

KINDS = ("kmeans", "rqvae", "random")


def ids_of(kind: str, x: np.ndarray, sizes: tuple[int, int, int], seed: int) -> SemanticIDs:
    """IDs of that kind for item vectors `(N, d)`."""
    if kind == "random":
        return random_ids(len(x), sizes, seed)
    return SemanticIDs.build(x, sizes, seed, quantiser=RQVAE(sizes, seed) if kind == "rqvae" else None)


def converge(
    log: SearchLog, x: np.ndarray, kind: str, profile: Profile, seed: int, unfinished: Path | None = None
) -> dict:
    """Train a fresh model on both directions and try it eight times on the way. `unfinished`: a folder in which a
    killed training finds its own state, the curve so far included.

    -> `report` of the IDs, `curve` of (epochs, share of items whose ID comes first, share of titles exactly right) on
    an evenly spread quarter of the items, and `final`, the same two on `check_items` of them.
    """
    sids = ids_of(kind, x, profile.sid_sizes, seed)
    texts = [item_context(i) for i in log.items] + [i.title for i in log.items]
    model, tokenizer = backbones.build(profile, texts, sids.tokens(), seed)
    model = model.to(backbones.accelerator())
    codec = Codec(log, sids, tokenizer)
    kept = unfinished / "curve.json" if unfinished else None
    before = read_json(kept, list[tuple[int, float, float]], "delete it.") if kept and kept.exists() else []
    curve = {epoch: rest for epoch, *rest in before}
    every = max(1, profile.mapping_epochs // 8)

    def look(epoch: int) -> None:
        if epoch % every == 0:
            found = roundtrip(model, codec, max(1, min(profile.check_items, len(log.items)) // 4))
            curve[epoch] = [found["item_to_sid_hr1"], found["sid_to_title_exact"]]
            if kept:
                write_json(kept, [(epoch, *tried) for epoch, tried in curve.items()])

    sft.train(
        model,
        tokenizer,
        item_to_sid(codec) + sid_to_item(codec),
        epochs=profile.mapping_epochs,
        lr=profile.align_lr,
        batch_tokens=profile.batch_tokens,
        seed=seed,
        dtype=profile.dtype,
        on_epoch=look,
        **({"fit": lambda trainer: fit(trainer, Keeper(unfinished))} if unfinished else {}),
    )
    points = [(epoch, *tried) for epoch, tried in sorted(curve.items())]
    return {"report": report(x, sids), "curve": points, "final": roundtrip(model, codec, profile.check_items)}
