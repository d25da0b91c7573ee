"""A log is opened by name, from files that its format reads, with whatever came with it."""

import gzip
import json
import pickle
from pathlib import Path

import pytest

from crs_lite import marketplace, paths
from crs_lite.adapters import kuaisearch, registry, ubi
from crs_lite.adapters.registry import FORMATS, LogSource
from crs_lite.errors import CRSError


def test_the_shipped_shop_comes_with_its_truth_and_its_embeddings(shop):
    opened = LogSource().open()
    assert opened.log.digest() == shop[0].digest() == marketplace.FROZEN_SHA256
    assert opened.about is None  # nothing was skipped: nobody but us made it
    assert opened.truth.tastes == shop[1].tastes and opened.embeddings == paths.SHIPPED / "embeddings.safetensors"


def test_another_world_is_opened_from_its_folder(small_shop, tmp_path):
    marketplace.save(tmp_path, *small_shop, {})
    source = LogSource("marketplace", {"world": tmp_path})
    opened = source.open()
    assert opened.log.digest() == small_shop[0].digest() and opened.embeddings is None
    assert source.words() == f" --world {tmp_path}"


def test_a_real_log_has_neither_truth_nor_embeddings(tmp_path, capsys):
    meta = [{"parent_asin": f"B{i}", "title": f"red saw blade {i}", "store": "Bosch"} for i in range(30)]
    seen = [
        {"user_id": f"U{i % 5}", "parent_asin": f"B{i}", "timestamp": 1_400_000_000_000 + i * 10**7} for i in range(30)
    ]
    for name, rows in (("m", meta), ("r", seen)):
        (tmp_path / name).with_suffix(".jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    files = {"reviews": tmp_path / "r.jsonl.gz", "meta": tmp_path / "m.jsonl.gz"}
    opened = LogSource("amazon2023", files).open()
    assert len(opened.log.items) == 30 and opened.truth is None and opened.embeddings is None
    said = capsys.readouterr().out
    assert "--reviews r.jsonl.gz: 30 read = 30 kept + 0 skipped" in said and "no truth" in said
    assert opened.about["account"]["files"]["meta"]["kept"] == 30
    assert opened.about["checks"]["splits"]["train"]["requests"] == 24
    assert LogSource("amazon2023", files).words().startswith(" --log amazon2023 --reviews ")


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("ebay", {}, f"unknown log 'ebay'; use one of {', '.join(FORMATS)}"),
        ("amazon2023", {}, "--log amazon2023 needs --reviews FILE and --meta FILE"),
        ("amazon2023", {"reviews": "r"}, "--log amazon2023 needs --reviews FILE and --meta FILE"),
        ("marketplace", {"reviews": "r"}, "--log marketplace does not read --reviews; drop it"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_sentence(name, files, message):
    with pytest.raises(CRSError, match=message):
        LogSource(name, files).open()


def test_help_names_every_format_with_its_files_and_fields():
    text = registry.help()
    for name, form in FORMATS.items():
        assert f"--log {name}: {form.title}" in text
        for option, what in form.files.items():
            assert f"--{option} FILE    {what}" in text and registry.options()[option].count(f"{name}: ") == 1
        assert set(form.needed) <= set(form.files) and set(form.fields) <= set(form.files)
        for fields in form.fields.values():
            assert fields and all(f"{field}: {said}" in text for field, said in fields.items())
    assert "[needed]" in text and "bytes for each search kept" in text


def test_a_real_format_describes_every_file_and_says_what_it_has_met():
    real = {name: form for name, form in FORMATS.items() if form.fields}
    assert set(real) == set(FORMATS) - {"marketplace", "marketplace-large"}
    assert all(set(form.fields) == set(form.files) and form.bytes_a_search for form in real.values())
    for module in (ubi, kuaisearch):
        assert "has never met" in module.__doc__.replace("\n", " ")


def test_words_name_files_with_spaces():
    assert LogSource("mylog", {"items": Path("my items.csv")}).words() == " --log mylog --items 'my items.csv'"


def test_it_can_be_sent_to_another_process():
    source = LogSource("marketplace", {"world": paths.SHIPPED})
    assert pickle.loads(pickle.dumps(source)) == source


@pytest.mark.slow
def test_the_large_shop_has_the_items_of_the_shipped_one(shop):
    opened = LogSource("marketplace-large").open()
    assert opened.log.items == shop[0].items and opened.log.digest() == marketplace.LARGE_SHA256
    assert len(opened.log.requests) > 5 * len(shop[0].requests)
