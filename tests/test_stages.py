"""A stage exists completely or not at all; the same question gets the same stage back."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from crs_lite.errors import CRSError
from crs_lite.workspace import Workspace


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


def test_a_kill_in_the_middle_is_like_no_run_at_all(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from crs_lite.stages import Workspace\n"
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
    (stage.folder / "manifest.json").write_text('{"key": ')
    with pytest.raises(CRSError, match="manifest.json: damaged"):
        Workspace(tmp_path, 0).run("a", {}, lambda folder: {})
    (stage.folder / "manifest.json").write_text(json.dumps({"other": 1}))
    assert Workspace(tmp_path, 0).run("a", {}, lambda folder: {"again": 1}).info == {"again": 1}
