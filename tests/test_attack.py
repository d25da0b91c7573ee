"""A small share of every attack (see `attack.py`, which `make attack` runs in full), and the recorded figures."""

import random

import attack
import pytest

from crs_lite import paths, unfinished
from crs_lite.files import read_json
from crs_lite.site import sentences

pytestmark = pytest.mark.slow


def nothing_found(done: attack.Attack, least: int):
    assert not done.faults, done.faults[:3]
    assert done.found.total() >= least


@pytest.fixture
def open_run(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "SECONDS", 0.0)
    return attack.opener(tmp_path, monkeypatch)


def test_strings_and_shops_of_hostile_words(open_run):
    codec = open_run("strings").codec
    nothing_found(attack.attack_strings(codec, 200, random.Random(1)), 200)
    nothing_found(attack.attack_shops(codec, 300, random.Random(1)), 100)


def test_malformed_rows(tmp_path):
    nothing_found(attack.attack_rows(tmp_path, 5, random.Random(1)), 20)


def test_wrong_words(tmp_path, monkeypatch):
    words = attack.wrong_words
    monkeypatch.setattr(attack, "wrong_words", lambda root: random.Random(1).sample(list(words(root)), 30))
    nothing_found(attack.attack_words(tmp_path), 30)


def test_kills_of_an_experiment(tmp_path, open_run):
    do = attack.experiment(tmp_path, open_run)
    nothing_found(attack.attack_kills(tmp_path, do, 2, random.Random(1), "kill -9, an experiment"), 2)


def test_the_recorded_attack_was_large_and_found_nothing():
    made = read_json(paths.ATTACK, dict, "run `make attack ATTACK=--record`.")["attacks"]
    least = {"hostile": 100_000, "kill": 100, "damaged": 300, "command": 150, "malformed": 800, "a megabyte": 100}
    for kind, n in least.items():
        of = [figures for name, figures in made.items() if name.startswith(kind)]
        assert sum(f["tries"] for f in of) >= n, kind
    assert all(f[k] == 0 for f in made.values() for k in ("silent", "traceback", "lost"))
    assert all(f["tries"] == f["refused"] + f["same"] for f in made.values())


def test_the_page_shows_the_recorded_figures():
    page = sentences.PAGE.read_text(encoding="utf-8")
    shown = page.split("<!-- attack:begin -->\n")[1].split("<!-- attack:end -->")[0]
    assert shown == sentences.attack_block()
    known = read_json(paths.ATTACK, dict, "")["attacks"] if paths.ATTACK.exists() else {}
    for name, of in known.items():
        row = next(line for line in shown.splitlines() if line.startswith(f"| {name} |"))
        assert [int(cell.replace(",", "")) for cell in row.split("|")[2:-1]] == list(of.values())
