"""One process at a time works in a run folder; the others wait and say for whom."""

import os
import signal
import subprocess
import sys

import pytest

from crs_lite import workspace
from crs_lite.workspace import Workspace

HOLD = (
    "import sys; from pathlib import Path; from crs_lite.workspace import Workspace\n"
    "work = Workspace(Path(sys.argv[1]), 0); print('ours', flush=True); sys.stdin.read()"
)


@pytest.fixture
def start(tmp_path):
    """-> a function that starts a process which opens the folder, says "ours", and holds it while its input is open."""
    started = []

    def go():
        words = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})
        started.append(subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **words))
        return started[-1]

    yield go
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_second_process_waits_and_says_for_whom(tmp_path, start):
    first = start()
    assert first.stdout.readline() == "ours\n"
    second = start()
    said = second.stdout.readline()
    assert said.startswith(f"{tmp_path} is in use by process {first.pid} on ") and said.count("\n") == 1
    assert second.poll() is None
    first.stdin.close()
    assert second.stdout.readline() == "ours\n" and first.wait() == 0


def test_a_dead_process_blocks_nobody(tmp_path, start, capsys):
    first = start()
    assert first.stdout.readline() == "ours\n"
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    work = Workspace(tmp_path, 0)
    assert work.run("a", {}, lambda folder: {"ok": 1}).info == {"ok": 1} and "in use" not in capsys.readouterr().out


def test_one_process_may_open_its_folder_twice(tmp_path):
    works = [Workspace(tmp_path, 0), Workspace(tmp_path, 1)]
    assert all(w.run("a", {}, lambda folder: {}) for w in works)


def test_of_several_processes_only_the_first_locks(tmp_path, start, monkeypatch):
    assert start().stdout.readline() == "ours\n"
    monkeypatch.setattr(workspace, "process_number", lambda: 1)
    Workspace(tmp_path, 0)  # it would wait for ever
