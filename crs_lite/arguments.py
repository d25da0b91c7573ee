"""The words of a command: numbers with bounds, budgets by name; and one sentence for whatever ends a command early."""

from __future__ import annotations

import argparse
import ast
import errno
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

from pydantic import Field, TypeAdapter, ValidationError

from crs_lite.deadline import OutOfTime
from crs_lite.errors import CRSError

# Exit statuses: what was asked for, what happened, Ctrl-C; its minutes are over (EX_TEMPFAIL: run the command again).
WRONG, FAILED, INTERRUPTED, OUT_OF_TIME = 2, 1, 130, 75
TRACEBACK = "CRS_LITE_TRACEBACK"  # an environment variable: set, unforeseen faults are shown as Python shows them
KEPT = "finished stages are kept, and the same command goes on from there"


class Parser(argparse.ArgumentParser):
    """A parser that answers wrong words with one sentence."""

    def error(self, message: str) -> NoReturn:
        """The sentence, and exit status 2."""
        self.exit(WRONG, f"error: {message}; `{self.prog} --help` says what is allowed.\n")


def whole(least: int, most: int = 2**31) -> Callable[[str], int]:
    """The type of an argument that is a whole number from `least` to `most`."""
    number = TypeAdapter(Annotated[int, Field(ge=least, le=most)])

    def read(word: str) -> int:
        try:
            return number.validate_python(word)
        except ValidationError as e:
            raise argparse.ArgumentTypeError(f"{word!r}: {e.errors()[0]['msg']}") from None

    return read


def minutes(word: str) -> float:
    """The type of an argument that is a time in minutes, fractions allowed."""
    try:
        return TypeAdapter(Annotated[float, Field(gt=0, le=10**6)]).validate_python(word)
    except ValidationError as e:
        raise argparse.ArgumentTypeError(f"{word!r}: {e.errors()[0]['msg']}") from None


def existing(word: str) -> Path:
    """The type of an argument that is a folder to read."""
    if not (path := Path(word)).is_dir():
        raise argparse.ArgumentTypeError(f"{word!r} is no folder")
    return path


def new_folder(word: str) -> Path:
    """The type of an argument that is a folder to write: it need not be there, and is no file."""
    path = Path(word)
    if not word or next(p for p in (path, *path.absolute().parents) if p.exists()).is_file():
        raise argparse.ArgumentTypeError(f"{word!r} is no folder, or lies in a file")
    return path


def budgets(words: Sequence[str]) -> dict[str, object]:
    """["lr=0.1", "arch=qwen3"] -> {"lr": 0.1, "arch": "qwen3"}. Raises `CRSError` for a word without a "=", without a
    name, or with the name of one before it."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and equals):
            raise CRSError(f"--set {word}: not a budget and its value; write NAME=VALUE, such as rl_steps=10.")
        if name in found or name in ("name", "minutes"):
            raise CRSError(f"--set {word}: {'given twice' if name in found else 'no budget'}; drop it.")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found[name] = value
    return found


def to_the_end(command: Callable[[], int]) -> int:
    """Run a command. Returns its exit status; whatever ends it early becomes one sentence on the error output."""
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()  # a full disk or a closed output may only show now
    except CRSError as e:
        return _say(WRONG, str(e))
    except OutOfTime as e:
        return _say(OUT_OF_TIME, f"the minutes are over: stopped {e}; {KEPT}.", "")
    except KeyboardInterrupt:
        return _say(INTERRUPTED, f"interrupted; {KEPT}.")
    except BrokenPipeError:
        _to_nowhere()
        return _say(FAILED, f"the output was closed before all of it was printed; {KEPT}.")
    except BrokenProcessPool:
        return _say(FAILED, f"a process that made rows was killed, often for want of memory; {KEPT}; try fewer --jobs.")
    except MemoryError:
        return _say(FAILED, f"the memory is full; {KEPT}; try smaller batches (eval_batch, batch_tokens, rl_prompts).")
    except Exception as e:
        if os.environ.get(TRACEBACK):
            raise
        return _say(FAILED, _of_the_system(e) or _unforeseen(e))


def _say(status: int, sentence: str, begin: str = "error: ") -> int:
    with suppress(OSError):  # nobody listens any more
        print(f"{begin}{' '.join(sentence.split())}", file=sys.stderr, flush=True)
    return status


def _to_nowhere() -> None:
    """Nothing that is still to be printed fails again when Python ends."""
    with suppress(OSError, ValueError):  # some outputs are no files
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_the_system(e: BaseException) -> str | None:
    """What the operating system refused, in a sentence. Libraries wrap its errors, in others or in their words."""
    if not isinstance(e, OSError):
        if "No space left" in str(e):
            return f"the disk is full ({str(e)[:120]}); make room: {KEPT}."
        if "out of memory" in str(e):
            return f"the accelerator's memory is full; {KEPT}; try smaller batches (eval_batch, batch_tokens)."
        return None
    where = f"{e.filename}: " if e.filename else ""
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        if not e.filename:
            _to_nowhere()
        return f"{where}the disk is full; make room: {KEPT}."
    if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}may not be read or written ({e.strerror}); change its rights, or write elsewhere with --out."
    return f"{where}{e.strerror or e}; mend that and run the same command again."


def _unforeseen(e: BaseException) -> str:
    words = " ".join(str(e).split())[:200]
    return f"unforeseen {type(e).__name__} ({words}), a fault of this program; {TRACEBACK}=1 in front shows where."
