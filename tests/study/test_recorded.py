"""Rows: lists are stored once, damage is named, and nothing is made from code that nobody could get back."""

import json
import os
import subprocess

import numpy as np
import pytest

from crs_lite import paths
from crs_lite.errors import CRSError
from crs_lite.evaluate import per_request
from crs_lite.study import recorded

ROW = {
    "schema": recorded.SCHEMA,
    "experiment": "arms",
    "row": "a",
    "seed": 0,
    "request_ids": [3, 1, 2],
    "cold": [1, 0, 0],
    "ranks": [0, None, 9],
    "utility": [0.5, 0.25, 0.0],
    "text": 'é "x"',
    "date": "2026-01-01",
    "commit": "0123456789",
}


# -- files ------------------------------------------------------------------------------------------------


def test_a_row_comes_back_and_its_lists_are_stored_once(tmp_path):
    for experiment in ("arms", "loop"):
        for seed in range(3):
            recorded.write(
                tmp_path / experiment / f"a-seed{seed}.json", {**ROW, "seed": seed, "experiment": experiment}
            )
    assert recorded.read(tmp_path / "arms" / "a-seed0.json") == {**ROW, "experiment": "arms"}
    assert len(list((tmp_path / "lists").iterdir())) == 2
    text = (tmp_path / "loop" / "a-seed2.json").read_text(encoding="utf-8")
    assert "[3, 1, 2]" not in text and text.count("\n") == len(ROW) + 2  # one key a line
    assert [r["seed"] for r in recorded.rows(tmp_path, "arms")] == [0, 1, 2]
    assert set(recorded.gather(tmp_path, "loop")["a"]) == {0, 1, 2} and recorded.gather(tmp_path, "none") == {}


def test_a_damaged_or_old_row_is_named(tmp_path):
    path = tmp_path / "arms" / "row.json"
    path.parent.mkdir()
    path.write_text("{ half", encoding="utf-8")
    with pytest.raises(CRSError, match="row.json.*run its experiment again"):
        recorded.read(path)
    recorded.write(path, {**ROW, "schema": 1})
    with pytest.raises(CRSError, match="row.json: a row of another version; delete it"):
        recorded.read(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ranks": [0, -1, 9]}, "ranks.1: Input should be greater than or equal to 0"),
        ({"ranks": [0, 2**31 - 1, 9]}, "ranks.1: Input should be less than"),
        ({"ranks": [0, "1", 9]}, "ranks.1: Input should be a valid integer"),
        ({"n": 4}, "ranks has 3 values, for 4 requests"),
        ({"utility": [0.5, float("nan"), 0.0]}, "NaN"),
        ({"utility": None, "true_reasoning_ranks": {}}, "true_reasoning_ranks: Input should be a valid list"),
        ({"seed": -1}, "seed: Input should be greater"),
        ({"seed": True}, "seed: Input should be a valid integer"),
        ({"seed": 1}, "holds arms, a, seed 1, which is another row"),
        ({"row": "b"}, "holds arms, b, seed 0, which is another row"),
        ({"experiment": "loop"}, "holds loop, a, seed 0, which is another row"),
        ({"profile": []}, "profile: Input should be a valid dict"),
    ],
)
def test_a_row_that_cannot_be_is_named(tmp_path, changes, message):
    path = tmp_path / "arms" / "a-seed0.json"
    recorded.write(path, {**ROW, **changes})
    with pytest.raises(CRSError) as caught:
        recorded.read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and message in said and said.endswith("delete it and run its experiment again.")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such file; restore it, or run the experiments again"),
        (lambda path: path.write_text("[3, 1", encoding="utf-8"), "damaged"),
        (lambda path: path.write_text("[3, 2, 1]", encoding="utf-8"), "not the list it is named after"),
        (lambda path: path.write_text('{"a": 1}', encoding="utf-8"), "valid list"),
    ],
)
def test_a_damaged_list_is_named(tmp_path, damage, message):
    path = tmp_path / "arms" / "a-seed0.json"
    recorded.write(path, ROW)
    name = json.loads(path.read_text(encoding="utf-8"))["request_ids"]
    damage(tmp_path / "lists" / f"{name}.json")
    with pytest.raises(CRSError, match=f"lists/{name}.json.*{message}"):
        recorded.read(path)


def test_a_row_cut_off_leaves_no_file(tmp_path, monkeypatch):
    def dying(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(recorded.json, "dumps", dying)
        with pytest.raises(KeyboardInterrupt):
            recorded.write(tmp_path / "arms" / "a.json", {"x": 1})
    assert not list(tmp_path.rglob("a*.json"))


# -- values -----------------------------------------------------------------------------------------------


def test_metrics_follow_from_ranks_in_the_order_of_the_requests():
    assert recorded.values(ROW, "HR@10").tolist() == [1, 0, 1] and recorded.values(ROW, "HR@1").tolist() == [1, 0, 0]
    assert recorded.values(ROW, "NDCG@10").tolist() == [1, 0, 1 / np.log2(11)]
    assert recorded.values(ROW, "utility").tolist() == [0.5, 0.25, 0.0]
    assert recorded.values(ROW, "MRR").tolist() == per_request(np.array([0, 2**31 - 1, 9]))["MRR"].tolist()


def test_the_index_shows_every_row_at_a_glance(tmp_path):
    for seed in (1, 0):
        recorded.write(tmp_path / "arms" / f"a-seed{seed}.json", {**ROW, "seed": seed, "split": "test"})
    old = {k: v for k, v in ROW.items() if k not in ("ranks", "commit")}
    recorded.write(
        tmp_path / "noise" / "n-seed0.json",
        {**old, "experiment": "noise", "row": "n", "commit": None, "recorded_in": "fedcba98"},
    )
    table = recorded.index(tmp_path)
    assert table["experiment"].tolist() == ["arms", "noise"] and table["seeds"].tolist() == ["0 1", "0"]
    assert table["NDCG@10"].tolist() == [f"{(1 + 1 / np.log2(11)) / 3:.3f}", ""]
    assert table["commit"].tolist() == ["0123456", "before fedcba9"]


# -- the code a row is made from --------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A small repository in place of this one -> its folder and a function that calls git in it."""
    root = tmp_path / "repository"
    (root / "crs_lite").mkdir(parents=True)
    (root / "crs_lite" / "a.py").write_text("x = 1\n", encoding="utf-8")
    who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*words):
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, env=os.environ | who)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    monkeypatch.setattr(recorded, "ROOT", root)
    return root, git


def test_a_row_is_made_from_a_commit(repository):
    root, git = repository
    assert recorded.committed() == recorded.code_version() == git("rev-parse", "HEAD")
    (root / "notes.txt").write_text("what no number depends on", encoding="utf-8")
    assert recorded.committed() == git("rev-parse", "HEAD")


@pytest.mark.parametrize("change", ["changed", "new", "deleted", "staged"])
def test_an_uncommitted_tree_is_refused(repository, change):
    root, git = repository
    if change == "deleted":
        (root / "crs_lite" / "a.py").unlink()
    else:
        name = "b.py" if change == "new" else "a.py"
        (root / "crs_lite" / name).write_text("x = 2\n", encoding="utf-8")
    if change == "staged":
        git("add", ".")
    assert recorded.code_version() == git("rev-parse", "HEAD") + "+changes"
    with pytest.raises(CRSError, match="the code is not committed .*; commit first, or try things with --try"):
        recorded.committed()


def test_without_git_nothing_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "ROOT", tmp_path)
    assert recorded.code_version() == "no git"
    with pytest.raises(CRSError, match="not committed .no git."):
        recorded.committed()
    monkeypatch.setattr(recorded.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(OSError("no git here")))
    assert recorded.code_version() == "no git"


def test_a_row_that_is_gone_is_missed(tmp_path):
    for name in ("a", "b"):
        row = {"schema": recorded.SCHEMA, "experiment": "arms", "row": name, "seed": 0}
        recorded.write(tmp_path / "arms" / f"{name}-seed0.json", row)
    assert recorded.listed(tmp_path) == ["arms/a-seed0.json", "arms/b-seed0.json"]
    (tmp_path / "arms" / "a-seed0.json").unlink()
    with pytest.raises(CRSError, match="arms/a-seed0.json: this recorded row is gone; restore it"):
        recorded.gather(tmp_path, "arms")
    assert recorded.rows(tmp_path, "main") == []  # another experiment's affair
    assert recorded.renew_listing(tmp_path) == 1 and [r["row"] for r in recorded.rows(tmp_path, "arms")] == ["b"]


def test_every_recorded_row_of_the_book_is_listed():
    for folder in (d for d in paths.EXPERIMENTS.iterdir() if d.is_dir()):
        there = {f"{p.parent.name}/{p.name}" for p in folder.glob("*/*.json") if p.parent.name != recorded.LISTS}
        assert set(recorded.listed(folder)) == there, "run `python -m crs_lite results --list`"
