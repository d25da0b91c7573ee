"""What the page "Try it" is given. (That it then computes what Python does: tests/book/test_try_it.py.)"""

import base64
import json
import re
import shutil

import numpy as np
import pytest

from crs_lite.chapters import checkpoints
from crs_lite.chapters.lesson import running_example
from crs_lite.errors import CRSError
from crs_lite.paths import BOOK
from crs_lite.site import live


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "qwen3"},
        {"tie_word_embeddings": False},
        {"attention_bias": True},
        {"rope_parameters": {"rope_type": "yarn"}},
    ],
)
def test_a_model_that_the_scripts_would_compute_wrongly_is_refused(tmp_path, change):
    config = json.loads((checkpoints.FOLDER / live.CHECKPOINT / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert live.model_config(tmp_path / "config.json") == config
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CRSError, match="extend book/live"):
        live.model_config(tmp_path / "config.json")


def test_shoppers_are_unseen_in_training_and_of_all_kinds(shop):
    log = shop[0]
    found = live.shoppers(log)
    profiles = [log.users[r.user].profile for r in found]
    assert found[0] == running_example(log) and {r.split for r in found} == {"valid"}
    assert len({p["city"] for p in profiles}) >= 8 and {p["gender"] for p in profiles} == {"female", "male"}
    assert {0, 2} <= {log.n_past(r) for r in found} and sum(log.n_past(r) >= 8 for r in found) >= 8


def test_one_city_a_weather_band_stands_for_all_of_them(shop):
    log, truth = shop
    request = live.shoppers(log)[2]
    lists = live.informed(truth, request, ["jacket", "warm"])
    month = int(np.datetime64(request.time, "s").astype("datetime64[M]").astype(int) % 12)
    data = {city: [live.band(city, m) for m in range(1, 13)] for city in live.CITIES}
    for city in live.CITIES:
        for query in ("jacket", "warm"):
            asked = request.model_copy(update={"place": city, "query": query})
            assert truth.informed([asked], live.K)[0].tolist() == lists[query][data[city][month]]
    assert len({tuple(of_band) for of_band in lists["jacket"]}) == 3


def test_the_files_hold_what_python_reads(tmp_path):
    folder = shutil.copytree(BOOK / "live", tmp_path / "live")
    made = {path.name: path.read_text(encoding="utf-8") for path in live.write(folder)}
    value = {name: json.loads(made[f"{name}.js"].split("] = ", 1)[1].rstrip(";\n")) for name in ("data", "weights")}
    model = (checkpoints.FOLDER / live.CHECKPOINT / "model.safetensors").read_bytes()
    assert base64.b64decode(value["weights"]) == model
    assert sum(len(text.encode()) for text in made.values()) < 8e6
    assert value["data"]["tokenizer"] == json.loads((checkpoints.FOLDER / "tokenizer" / "tokenizer.json").read_text())
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert live.RECORDED not in page and len(re.findall("<li>", page)) == 3 * live.K
