"""Four codes, one item, both ways; new items get what is left; files hold content only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import clusters

from crs_lite.errors import CRSError
from crs_lite.sid.codes import HEADROOM, SemanticIDs, random_ids


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return clusters()


@pytest.fixture(scope="module")
def ids(x) -> SemanticIDs:
    return SemanticIDs.build(x, sizes=(8, 8, 8), seed=1)


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


def test_ids_made_by_another_quantiser_are_not_read_as_ours(tmp_path, ids):
    class Other:
        kind, sizes = "other", (8, 8, 8)

        def save(self, folder):
            pass

    SemanticIDs(ids.codes, ids.sizes, Other()).save(tmp_path)
    with pytest.raises(CRSError, match="sids.json: made by the quantiser 'other', not 'kmeans'; build the codes again"):
        SemanticIDs.load(tmp_path)


def test_three_codes_make_an_id():
    with pytest.raises(CRSError, match="three quantised codes"):
        SemanticIDs.from_three(np.zeros((1, 2), int), (4, 4))
    with pytest.raises(CRSError, match="need .N, 4. codes"):
        SemanticIDs(np.zeros((2, 3), int), (1, 1, 1, 1))
