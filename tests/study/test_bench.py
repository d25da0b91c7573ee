"""The benchmarks compare like with like; here at sizes that take seconds, for correctness, not for time."""

import numpy as np
import pytest
import torch

from crs_lite.rl import packed_logprobs
from crs_lite.study import bench, results
from crs_lite.study.stock import naive_logprobs


@pytest.fixture(scope="module")
def small():
    return bench.Bench.make(n_prompts=2)


def test_random_catalogues_hold_different_items():
    for n, codes in ((1, 4), (200, 4), (5_000, 16)):
        ids = bench.random_catalogue(n, codes, np.random.default_rng(0))
        assert ids.shape == (n, 4) and len(np.unique(ids, axis=0)) == n
        assert all((ids[:, j] // codes == j).all() for j in range(3)) and ids[:, 3].min() >= 3 * codes


def test_the_stock_update_computes_what_ours_does(small):
    completion = torch.randint(4, bench.WORDS, (2, 3, 5), generator=torch.Generator().manual_seed(0))
    mine = packed_logprobs(
        small.model, small.prompts, completion, torch.ones_like(completion, dtype=torch.bool), bench.PAD
    )
    assert torch.allclose(mine, naive_logprobs(small.model, small.prompts, completion), atol=1e-3)


def test_the_stock_beams_rank_as_ours_do(small):
    assert bench._same_lists(small, 4) == 4
    assert bench._same_as_brute_force(small, 1) == 1


def test_k_means_gives_the_codes_of_the_bare_calls():
    (row,) = bench.sid(n=3000, dim=16, codes=8)
    assert float(row.note.split("for ")[1].split("%")[0]) > 99.9


def test_rows_are_kept_by_name_with_their_origin(tmp_path):
    path = tmp_path / "bench.json"
    results.add_bench(path, "step", [bench.Row("update", 0.5, 2.0, 2.5, "a note")])
    results.add_bench(path, "sid", [bench.Row("k-means", 1.1, 1.0)])
    results.add_bench(path, "step", [bench.Row("update", 0.4, 2.0, 2.5, "a note")])
    made = results.load(path)
    assert set(made["bench"]) == {"step", "sid"} and made["bench"]["step"]["rows"][0]["ratio"] == pytest.approx(5.0)
    assert "| update | 0.4 s | 2 s | 5.00 | at least 2.50 | a note |" in results.bench_markdown(made)
