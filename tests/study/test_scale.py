"""The path at a thousandth of its size: the files are what they say, and the record holds what was measured."""

import json

import pandas as pd
import pytest
from pyarrow import parquet

from crs_lite import paths
from crs_lite.__main__ import main
from crs_lite.adapters import mylog
from crs_lite.adapters.columns import ColumnLog
from crs_lite.errors import CRSError
from crs_lite.study import scale


def test_the_files_are_a_shop_and_the_same_for_the_same_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "CHUNK", 700)  # so that there are several
    for name in "ab":
        (tmp_path / name).mkdir()
        files = scale.write(tmp_path / name, 1000, 2000, seed=1)
    a, b = (pd.read_parquet(tmp_path / name / "searches.parquet") for name in "ab")
    pd.testing.assert_frame_equal(a, b)
    assert parquet.ParquetFile(files["searches"]).num_row_groups == 3
    assert all(set(c) <= set(s) for c, s in zip(a["clicked"], a["shown"], strict=True))
    assert all(len(c) == len(s) for c, s in zip(a["clicked"], a["strength"], strict=True))
    log, account, sessions = mylog.read(**files, many=0)
    assert isinstance(log, ColumnLog) and (len(log.items), len(log.requests), len(log.users)) == (1000, 2000, 200)
    assert account.files["searches"].kept == 2000 and len(set(sessions)) == 667
    words = [set(r.query.split()) <= set(log.items[r.target].title.split()) for r in log.requests]
    assert 0.4 < sum(words) / 2000 < 0.6


@pytest.mark.slow
def test_a_small_measurement_is_a_whole_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    monkeypatch.setattr(scale, "CODES", 16)
    assert main("scale --items 1000 --searches 3000 --contexts 40".split()) == 0
    made = scale.load(tmp_path / "scale.json")
    assert (made.items, made.searches, made.shoppers, made.nodes[-1]) == (1000, 3000, 300, 1000)
    assert made.nodes[0] <= 16 and made.nodes == sorted(made.nodes)
    assert made.trie_mb == pytest.approx(4e-6 * (1 + sum(made.nodes[:-1]) + 1 + sum(made.nodes) + 1000))
    assert 80 < made.bytes_a_search < 200 and made.tokens_a_lesson > made.tokens_a_prompt > 20
    assert [p.peak_gb for p in made.parts] == sorted(p.peak_gb for p in made.parts) and made.parts[
        -1
    ].peak_gb <= made.peak_gb
    assert f"{made.bytes_a_search:.0f} bytes a search" in capsys.readouterr().out


def test_the_record_of_the_book_is_the_size_it_speaks_of():
    made = scale.load(paths.SCALE)
    assert (made.items, made.searches) == (10**6, 10**7) and "+changes" not in made.commit
    assert made.peak_gb < 8 and made.nodes[-1] == made.items


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "scale.json").write_text(json.dumps({"items": 3}), encoding="utf-8")
    with pytest.raises(CRSError, match="scale.json.*make it with `python -m crs_lite scale --record`"):
        scale.load(tmp_path / "scale.json")
