"""A stage exists completely or not at all; the same question gets the same stage back."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from crs_lite import workspace
from crs_lite.errors import CRSError
from crs_lite.rewards import RewardConfig
from crs_lite.workspace import Workspace, digest, hardware, named, read_manifest, versions


def test_a_stage_is_made_once_and_again_when_what_it_depends_on_changes(tmp_path):
    calls = []

    def fn(folder):
        calls.append(1)
        (folder / "x.json").write_text("1")
        return {"n": len(calls)}

    work = Workspace(tmp_path, seed=0)
    first = work.run("a", {"size": 3}, fn)
    assert work.run("a", {"size": 3}, fn).key == first.key and len(calls) == 1
    assert work.run("a", {"size": 4}, fn).info == {"n": 2}
    later = work.run("b", {"a": first}, fn)
    changed = work.run("b", {"a": work.run("a", {"size": 5}, fn)}, fn)
    assert later.key != changed.key  # a stage follows the stages before it
    assert Workspace(tmp_path, seed=1).run("a", {"size": 5}, fn).key != first.key


def test_a_failing_stage_leaves_nothing_that_could_be_taken_for_one(tmp_path):
    def fail(folder):
        (folder / "half.json").write_text("{")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        Workspace(tmp_path, 0).run("a", {}, fail)
    assert not (tmp_path / "a").exists()
    stage = Workspace(tmp_path, 0).run("a", {}, lambda folder: {"ok": True})
    assert stage.info == {"ok": True} and not (stage.folder / "half.json").exists()


@pytest.mark.slow
def test_a_kill_in_the_middle_is_like_no_run_at_all(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from crs_lite.workspace import Workspace\n"
        "def fn(folder):\n    (folder / 'w').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "Workspace(Path(sys.argv[1]), 0).run('a', {}, fn)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env={**os.environ, "PYTHONPATH": "."})
    assert done.returncode == -signal.SIGKILL
    stage = Workspace(tmp_path, 0).run("a", {}, lambda folder: (folder / "w").write_text("whole") and None)
    assert (stage.folder / "w").read_text() == "whole"


def test_random_numbers_of_a_stage_do_not_depend_on_what_ran_before(tmp_path):
    def draw(folder):
        return {"torch": torch.rand(1).item(), "numpy": np.random.rand()}

    a = Workspace(tmp_path / "1", 0).run("x", {}, draw).info
    torch.rand(100), np.random.rand(7)
    assert Workspace(tmp_path / "2", 0).run("x", {}, draw).info == a
    assert Workspace(tmp_path / "3", 1).run("x", {}, draw).info != a


def test_a_damaged_manifest_is_named(tmp_path):
    stage = Workspace(tmp_path, 0).run("a", {}, lambda folder: {})
    manifest = stage.folder / "manifest.json"
    whole = manifest.read_text(encoding="utf-8")
    for changed in (whole.replace('"minutes": ', '"minutes": 1'), whole.replace('"seed": 0', '"seed": 1')):
        manifest.write_text(changed)
        with pytest.raises(CRSError, match="manifest.json: damaged or changed since"):
            Workspace(tmp_path, 0).run("a", {}, lambda folder: {})
    manifest.write_text('{"key": 1, "info": [], "minutes": "x"}')
    with pytest.raises(CRSError, match="manifest.json: key: .*valid string"):
        Workspace(tmp_path, 0).run("a", {}, lambda folder: {})
    manifest.write_text('{"key": ')
    with pytest.raises(CRSError, match="manifest.json, line 1: damaged"):
        Workspace(tmp_path, 0).run("a", {}, lambda folder: {})
    manifest.write_text(json.dumps({"other": 1}))
    assert Workspace(tmp_path, 0).run("a", {}, lambda folder: {"again": 1}).info == {"again": 1}


@pytest.mark.parametrize("how", ["one bit", "empty", "gone", "a folder"])
def test_a_stage_vouches_for_its_files(tmp_path, how):
    def make(folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "w").write_bytes(bytes(100))
        (folder / "x.json").write_text("1")

    path = Workspace(tmp_path, 0).run("a", {}, make).folder / "deep" / "w"
    Workspace(tmp_path, 0).run("a", {}, lambda folder: pytest.fail("made again"))
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how != "gone":
        path.write_bytes(b"" if how == "empty" else bytes(99) + b"\x01")
    with pytest.raises(CRSError, match=r"deep.w: .*; delete the folder .*a and run again") as caught:
        Workspace(tmp_path, 0).run("a", {}, make)
    assert "\n" not in str(caught.value)
    shutil.rmtree(tmp_path / "a")  # the remedy
    assert Workspace(tmp_path, 0).run("a", {}, make).info == {}


def test_a_stage_of_an_older_version_has_no_checksums_and_is_read(tmp_path):
    stage = Workspace(tmp_path, 0).run("a", {}, lambda folder: {"n": 1})
    path = stage.folder / "manifest.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({k: v for k, v in about.items() if k not in ("files", "sha256")}), encoding="utf-8")
    assert Workspace(tmp_path, 0).run("a", {}, lambda folder: pytest.fail("made again")).info == {"n": 1}


def test_a_stage_that_another_run_replaced_is_not_read(tmp_path):
    mine = Workspace(tmp_path, 0).run("a", {"lr": 1}, lambda folder: {})
    Workspace(tmp_path, 0).run("a", {"lr": 2}, lambda folder: {})
    with pytest.raises(CRSError, match="a: replaced while this run was using it; give every run an --out of its own"):
        mine.json("x.json")


def test_values_and_stages_are_told_apart_in_a_key(tmp_path):
    """The key of a stage stands for it; nothing else about it plays a part, its minutes least of all."""
    work = Workspace(tmp_path, 0)
    first = work.run("a", {}, lambda folder: {})
    key = work.run("b", {"a": first}, lambda folder: {}).key
    by_hand = {"stage": "b", "seed": 0, "versions": versions(), "a": first.key}
    assert key == digest(by_hand) == hashlib.sha256(json.dumps(by_hand, sort_keys=True).encode()).hexdigest()


def test_a_key_depends_on_library_versions(tmp_path, monkeypatch):
    before = Workspace(tmp_path, 0).run("a", {}, lambda folder: {})
    monkeypatch.setattr(workspace, "versions", lambda: {"torch": "9"})
    assert Workspace(tmp_path, 0).run("a", {}, lambda folder: {"again": 1}).info == {"again": 1}
    assert before.info == {}


def test_a_manifest_says_how_the_stage_was_made(tmp_path):
    work = Workspace(tmp_path, 3)
    stage = work.run("a", {"size": 3, "where": tmp_path}, lambda folder: {"n": 1})
    made = json.loads((stage.folder / "manifest.json").read_text(encoding="utf-8"))
    assert (made["stage"], made["seed"], made["info"], made["key"]) == ("a", 3, {"n": 1}, stage.key)
    assert made["depends"] == {"size": 3, "where": str(tmp_path)} and made["versions"] == versions()
    assert made["hardware"] == hardware() and made["threads"] == torch.get_num_threads()
    assert work.minutes == {"a": stage.minutes} and read_manifest(tmp_path / "none") is None


def test_files_of_a_stage_are_read_with_its_name(tmp_path):
    stage = Workspace(tmp_path, 0).run("a", {}, lambda folder: (folder / "x.json").write_text('{"n": "two"}') and None)
    assert stage.json("x.json") == {"n": "two"}
    with pytest.raises(CRSError, match="x.json: n: .*valid integer.*; delete the folder .*a and run again"):
        stage.json("x.json", dict[str, int])


def test_a_damaged_row_is_named(tmp_path):
    rows = '{"a": 1}\n{"a": "\u2028"}\n'
    stage = Workspace(tmp_path, 0).run("a", {}, lambda folder: (folder / "s.jsonl").write_text(rows) and None)
    assert stage.json_lines("s.jsonl") == [{"a": 1}, {"a": "\u2028"}]
    (stage.folder / "s.jsonl").write_text('{"a": 1}\n{"a": \n', encoding="utf-8")
    with pytest.raises(CRSError, match="s.jsonl, row 2: damaged .*; delete the folder"):
        stage.json_lines("s.jsonl")
    with pytest.raises(CRSError, match="none.jsonl: cannot be read .*; delete the folder"):
        stage.json_lines("none.jsonl")


def test_changed_budgets_name_a_folder():
    assert named(lr=1e-4, epochs=None) == "-lr=0.0001" and named(lr=None) == named() == ""
    reward = named(reward=RewardConfig(validity=0.0))
    assert reward.startswith("-reward=") and reward != named(reward=RewardConfig(rank=0.0))


class Group:
    """Two processes in one: what `process_number` answers, and whether the others were waited for."""

    def __init__(self, monkeypatch, rank):
        self.waited = 0
        monkeypatch.setattr(workspace, "process_number", lambda: rank)
        monkeypatch.setattr(workspace, "wait", self.wait)

    def wait(self):
        self.waited += 1


def test_of_several_processes_the_first_makes_a_stage(tmp_path, monkeypatch):
    first = Workspace(tmp_path, 0).run("a", {}, lambda folder: {"by": 0})
    group = Group(monkeypatch, rank=1)
    never = lambda folder: pytest.fail("the second process makes it again")  # noqa: E731
    assert Workspace(tmp_path, 0).run("a", {}, never).key == first.key and group.waited == 1


def test_all_train_together_and_the_first_one_s_folder_is_kept(tmp_path, monkeypatch):
    Workspace(tmp_path, 0).run("a", {"of": "the other process"}, lambda folder: {"by": 0})
    group, seen = Group(monkeypatch, rank=1), []
    stage = Workspace(tmp_path, 0).run("a", {"of": "now"}, lambda folder: seen.append(folder), together=True)
    assert seen and not seen[0].exists() and group.waited == 4  # it took part, and what it wrote is gone
    assert stage.info == {"by": 0}
