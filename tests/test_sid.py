from __future__ import annotations

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crs_lite.errors import CRSError
from crs_lite.logs import Item, SearchLog
from crs_lite.baselines.rqvae import RQVAE
from crs_lite.sid import (
    ResidualKMeans,
    SemanticIDs,
    embed,
    item_embeddings,
    item_text,
    load_embedder,
    random_ids,
)
from crs_lite.sid.codes import HEADROOM
from crs_lite.sid.report import entropy_bits, report, table


def clusters(n: int = 300, d: int = 16, seed: int = 0) -> np.ndarray:
    """Unit vectors around 12 centres, as item embeddings are."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(12, d))[rng.integers(0, 12, n)] + 0.4 * rng.normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return clusters()


@pytest.fixture(scope="module")
def ids(x) -> SemanticIDs:
    return SemanticIDs.build(x, sizes=(8, 8, 8), seed=1)


# -- residual K-means --------------------------------------------------------------------------------


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


# -- semantic IDs ------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 60),
    d=st.integers(1, 8),
    sizes=st.tuples(*[st.integers(1, 6)] * 3),
    levels=st.integers(1, 50),
    seed=st.integers(0, 10_000),
)
def test_ids_are_unique_and_invertible(n, d, sizes, levels, seed):
    """Coarse integer vectors make many exact duplicates."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, levels, size=(n, d)).astype(np.float32)
    for ids in (SemanticIDs.build(vectors, sizes, seed), random_ids(n, sizes, seed)):
        strings = [ids.to_string(item) for item in range(n)]
        assert len(set(strings)) == n
        assert [ids.from_string(s) for s in strings] == [ids.item_of(c) for c in ids.codes] == list(range(n))
        vocabulary = ids.tokens()
        assert len(set(vocabulary)) == len(vocabulary) == sum(ids.sizes)
        assert {t for item in range(n) for t in ids.tokens_of(item)} <= set(vocabulary)
        for item in range(n):  # the fourth code counts the earlier items with the same three
            same = (ids.codes[:item, :3] == ids.codes[item, :3]).all(axis=1).sum()
            assert ids.codes[item, 3] == same


def test_unseen_duplicate_gets_the_same_three_codes_and_a_fresh_fourth(x, ids):
    grown = ids.assign_new(x[[10, 10, 42]])
    assert (grown.codes[: len(ids)] == ids.codes).all() and len(grown) == len(ids) + 3
    assert grown.tokens() == ids.tokens()
    for new, old in ((300, 10), (301, 10), (302, 42)):
        assert (grown.codes[new, :3] == ids.codes[old, :3]).all()
        assert ids.item_of(grown.codes[new]) is None and grown.item_of(grown.codes[new]) == new
    assert grown.codes[301, 3] == grown.codes[300, 3] + 1


def test_spare_fourth_tokens_run_out_with_a_remedy(x, ids):
    largest = int(ids.codes[:, 3].argmax())
    full = ids.assign_new(np.repeat(x[[largest]], HEADROOM, axis=0))
    assert full.codes[:, 3].max() == ids.sizes[3] - 1
    with pytest.raises(CRSError, match="headroom"):
        full.assign_new(x[[largest]])
    with pytest.raises(CRSError, match="codebook"):
        random_ids(10).assign_new(x[:1])


def test_written_form():
    ids = SemanticIDs.from_three(np.array([[23, 1, 124], [0, 0, 0], [23, 1, 124]]), (32, 32, 128))
    assert ids.to_string(0) == "<a_23><b_1><c_124><d_0>" and ids.to_string(2) == "<a_23><b_1><c_124><d_1>"
    assert ids.from_string(" <a_0><b_0><c_0><d_0>\n") == 1
    short, padded = "<a_0><b_0><c_0>", "<a_00><b_0><c_0><d_0>"
    nobodys, spaced = "<a_0><b_0><c_0><d_1>", "<a_0> <b_0><c_0><d_0>"
    for wrong in ("", short, padded, nobodys, spaced):
        assert ids.from_string(wrong) is None
    assert ids.tokens()[:2] == ["<a_0>", "<a_1>"] and ids.tokens()[-1] == f"<d_{1 + HEADROOM}>"
    with pytest.raises(CRSError, match="item 3"):
        ids.to_string(3)
    with pytest.raises(CRSError, match="item 1.*outside"):
        SemanticIDs.from_three(np.array([[0, 0, 0], [0, 4, 0]]), (4, 4, 4))
    with pytest.raises(CRSError, match="same four codes"):
        SemanticIDs(np.zeros((2, 4), dtype=np.int64), (1, 1, 1, 1))


def test_save_and_load(tmp_path, x, ids):
    for name, one in (("kmeans", ids), ("random", random_ids(40, (4, 4, 4), 2))):
        one.save(tmp_path / name)
        again = SemanticIDs.load(tmp_path / name)
        assert (again.codes == one.codes).all() and again.tokens() == one.tokens()
        again.save(tmp_path / "again" / name)
        for file in (tmp_path / name).iterdir():
            assert file.read_bytes() == (tmp_path / "again" / name / file.name).read_bytes()
    unseen = clusters(n=20, seed=4)
    assert (SemanticIDs.load(tmp_path / "kmeans").assign_new(unseen).codes == ids.assign_new(unseen).codes).all()


def test_damaged_files_are_named(tmp_path, ids):
    with pytest.raises(CRSError, match="no such file"):
        SemanticIDs.load(tmp_path)
    ids.save(tmp_path)
    (tmp_path / "kmeans.json").write_text("{")
    with pytest.raises(CRSError, match="kmeans.json"):
        SemanticIDs.load(tmp_path)
    (tmp_path / "sids.safetensors").write_bytes(b"not tensors")
    with pytest.raises(CRSError, match="sids.safetensors"):
        SemanticIDs.load(tmp_path)


# -- report ------------------------------------------------------------------------------------------


def test_entropy_by_hand():
    assert entropy_bits(np.array([4, 4, 4, 4])) == pytest.approx(2.0)
    assert entropy_bits(np.array([2, 1, 1, 0])) == pytest.approx(1.5)  # 1/2 * 1 + 2 * 1/4 * 2
    assert entropy_bits(np.array([7, 0])) == 0.0


def test_report_by_hand():
    """Four items on a line; layer a splits them in two, b and c say nothing, items 2 and 3 collide."""
    three = np.array([[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]])
    figures = report(np.array([[0.0], [2.0], [10.0], [12.0]]), SemanticIDs.from_three(three, (4, 2, 1)))
    assert figures["collision_rate"] == 0.5 and figures["max_d"] == 1
    assert figures["items_per_code"] == pytest.approx(4 / 3) and figures["max_items_per_code"] == 2
    assert figures["utilisation"] == [0.5, 1.0, 1.0]
    assert figures["entropy_bits"] == pytest.approx([1.0, 0.8112781245, 0.0])
    assert figures["entropy_share"] == pytest.approx([0.5, 0.8112781245, 1.0])
    # Variance 4 * 26 = 104. Layer a leaves -1, 1, -1, 1 (4); b takes 1 off item 1 and adds 1/3 to the others.
    assert figures["error"] == pytest.approx([4 / 104, (8 / 3) / 104, (8 / 3) / 104])


def test_error_falls_layer_by_layer_and_random_ids_are_worse(x, ids):
    good, bad = report(x, ids), report(x, random_ids(len(x), (8, 8, 8)))
    assert 1 > good["error"][0] > good["error"][1] > good["error"][2] > 0
    assert all(b > 2 * g for g, b in zip(good["error"], bad["error"], strict=True))
    rows = table({"K-means": good, "random": bad})
    assert list(rows.index) == ["K-means", "random"] and rows.loc["K-means", "error c"] == good["error"][2]
    assert good["build_seconds"] > 0


# -- embeddings --------------------------------------------------------------------------------------


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
    import torch
    from transformers import AutoModel, AutoTokenizer

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


# -- RQ-VAE ------------------------------------------------------------------------------------


def four_groups(n=120, d=16, seed=0):
    """Vectors in 4 tight groups far apart."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(4, d)) * 3
    return (centres[np.arange(n) % 4] + 0.05 * rng.normal(size=(n, d))).astype(np.float32)


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
    again = SemanticIDs.load(tmp_path)
    assert (again.codes == ids.codes).all() and (again.quantiser.encode(x[:7]) == rq.encode(x[:7])).all()
    assert again.assign_new(four_groups(8, seed=0)).codes.shape == (128, 4)
    (tmp_path / "rqvae.json").write_text("{")
    with pytest.raises(CRSError, match="rqvae.json"):
        SemanticIDs.load(tmp_path)


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
