"""One process at a time makes a stage of a run folder; the others wait and say for whom; what is finished is free."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from crs_lite import workspace
from crs_lite.workspace import LOCK, Workspace

# Makes a stage, says "ours" while it does, and ends it when its input is closed.
HOLD = (
    "import sys; from pathlib import Path; from crs_lite.workspace import Workspace\n"
    "def make(folder):\n    print('ours', flush=True); sys.stdin.readline(); return {'by': sys.argv[2]}\n"
    "stage = Workspace(Path(sys.argv[1]), 0).run(sys.argv[3], {}, make); print('made', stage.info['by'], flush=True)\n"
    "sys.stdin.read()"
)


class Maker:
    """A process that makes a stage."""

    def __init__(self, root, name, stage="a"):
        command = [sys.executable, "-c", HOLD, str(root), name, stage]
        words = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})
        self.process = subprocess.Popen(command, **words)
        self.said = []
        self.watch = threading.Timer(60, self.process.kill)  # no test waits for ever
        self.watch.start()

    def until(self, word):
        """Reads what it prints up to a line that begins with `word`, and returns that line."""
        while not (line := self.process.stdout.readline()).startswith(word):
            assert line, f"ended without {word!r}: {self.said}"
            self.said.append(line)
        return line.strip()

    def go_on(self):
        """It may finish the stage."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@pytest.fixture
def start(tmp_path):
    """-> a function (name, stage) that starts a `Maker`."""
    started = []

    def go(name, stage="a"):
        started.append(Maker(tmp_path, name, stage))
        return started[-1]

    yield go
    for maker in started:
        maker.watch.cancel()
        maker.process.kill()
        maker.process.wait()
        maker.process.stdin.close()
        maker.process.stdout.close()


@pytest.mark.slow
def test_a_second_process_waits_says_for_whom_and_takes_what_was_made(tmp_path, start):
    first = start("first")
    first.until("ours")
    second, other = start("second"), start("other", "b")
    said = second.until(f"{tmp_path}: ")
    assert said.startswith(f"{tmp_path}: process {first.process.pid} on ") and "makes stage a since" in said
    other.until(f"{tmp_path}: ")  # another stage of the same folder waits as well
    assert second.process.poll() is None
    other.go_on()  # whichever of the two gets its turn first, it need not wait for us
    first.go_on()
    first.until("made")
    # The first process lives on, as a notebook does, and holds nothing: the others get their turn, one by one.
    assert second.until("made") == "made first" and "ours\n" not in second.said  # it is not made again
    assert other.until("made") == "made other"
    assert not (tmp_path / f"{LOCK}.json").exists()


@pytest.mark.slow
def test_a_dead_process_blocks_nobody(tmp_path, start, capsys):
    first = start("first")
    first.until("ours")
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    assert Workspace(tmp_path, 0).run("b", {}, lambda folder: {"ok": 1}).info == {"ok": 1}
    assert "waiting" not in capsys.readouterr().out


def test_a_stage_that_is_finished_is_read_while_another_is_made(tmp_path, monkeypatch):
    work = Workspace(tmp_path, 0)
    work.run("a", {}, lambda folder: {"ok": 1})
    monkeypatch.setattr(workspace, "alone", lambda *_: pytest.fail("asks for the lock"))
    assert Workspace(tmp_path, 0).run("a", {}, lambda folder: {}).info == {"ok": 1}


def test_a_stage_may_make_another_and_a_failed_one_lets_go(tmp_path):
    work = Workspace(tmp_path, 0)
    assert work.run("outer", {}, lambda folder: {"inner": work.run("inner", {}, lambda f: {"n": 2}).info}).info == {
        "inner": {"n": 2}
    }
    with pytest.raises(ZeroDivisionError):
        work.run("bad", {}, lambda folder: 1 / 0)
    lock = workspace.FileLock(tmp_path / LOCK, is_singleton=False)
    lock.acquire(blocking=False)  # raises if anybody had it
    lock.release()


def test_of_several_processes_only_the_first_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "process_number", lambda: 1)
    with workspace.alone(tmp_path / "run", "a"):
        assert not (tmp_path / "run").exists()
