"""The frozen shop: byte for byte what its generator makes; other shops are made, saved and loaded the same way."""

import gzip
import json
import re

import pytest

from crs_lite import marketplace
from crs_lite.errors import CRSError
from crs_lite.logs import write_jsonl_gz
from crs_lite.marketplace import FROZEN_SHA256, Weights, generate, load
from crs_lite.paths import SHIPPED


@pytest.mark.slow
def test_the_frozen_shop_is_regenerated_byte_for_byte(tmp_path):
    log, truth = generate()
    world = json.loads((SHIPPED / "world.json").read_text(encoding="utf-8"))
    assert world["sha256"] == FROZEN_SHA256
    about = {key: world[key] for key in ("generator", "requests", "test_ceilings")}
    marketplace.save(tmp_path, log, truth, about)
    assert len(list(tmp_path.iterdir())) == 5
    for file in tmp_path.iterdir():
        frozen = (SHIPPED / file.name).read_bytes()
        if file.suffix == ".gz":  # the content: another zlib may compress the same bytes otherwise
            assert gzip.decompress(file.read_bytes()) == gzip.decompress(frozen), file.name
        else:
            assert file.read_bytes() == frozen, file.name
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) < 4_000_000


def test_load_gives_back_what_was_saved(small_shop, tmp_path):
    log, truth = small_shop
    marketplace.save(tmp_path, log, truth, {})
    again, known = load(tmp_path)
    assert again.digest() == log.digest() and again.name == log.name
    assert known.tastes == truth.tastes and known.weights == truth.weights
    test = log.split("test")
    assert (known.informed(again.split("test"), 5) == truth.informed(test, 5)).all()


def test_equal_numbers_make_equal_shops_and_other_numbers_others(small_shop):
    log, truth = small_shop
    again, known = generate(seed=5, n_items=100, n_users=150)
    assert (again.digest(), known.tastes) == (log.digest(), truth.tastes) and log.name == "marketplace-5-100-150"
    assert generate(seed=6, n_items=100, n_users=150)[0].digest() != log.digest()
    weights = Weights(style=0.0)
    assert generate(seed=5, n_items=100, n_users=150, weights=weights)[0].digest() != log.digest()
    for numbers in ({"n_items": 10}, {"n_users": 0}):
        with pytest.raises(CRSError, match="too small"):
            generate(**numbers)


def test_a_shop_that_was_changed_is_refused_by_file(small_shop, tmp_path):
    log, truth = small_shop
    with pytest.raises(CRSError, match="world.json"):
        load(tmp_path)
    marketplace.save(tmp_path, log, truth, {})
    path = tmp_path / "world.json"
    world = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'"sha256": "\w', '"sha256": "x', world), encoding="utf-8")
    with pytest.raises(CRSError, match="sha256"):
        load(tmp_path)
    path.write_text(world.replace('"style"', '"stile"'), encoding="utf-8")
    with pytest.raises(CRSError, match="world.json: not the description of a marketplace"):
        load(tmp_path)
    path.write_text(world, encoding="utf-8")
    write_jsonl_gz(tmp_path / "tastes.jsonl.gz", [{"user": 0, "style": "plain"}])
    with pytest.raises(CRSError, match="tastes.jsonl.gz, row 1"):
        load(tmp_path)
