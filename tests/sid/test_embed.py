"""Item text to vectors: like beside like, the same numbers wherever they come from, wrong weights refused."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer
from vectors import clusters

from crs_lite.errors import CRSError
from crs_lite.logs import Item, SearchLog
from crs_lite.sid import embed
from crs_lite.sid.embed import item_embeddings, item_text, load_embedder


def small_log() -> SearchLog:
    items = [
        Item(id=0, key="p0", title="Waterproof hiking boots", brand="Alpina", attributes={"colour": "red"}),
        Item(id=1, key="p1", title="Leather trekking boots for mountains", category="shoes"),
        Item(id=2, key="p2", title="Stainless steel espresso machine", category="kitchen"),
        Item(id=3, key="p3", title="Leather trekking boots for mountains", category="shoes"),
    ]
    return SearchLog("small", items, [], [])


def test_item_text():
    item = Item(id=0, key="p", title="Trail\n shoe.", brand="Acme", category="shoes", attributes={"colour": "red"})
    assert item_text(item) == "Trail shoe, category shoes, brand Acme, colour red."
    assert item_text(Item(id=0, key="p", title="Mug")) == "Mug."


def test_minilm_puts_like_beside_like(tmp_path):
    log, cache = small_log(), tmp_path / "cache.safetensors"
    x = item_embeddings(log, cache=cache)
    assert x.shape == (4, 384) and x.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    near, far = x[0] @ x[1], max(x[0] @ x[2], x[1] @ x[2])
    assert near > far + 0.3
    assert (x[1] == x[3]).all()
    # From the cache, and as a shipped file: the very same numbers.
    assert (item_embeddings(log, cache=cache) == x).all() and (item_embeddings(log, shipped=cache) == x).all()
    # Mean pooling over tokens by hand, with transformers alone.
    folder = embed._minilm_folder()
    tokens = AutoTokenizer.from_pretrained(folder)(item_text(log.items[0]), return_tensors="pt")
    with torch.no_grad():
        mean = AutoModel.from_pretrained(folder)(**tokens).last_hidden_state[0].mean(0).numpy()
    assert x[0] @ (mean / np.linalg.norm(mean)) == pytest.approx(1, abs=1e-4)


def test_shipped_embeddings_are_verified(tmp_path):
    path, log = tmp_path / "x.safetensors", small_log()
    sha = embed.sha_of_texts([item_text(item) for item in log.items])
    x = clusters(n=4, d=384)
    embed.save_embeddings(path, x, sha)
    np.testing.assert_allclose(item_embeddings(log, shipped=path), x, atol=1e-3)
    embed.save_embeddings(path, x, "0" * 64)
    with pytest.raises(CRSError, match="texts_sha256.*embed again"):
        item_embeddings(log, shipped=path)
    embed.save_embeddings(path, x, sha, model="other")
    with pytest.raises(CRSError, match="model is 'other'"):
        item_embeddings(log, shipped=path)
    with pytest.raises(CRSError, match="no such file"):
        item_embeddings(log, shipped=tmp_path / "none.safetensors")


def test_wrong_weights_and_unknown_models_are_refused(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    for name in ("no such model/at all", "example/not-in-the-cache"):
        with pytest.raises(CRSError, match="use 'minilm'"):
            load_embedder(name)
    monkeypatch.setattr(embed, "MINILM_SHA256", "0" * 64)
    with pytest.raises(CRSError, match="sha256 53aa51172d14"):
        load_embedder()
    monkeypatch.setattr(embed, "MINILM_PACKAGE", "crs-no-such-package")
    with pytest.raises(CRSError, match="not installed"):
        load_embedder()
