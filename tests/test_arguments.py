"""Words of a command are checked where they enter; whatever ends a command early is one sentence."""

import argparse
import errno
import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from crs_lite import arguments
from crs_lite.arguments import budgets, existing, minutes, new_folder, to_the_end, whole
from crs_lite.errors import CRSError
from crs_lite.paths import ROOT


def test_budgets_are_read_as_python_where_they_are_python():
    assert budgets(["rl_lr=1e-4", "arch=qwen3", "sid_sizes=(4, 4, 4)", "item_view=", "backbone=a=b"]) == {
        "rl_lr": 1e-4,
        "arch": "qwen3",
        "sid_sizes": (4, 4, 4),
        "item_view": "",
        "backbone": "a=b",
    }
    assert budgets([]) == {}


def test_budgets_are_data_not_code():
    assert budgets(["arch=__import__('os').getcwd()"]) == {"arch": "__import__('os').getcwd()"}


@pytest.mark.parametrize("word", ["align_lr", "=3", "", "a b=3", "rl steps", "--rl_steps=3", "name=x", "minutes=1"])
def test_a_word_that_is_no_budget_is_named(word):
    with pytest.raises(CRSError, match="--set .*; (write NAME=VALUE|drop it)"):
        budgets([word])


def test_a_budget_is_given_once():
    with pytest.raises(CRSError, match="--set rl_steps=4: given twice"):
        budgets(["rl_steps=3", "rl_steps=4"])


def test_whole_numbers_have_bounds():
    read = whole(1, 1000)
    assert (read("1"), read("1000")) == (1, 1000)
    for word in ("0", "-1", "1001", "ten", "1.5", "", "1e3", "9" * 5000, "nan"):
        with pytest.raises(argparse.ArgumentTypeError):
            read(word)


def test_minutes_are_positive_and_may_be_fractions():
    assert (minutes("90"), minutes("0.5"), minutes("1e3")) == (90.0, 0.5, 1000.0)
    for word in ("0", "-1", "nan", "inf", "", "soon", "1e7"):
        with pytest.raises(argparse.ArgumentTypeError):
            minutes(word)


def test_folders_to_read_and_to_write(tmp_path):
    (tmp_path / "file").write_text("")
    assert existing(str(tmp_path)) == tmp_path and new_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    for read, word in ((existing, "none"), (existing, "file"), (new_folder, "file"), (new_folder, "file/below")):
        with pytest.raises(argparse.ArgumentTypeError, match="folder"):
            read(str(tmp_path / word))


def fail(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (CRSError("x.json: damaged; make it again."), 2, "x.json: damaged; make it again."),
        (KeyboardInterrupt(), 130, "interrupted; finished stages are kept, and the same command goes on from there."),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "the output was closed before all of it was printed"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 1, "/x/y: the disk is full; make room"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 1, "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 1, "/x/y: may not be read or written"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), 1, "/x: may not be read or written"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/x"), 1, "/x: Is a directory; mend that"),
        (MemoryError(), 1, "the memory is full"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), 1, "the accelerator's memory is full"),
        (BrokenProcessPool("a child died"), 1, "a process that made rows was killed"),
        (ZeroDivisionError("division\nby zero"), 1, "unforeseen ZeroDivisionError (division by zero)"),
    ],
)
def test_whatever_ends_a_command_is_one_sentence(capsys, error, status, said):
    assert to_the_end(fail(error)) == status
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1 and error.endswith(".\n")


def test_a_command_that_ends_well_says_nothing_more(capsys):
    assert to_the_end(lambda: 0) == 0 and capsys.readouterr().err == ""


def test_unforeseen_faults_are_shown_to_whoever_asks(monkeypatch):
    monkeypatch.setenv(arguments.TRACEBACK, "1")
    with pytest.raises(ZeroDivisionError):
        to_the_end(fail(ZeroDivisionError()))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no disk that is always full")
def test_a_full_disk_and_a_closed_output():
    command = (
        "import sys; from crs_lite.arguments import to_the_end; sys.exit(to_the_end(lambda: print('a table') or 0))"
    )
    reader, closed = os.pipe()
    os.close(reader)  # nobody will ever read
    for output, said in ((os.open("/dev/full", os.O_WRONLY), "the disk is full"), (closed, "the output was closed")):
        words = [sys.executable, "-c", command]
        done = subprocess.run(words, stdout=output, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        os.close(output)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1) and said in done.stderr


@pytest.mark.slow
def test_ctrl_c_says_that_finished_stages_are_kept(tmp_path):
    command = [sys.executable, "-m", "crs_lite", "run", "--out", str(tmp_path / "run")]

    def listen():  # tests that run in the background inherit deafness to Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=listen
    ) as running:
        for line in running.stdout:
            if line.startswith("stage align"):
                running.send_signal(signal.SIGINT)
                break
        _, error = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in error
    assert error.strip().splitlines()[-1].startswith("error: interrupted; finished stages are kept")
    assert (tmp_path / "run" / "ids" / "manifest.json").exists()
